#!/usr/bin/python3
"""demo - renewd as an administrator meets it: HAProxy and nginx with placeholders, real
certificates from a test CA, and a renewal under load.

`./dev demo` runs it. Everything is on loopback and in a temporary folder that goes at the
end; root isn't needed. Where anything isn't as it is shown here, it exits 1 with the ends
of all logs, and keeps the folder.
"""

from __future__ import annotations

import http.client
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import termios
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path

from cryptography.x509.oid import NameOID

from programs.challtestsrv import ChallTestSrv
from programs.haproxy import HAProxy
from programs.nginx import Nginx
from programs.pebble import Options, Pebble
from programs.place import Place, adopt_orphans
from programs.ports import free_port
from programs.program import PATIENCE, clean_environment
from programs.renewd import Renewd, program
from programs.tls import Leaf
from programs.visitors import Door, Load

SHOP, WEB, WWW = "shop.example.test", "web.example.test", "www.example.test"
RATE = 80     # requests a second under load, each over a new connection
AROUND = 3.0  # seconds of load before the renewal, and after it

HAPROXY = """
# Port 80 of the outside world: challenges go to renewd, all else is sent to HTTPS.
frontend http
    mode http
    bind 127.0.0.1:{http}
    acl challenge path_beg /.well-known/acme-challenge/
    http-request redirect scheme https code 301 unless challenge
    default_backend renewd
backend renewd
    mode http
    server renewd 127.0.0.1:{renewd}
# Of this name HAProxy finds haproxy.pem.ecdsa and haproxy.pem.rsa.
frontend https
    mode http
    bind 127.0.0.1:{https} ssl crt {bundle}/haproxy.pem
    http-request return status 200 content-type text/plain string "the shop"
"""

NGINX = """
server {{
    listen 127.0.0.1:{https} ssl;
    server_name {names};
    ssl_certificate     {bundle}/fullchain.pem;
    ssl_certificate_key {bundle}/privkey.pem;
    location / {{ return 200 "the web"; }}
}}
"""


class Unexpected(Exception):
    """Something isn't as it was to be shown."""


class Teller:
    """Prints numbered steps, files, commands. The temporary folder is written as $DEMO."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self.colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self.steps = 0
        self.begun = time.monotonic()

    def say(self, text: str, colour: str = "", margin: str = "   ") -> None:
        text = textwrap.indent(text.replace(self.folder, "$DEMO").strip("\n"), margin,
                               lambda _: True)
        if not self.colour:
            text = re.sub(r"\033\[[0-9;]*m", "", text)
        print(f"\033[{colour}m{text}\033[0m" if colour and self.colour else text, flush=True)

    def step(self, title: str) -> None:
        self.steps += 1
        passed = time.monotonic() - self.begun
        self.say(f"\033[1m{self.steps}. {title}\033[0m  ({passed:.1f} s)", margin="")

    def good(self, text: str) -> None:
        self.say(text, "32")

    def file(self, path: Path, text: str) -> None:
        self.say(f"{path}:")
        self.say(text, "36", "   | ")

    def command(self, words: Sequence[str | Path], printed: str = "") -> None:
        self.say("$ " + " ".join(map(str, words)), "1;34")
        if printed:
            self.say(printed)


def run_on_terminal(words: list[str]) -> tuple[int, str]:
    """Runs a command as on a terminal; returns its exit status and what it printed."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (24, shutil.get_terminal_size((100, 24)).columns - 4))
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=its, text=True,
                               stderr=subprocess.PIPE, env=clean_environment(TERM="xterm"))
    os.close(its)
    output = b""
    try:
        while part := os.read(ours, 4096):
            output += part
    except OSError:
        pass  # EIO: the other side is closed
    except KeyboardInterrupt:
        process.kill()
        raise
    os.close(ours)
    _, errors = process.communicate(timeout=20 * PATIENCE)
    return process.returncode, output.decode().replace("\r", "") + errors


