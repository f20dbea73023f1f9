"""The examples of README.md, of the manual pages and of conf/renewd.conf do what they say.

Here with ports and folders of the test; test_boot.py follows the README word by word.
"""

from __future__ import annotations

import os
import re
import ssl
import subprocess
from pathlib import Path

import pytest

from programs import documents
from programs.challtestsrv import ChallTestSrv
from programs.haproxy import HAProxy
from programs.nginx import Nginx
from programs.pebble import TOP, Pebble
from programs.place import Place
from programs.ports import free_port, has_ipv6
from programs.program import PATIENCE, clean_environment, wait_until
from programs.renewd import Renewd, program
from programs.tls import served

NAME = "example.net"
CONF = "/etc/renewd/renewd.conf"

# As it comes with Debian's nginx: whatever isn't for another server is for this one.
DEBIANS_SITE = """
server {
    listen 80 default_server;
    listen [::]:80 default_server;
    root /var/www/html;
    server_name _;
}
"""


def replaced(text: str, *pairs: tuple[str, str]) -> str:
    """Each must be there: else the document has changed, and this test must follow."""
    for pattern, new in pairs:
        text, count = re.subn(pattern, new, text, flags=re.M)
        assert count, f"{pattern} isn't in\n{text}"
    return text


class Example(Renewd):
    """renewd with the README's configuration, on a port and in folders of the test."""

    example = ""

    def use(self, http_port: int, target: str, pid_file: Path) -> None:
        """One of its targets; told by pidfile, as there is no systemd here."""
        ca = self.sections["ca pebble"]
        other = {"edge": "web", "web": "edge"}[target]
        self.example = replaced(
            documents.file_block("README.md", CONF),
            (r"127\.0\.0\.1:8402", f"127.0.0.1:{http_port}"),
            (r"^\[ca letsencrypt\]$", f"[ca letsencrypt]\ndirectory = {ca['directory']}\n"
                                      f"trust_file = {ca['trust_file']}"),
            (rf"^\[deploy {other}\]\n(.+\n)+", ""),
            (r"^(deploy +=) edge web$", f"deploy = {target}"),
            (r"^unit = .*", f"pidfile = {pid_file}"))

    def config_text(self) -> str:
        self.sections = {name: keys for name, keys in self.sections.items()
                         if name in ("renewd", "control")} if self.example else self.sections
        return super().config_text() + "\n" + self.example


def begin(daemon: Example) -> None:
    """It tries at once, and nobody passes the challenge on yet."""
    daemon.start()
    daemon.wait_certificate(NAME, state="new", activity="waiting")


def issue(daemon: Example, ca: Pebble, port: int, kinds: tuple[str, ...]) -> None:
    """The certificate comes through the web server, which then serves it."""
    daemon.ctl("renew", NAME, "--wait")
    root = ca.root_file()

    def is_served(name: str, kind: str) -> bool:
        try:  # a worker from before the reload has the placeholder
            return served(port, name, kind, root).names == {NAME, f"www.{NAME}"}
        except ssl.SSLCertVerificationError:
            return False

    for kind in kinds:
        for name in (NAME, f"www.{NAME}"):
            wait_until(lambda n=name, k=kind: is_served(n, k), f"{name} has {kind}", 30)


@pytest.fixture
def dns(place: Place) -> ChallTestSrv:
    """Names have both kinds of addresses, as the README wants it; CAs prefer IPv6."""
    it = ChallTestSrv(place, default_ipv6="::1" if has_ipv6() else "")
    it.start()
    return it


def test_readme_haproxy(place: Place, pebble: Pebble) -> None:
    daemon, tls = Example(place, pebble, http_port=free_port()), free_port(ipv6=True)
    text = replaced(documents.file_block("README.md", "/etc/haproxy/haproxy.cfg"),
                    (r":::80 v4v6", f":::{pebble.http_port} v4v6"),
                    (r":::443 v4v6", f":::{tls} v4v6"), (r"127\.0\.0\.1:8402",
                    f"127.0.0.1:{daemon.http_port}"), ("/var/lib/renewd/live",
                                                        str(daemon.bundle_dir)))
    haproxy = HAProxy(place, "    mode http\n" + text)  # Debian's file says that
    daemon.use(daemon.http_port, "edge", haproxy.pid_file)
    begin(daemon)
    haproxy.start()  # with the placeholder
    issue(daemon, pebble, tls, ("ecdsa", "rsa"))


def test_readme_nginx(place: Place, pebble: Pebble) -> None:
    """Beside Debian's default site, which must not get the challenges."""
    daemon, tls = Example(place, pebble, http_port=free_port()), free_port(ipv6=True)
    text = replaced(DEBIANS_SITE + documents.file_block(
        "README.md", f"/etc/nginx/conf.d/{NAME}.conf"),
        (r"(listen (?:\[::\]:)?)80\b", rf"\g<1>{pebble.http_port}"),
        (r"(listen (?:\[::\]:)?)443", rf"\g<1>{tls}"),
        (r"127\.0\.0\.1:8402", f"127.0.0.1:{daemon.http_port}"),
        ("/var/lib/renewd/live", str(daemon.bundle_dir)))
    nginx = Nginx(place, text, [pebble.http_port, tls])
    daemon.use(daemon.http_port, "web", nginx.pid_file)
    begin(daemon)
    nginx.start()
    issue(daemon, pebble, tls, ("ecdsa",))