class Demo:
    """The programs, and a method for each step."""

    def __init__(self, place: Place) -> None:
        self.tell = Teller(place.path)
        self.http, shop, web = free_port(), free_port(), free_port()
        self.dns = ChallTestSrv(place)
        self.ca = Pebble(place, self.dns.address, self.http, options=Options(lifetime=7776000))
        self.renewd = Renewd(place, self.ca, http_port=free_port(ipv6=True))
        bundles = self.renewd.bundle_dir
        self.haproxy_text = HAPROXY.format(http=self.http, https=shop, bundle=bundles / SHOP,
                                           renewd=self.renewd.http_port)
        self.nginx_text = NGINX.format(https=web, names=f"{WEB} {WWW}", bundle=bundles / WEB)
        self.haproxy = HAProxy(place, self.haproxy_text)
        self.nginx = Nginx(place, self.nginx_text, [web])
        self.doors = [Door("HAProxy", shop, SHOP, "ecdsa", "the shop"),
                      Door("HAProxy", shop, SHOP, "rsa", "the shop"),
                      Door("nginx", web, WEB, "ecdsa", "the web"),
                      Door("nginx", web, WWW, "ecdsa", "the web")]

    def renewctl(self, *args: str) -> None:
        words = ["-s", str(self.renewd.socket), *args]
        status, printed = run_on_terminal([str(program("renewctl")), *words])
        self.tell.command(["renewctl", *words], printed)
        if status != 0:
            raise Unexpected(f"renewctl {' '.join(args)}: exit status {status}")

    def visit_all(self, doors: list[Door], root: Path | None) -> list[Leaf]:
        leaves = [door.visit(door.context(root)) for door in doors]
        for door, leaf in zip(doors, leaves):
            issuer = leaf.certificate.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
            self.tell.say(f"{door} {leaf.fingerprint[:12]}  until "
                          f"{leaf.certificate.not_valid_after:%Y-%m-%d}  by {issuer}")
        return leaves

    def start_renewd(self) -> None:
        self.tell.step("renewd starts; the CA can't be reached yet, no web server runs")
        daemon = self.renewd
        daemon.set("renewd", log_level="info")
        daemon.add_certificate(SHOP, keys="ecdsa-p256 rsa-2048", deploy="edge")
        daemon.add_certificate(WEB, domains=f"{WEB} {WWW}", deploy="web")
        daemon.set("deploy edge", type="haproxy", master_socket=self.haproxy.master_socket)
        daemon.set("deploy web", type="nginx", pidfile=self.nginx.pid_file)
        self.tell.file(daemon.config_path, daemon.config_text())
        self.tell.command(["renewd", "-c", daemon.config_path])
        daemon.start()
        for name in (SHOP, WEB):
            daemon.wait_certificate(name, state="new", activity="waiting")
        self.renewctl("list")
        self.tell.say("It will try again by itself, and has left placeholders for the web servers.")

    def start_web_servers(self) -> None:
        self.tell.step("HAProxy and nginx start with the placeholders")
        for server, text in ((self.haproxy, self.haproxy_text), (self.nginx, self.nginx_text)):
            self.tell.file(server.config_path, text)
            self.tell.command(server.command())
            server.start()
        self.tell.say("-W: HAProxy keeps its sockets over a reload. -S: where renewd asks for one."
                      "\n(Older ones than 2.6 may want `expose-fd listeners`, too.)")
        leaves = self.visit_all([door for door in self.doors if door.key == "ecdsa"], root=None)
        if any(leaf.certificate.issuer != leaf.certificate.subject for leaf in leaves):
            raise Unexpected("these aren't placeholders")
        self.tell.good("Both run, with certificates that have signed themselves.")

    def ask_http(self, path: str, wanted: int) -> None:
        link = http.client.HTTPConnection("127.0.0.1", self.http, timeout=10)
        link.request("GET", path, headers={"Host": SHOP})
        reply = link.getresponse()
        link.close()
        self.tell.say(f"http://{SHOP}{path}: {reply.status} {reply.headers['Location'] or ''}")
        if reply.status != wanted:
            raise Unexpected(f"{path} answered {reply.status}, not {wanted}")

    def get_certificates(self) -> Path:
        self.tell.step("The CA is there: Pebble, for tests. We don't wait for the next attempt")
        self.dns.start()
        self.ca.start()
        self.ask_http("/cart", 301)
        self.ask_http("/.well-known/acme-challenge/no-such-token", 404)
        self.renewctl("renew", "--wait", SHOP, WEB)
        self.tell.file(self.renewd.output_path, self.renewd.output())
        return self.ca.root_file()

    def show_certificates(self, root: Path) -> None:
        self.tell.step("renewd has reloaded both web servers")
        self.visit_all(self.doors, root)
        self.tell.good("Clients who trust the CA's root trust all of them.")
        self.renewctl("list")
        self.renewctl("show", SHOP)
        self.renewctl("status")

    def renew_under_load(self, root: Path) -> Load:
        self.tell.step(f"A forced renewal, while clients make {RATE} connections a second")
        with Load(self.doors, root, RATE) as load:
            time.sleep(AROUND)  # clients are seen before it,
            self.renewctl("renew", "--force", "--wait", SHOP, WEB)
            time.sleep(AROUND)  # and after it
        for door in self.doors:
            seen = [(leaf, n) for (at, leaf), n in load.served.items() if at == door]
            self.tell.say(f"{door} " + ", then ".join(f"{leaf[:12]} {n}x" for leaf, n in seen))
            if len(seen) != 2:
                load.failures.append(f"{door}: {len(seen)} certificates, not the old and the new")
        return load

    def sum_up(self, load: Load) -> None:
        self.tell.step("Summary")
        result = (f"{len(load.failures)} failed of {load.served.total() + len(load.failures)} "
                  f"requests, the slowest took {load.slowest * 1000:.0f} ms")
        if load.failures:
            raise Unexpected("\n".join([result, *load.failures[:10]]))
        self.tell.say("Shown: placeholders; ECDSA and RSA for HAProxy, two names for nginx, by\n"
                      "http-01 through HAProxy; reloads by renewd; new keys under load.")
        self.tell.good(f"{result}.\nAll well, in {time.monotonic() - self.tell.begun:.0f} s.")

    def run(self) -> None:
        self.start_renewd()
        self.start_web_servers()
        root = self.get_certificates()
        self.show_certificates(root)
        self.sum_up(self.renew_under_load(root))


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    adopt_orphans()
    place, status = Place(), 1
    try:
        Demo(place).run()
        status = 0
    except KeyboardInterrupt:
        status = 130
    except Exception as problem:
        print(f"{place.outputs(30)}\n\ndemo: FAILED: {problem}", file=sys.stderr)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not stop the cleaning
    if status == 130:
        for one in place.programs:
            one.destroy()
    try:
        place.close(keep=status == 1)
    except Exception as problem:
        print(f"demo: FAILED at its end: {problem}", file=sys.stderr)
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