def test_readme_practice(renewd: Renewd, pebble: Pebble) -> None:
    """From letsencrypt-staging to letsencrypt by changing the name: it is ordered anew."""
    del renewd.sections["ca pebble"]
    renewd.set("defaults", ca=None)
    renewd.add_ca("letsencrypt-staging", pebble)
    renewd.add_certificate(NAME)
    renewd.start()
    before = renewd.wait_state(NAME)
    assert before["ca"] == "letsencrypt-staging"
    del renewd.sections["ca letsencrypt-staging"]
    renewd.add_ca("letsencrypt", pebble)
    renewd.reload()
    after = renewd.wait_certificate(NAME, ca="letsencrypt", activity="idle")
    assert after["certificates"][0]["serial"] != before["certificates"][0]["serial"]


def test_readme_error(place: Place) -> None:
    """The mistake that the README shows is found with the line and the words it shows."""
    (shown,) = [block.text.strip() for block in documents.markdown("README.md")
                if block.text.startswith(CONF)]
    daemon = Renewd(place)
    daemon.config_path.write_text(replaced(documents.file_block("README.md", CONF),
                                           (r"^domains ", "domain ")))
    done = daemon.run("-c", daemon.config_path, "--check")
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr == shown.replace(CONF, str(daemon.config_path)) + "\n"


def test_readme_packages() -> None:
    """What it has an administrator install to build is what `./dev setup` would."""
    commands = [c for block in documents.markdown("README.md", "Install on Debian 12")
                for c in block.commands]
    (install,) = [c.split()[2:] for c in commands if c.startswith("apt-get install ")]
    listed = re.search(r"^packages='(.*?)'", (TOP / "dev").read_text(), re.M | re.S)
    assert listed
    built = set(listed[1].partition("clang")[0].split()) - {"check", "xz-utils", "libc6-dev"}
    assert set(install) - {"polkitd", "ca-certificates"} == built


def check(daemon: Renewd, text: str) -> str:
    """--check finds nothing, and --print-config prints what it reads in the same way."""
    path = daemon.folder / "example.conf"
    path.write_text(text)
    done = daemon.run("-c", path, "--check")
    assert (done.returncode, done.stdout) == (0, "")
    # only what the unit's sandbox would forbid is said
    assert not done.stderr or done.stderr.startswith("note: renewd.service")
    printed = daemon.run("-c", path, "--print-config").stdout
    path.write_text(printed)
    assert daemon.run("-c", path, "--print-config").stdout == printed
    return printed


def test_readme_checks(place: Place) -> None:
    daemon = Renewd(place)
    printed = check(daemon, documents.file_block("README.md", CONF))
    assert f"[certificate {NAME}]" in printed
    first = documents.markdown("README.md")[0].text  # only a taste, but a true one
    check(daemon, f"[ca letsencrypt]\naccept_terms = yes\n[deploy edge]\ntype = haproxy\n"
                  f"unit = haproxy.service\n{first}")


def test_example_file(place: Place) -> None:
    """As installed it is the defaults; with every example taken it is a configuration."""
    daemon = Renewd(place)
    text = (TOP / "conf/renewd.conf").read_text()
    assert check(daemon, text) == check(daemon, "")
    every = re.sub(r"^#(?=[\[\w])", "", text, flags=re.M)
    printed = check(daemon, every)
    sections = re.findall(r"^\[.*\]$", every, re.M)
    assert len(sections) > 10 and all(f"{section}\n" in printed for section in sections)


def test_manual_configurations(place: Place) -> None:
    daemon = Renewd(place)
    examples = [text for text in documents.mdoc("renewd.conf.5")
                if not text.startswith("crt-store ")]  # HAProxy's
    assert len(examples) > 3
    for text in examples:
        assert "[certificate " in check(daemon, text)


def test_manual_commands(place: Place, renewd: Renewd) -> None:
    """renewctl(1), line by line, with a daemon that has what they name."""
    tools = place.folder("bin")
    (tools / "renewctl").write_text(
        f'#!/bin/sh\nexec {program("renewctl")} -s {renewd.socket} "$@"\n')
    (tools / "renewctl").chmod(0o755)
    renewd.set("deploy edge", type="exec", command="/bin/true")
    renewd.add_certificate(NAME, domains=[NAME, f"www.{NAME}"])
    renewd.start()
    renewd.wait_state(NAME)
    env = clean_environment(HOME=str(tools))
    env["PATH"] = f"{tools}:{env['PATH']}"
    lines = [line for text in documents.mdoc("renewctl.1", "EXAMPLES")
             for line in text.splitlines()]
    assert len(lines) > 5
    for line in lines:
        done = subprocess.run(["sh", "-ec", line], env=env, cwd=tools, text=True, check=False,
                              capture_output=True, timeout=60 * PATIENCE)
        assert (done.returncode, done.stderr) == (0, ""), f"{line}\n{done}"
    assert os.path.getsize(tools / "example.net.pem") > 1000
