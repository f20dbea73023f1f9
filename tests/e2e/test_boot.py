"""Debian 12 with systemd, as README.md has an administrator find it and leave it: renewd
installed by `make install` and running as its own user; Debian's haproxy.service and
nginx.service, reloaded over D-Bus; a Pebble in the place of Let's Encrypt.

One test, as one machine takes a while: the README from "Configure" to its last command,
what polkit forbids, reload, restart, watchdog, socket, reboot.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from programs import documents
from programs import machine as machines
from programs.authority import self_signed
from programs.documents import Block
from programs.machine import Machine
from programs.pebble import TOP
from programs.place import Place
from programs.program import wait_until
from programs.renewd import build_folder

pytestmark = pytest.mark.timeout(600)

NAME = "example.net"  # the README's
OTHER = "other.example.test"
LATER = "later.example.test"
HOOKED = "hooked.example.test"

PEBBLE_SERVICE = """\
[Unit]
After=network.target
Before=renewd.service
[Service]
Environment=PEBBLE_VA_NOSLEEP=1
ExecStart=/usr/bin/pebble -config /etc/pebble/pebble.json
ExecStartPost=/bin/sh -c 'until curl -sko /dev/null https://127.0.0.1:14000/dir; do sleep 0.1; done'
[Install]
WantedBy=multi-user.target
"""

# This Let's Encrypt is a Pebble.
CA = """\
directory = https://127.0.0.1:14000/dir
trust_file = /etc/pebble/pebble.crt
"""

# What the README's configuration doesn't show.
MORE_CONF = f"""
[deploy web-again]
type = systemd
unit = nginx.service
action = reload-or-restart
[deploy forbidden]
type = systemd
unit = dbus.service
[certificate {OTHER}]
deploy = web-again forbidden
"""

# What has to be done as root, a unit that no shipped rule names, and files elsewhere.
HOOKS_CONF = f"""
[deploy root]
type = systemd
unit = renewd-deploy@{{name}}.service
action = start
[deploy own]
type = systemd
unit = own.service
action = restart
[deploy copies]
type = directory
key_path = /etc/own/{{name}}.key
group = www-data
[certificate {HOOKED}]
deploy = root own copies
"""
OWN_SERVICE = "[Service]\nExecStart=/bin/sleep infinity\n"
HOOK = """\
#!/bin/sh
if [ -e /root/broken ]; then exit 3; fi
{ id -un; echo "$RENEWD_CERTIFICATE"; cat "$RENEWED_LINEAGE/cert.pem"; } >/root/hook
"""

# Done before the machine boots; it has neither a compiler nor a network.
DONE_BEFORE = ("apt-get", "./dev", "make")


def config_path(machine: Machine) -> str:
    """Where the installed renewd looks for its configuration."""
    usage = machines.run(build_folder() / "renewd", "--help")
    match = re.search(r"instead of (/\S+)", usage)
    assert match, usage
    return match[1]


def install(machine: Machine) -> None:
    machines.run("make", "-s", "-C", build_folder(), "install", f"DESTDIR={machine.root}")
    machines.run("systemctl", f"--root={machine.root}", "enable", "pebble.service")


def furnish(machine: Machine) -> None:
    """The world around it: a CA, and names that point here."""
    pair = self_signed(machine.folder, ["localhost", "127.0.0.1"])
    machine.write("/etc/pebble/pebble.crt", pair.cert.read_text())
    machine.write("/etc/pebble/pebble.key", pair.key.read_text())
    machine.write("/etc/pebble/pebble.json", json.dumps({"pebble": {
        "listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000",
        "certificate": "/etc/pebble/pebble.crt", "privateKey": "/etc/pebble/pebble.key",
        "httpPort": 80, "tlsPort": 443, "ocspResponderURL": "",
        "externalAccountBindingRequired": False}}))
    machine.write("/etc/systemd/system/pebble.service", PEBBLE_SERVICE)
    machine.write("/etc/hosts", f"127.0.0.1 localhost {NAME} www.{NAME} {OTHER} {LATER} {HOOKED}\n")
    # Both servers on one machine: HAProxy has the ports, see nginx_ports().
    (machine.root / "etc/nginx/sites-enabled/default").unlink()


def nginx_ports(text: str) -> str:
    text = re.sub(r"(listen (?:\[::\]:)?)443", r"\g<1>8443", text)
    return re.sub(r"(listen (?:\[::\]:)?)80\b", r"\g<1>8480", text)


def configuration() -> str:
    """The README's, with a CA that can be had here."""
    text = documents.file_block("README.md", "/etc/renewd/renewd.conf")
    text, count = re.subn(r"^(\[ca letsencrypt\]\n)", rf"\g<1>{CA}", text, flags=re.M)
    assert count == 1
    return text


@pytest.fixture
def machine(place: Place) -> Iterator[Machine]:
    if "sanitize" in (build_folder() / "Makefile").read_text().partition("SANITIZE_FLAGS =")[2] \
            .partition("\n")[0]:
        pytest.skip("the unit's hardening forbids what sanitizers need; the plain build is tested")
    with machines.alone():
        why = machines.missing()
        if why:
            pytest.skip(f"no machine can be booted here: {why}")
        it = Machine(place)
        furnish(it)
        install(it)
        yield it
        it.stop()


def journal(machine: Machine, *matches: str) -> list[dict[str, str]]:
    """Entries of renewd's, with all their fields."""
    text = machine.run("journalctl", "-o", "json", "--no-pager", "-u", "renewd", *matches)
    return [json.loads(line) for line in text.splitlines()]


def event_id(name: str) -> str:
    source = (TOP / "daemon/platform/log_event.c").read_text()
    match = re.search(rf'\[LOG_EVENT_{name}\]\s*=\s*"(\w+)"', source)
    assert match, name
    return match[1]


def events(machine: Machine, name: str, *matches: str) -> list[dict[str, str]]:
    return journal(machine, f"MESSAGE_ID={event_id(name)}", *matches)


def show(machine: Machine, name: str) -> dict:
    return json.loads(machine.run("renewctl", "--json", "show", name))


def serials(machine: Machine, name: str) -> set[str]:
    return {c["serial"] for c in show(machine, name)["certificates"]}


def deployments(machine: Machine, name: str) -> dict[str, dict]:
    return {d["target"]: d for d in show(machine, name)["deployments"]}


def served(machine: Machine, port: int) -> str:
    """The serial of what answers there, as renewd writes it."""
    done = subprocess.run(
        ["nsenter", "--target", str(machine.leader), "--net", "--", "openssl", "s_client",
         "-connect", f"127.0.0.1:{port}", "-servername", NAME],
        input="", capture_output=True, text=True, check=False, timeout=20)
    serial = subprocess.run(["openssl", "x509", "-noout", "-serial"], input=done.stdout,
                            capture_output=True, text=True, check=False).stdout
    return serial.strip().partition("=")[2].lower()


def main_pid(machine: Machine) -> str:
    return machine.property("renewd", "MainPID")


def is_up(machine: Machine, pid_before: str) -> bool:
    return machine.property("renewd", "ActiveState") == "active" and \
        main_pid(machine) not in ("0", pid_before)


# ---- the steps ----

def check_unit(machine: Machine) -> None:
    """systemd has nothing to complain of, and little to fear."""
    unit = machine.property("renewd", "FragmentPath")
    done = machine.try_run("systemd-analyze", "verify", "--man=no", unit, "renewd-http.socket")
    assert (done.returncode, done.stderr) == (0, "")
    machine.run("systemd-analyze", "security", "--offline=yes", "--threshold=25", unit)


def write_file(machine: Machine, block: Block) -> None:
    """As the README says where it shows one."""
    if block.path == config_path(machine):
        machine.write(block.path, configuration())
    elif block.path == "/etc/haproxy/haproxy.cfg":
        path = machine.root / block.path.lstrip("/")
        path.write_text(path.read_text() + block.text)
    else:
        assert block.path == "/etc/nginx/conf.d/example.net.conf"
        machine.write(block.path, nginx_ports(block.text))


def follow(machine: Machine, heading: str) -> list[str]:
    """Does what this part of the README shows, in its order; returns the commands."""
    done = []
    for block in documents.markdown("README.md", heading):
        if block.path:
            write_file(machine, block)
        for command in block.commands:
            if command.split()[0] in DONE_BEFORE:
                continue
            if command.startswith("renewctl renew"):  # HAProxy may still be at its reload
                wait_until(lambda c=command: machine.try_run("sh", "-c", c).returncode == 0,
                           command, 60)
            machine.run("sh", "-c", command)
            done.append(command)
    return done


def check_readme(machine: Machine) -> None:
    """From an unpacked renewd to certificates that are served."""
    followed = follow(machine, "Install on Debian 12")
    assert {"renewd --check", "systemctl enable --now renewd", "systemctl reload haproxy",
            "systemctl reload nginx", f"renewctl renew {NAME} --wait"} <= set(followed)
    wait_until(lambda: sorted(deployments(machine, NAME)) == ["edge", "web"] and all(
        d["state"] == "deployed" for d in deployments(machine, NAME).values()),
        "all is deployed", 90)
    mine = serials(machine, NAME)
    assert len(mine) == 2
    wait_until(lambda: served(machine, 443) in mine, "haproxy serves it")
    wait_until(lambda: served(machine, 8443) in mine, "nginx serves it")
    for port in ("80", "8480"):  # as in its table of troubles
        reply = machine.run("curl", "-is", f"http://{NAME}:{port}/.well-known/acme-challenge/x")
        assert reply.startswith("HTTP/1.1 404") and reply.endswith("\n\n"), reply
    looked = follow(machine, "Three in the morning")
    assert f"renewctl show {NAME}" in looked and "renewctl health" in looked


def check_manual(machine: Machine) -> None:
    """The commands that renewd(8) shows; they need a journal and a socket in their places."""
    for line in documents.mdoc("renewd.8"):
        assert machine.run("sh", "-c", line), line


def check_running(machine: Machine) -> None:
    for unit in ("renewd", "haproxy", "nginx"):
        assert machine.property(unit, "ActiveState") == "active", unit
    assert machine.run("ps", "-o", "user=", "-p", main_pid(machine)).strip() == "renewd"
    wait_until(lambda: "2 certificates" in machine.property("renewd", "StatusText"),
               "a status text")
    assert events(machine, "READY")


def check_journal(machine: Machine) -> None:
    issued = events(machine, "ISSUED", f"RENEWD_CERTIFICATE={NAME}")
    assert len(issued) == 2  # ECDSA, RSA
    assert {e["RENEWD_CA"] for e in issued} == {"letsencrypt"}
    assert all(e["RENEWD_ORDER"].startswith("https://127.0.0.1:14000/") for e in issued)
    assert {e["PRIORITY"] for e in issued} == {"5"}
    targets = {e["RENEWD_TARGET"] for e in events(machine, "DEPLOYED")}
    assert targets == {"edge", "web"}
    catalog = machine.run("journalctl", "--dump-catalog", event_id("DEPLOY_FAILED"))
    assert "renewctl deploy" in catalog


def check_forbidden(machine: Machine) -> None:
    """polkit doesn't let renewd touch other units, and the administrator reads what helps."""
    machine.write(config_path(machine), configuration() + MORE_CONF + HOOKS_CONF)
    machine.write(str(Path(config_path(machine)).parent / "deploy.d" / HOOKED), HOOK, 0o755)
    machine.write("/etc/systemd/system/own.service", OWN_SERVICE)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "reload", "renewd")
    machine.try_run("renewctl", "renew", OTHER, "--wait", "--timeout=2m", timeout=150)
    wait_until(lambda: deployments(machine, OTHER).get("forbidden", {}).get("state") == "failed",
               "the deployment is refused", 60)
    detail = deployments(machine, OTHER)["forbidden"]["detail"]
    assert "user renewd may not reload dbus.service" in detail
    assert "/etc/polkit-1/rules.d" in detail
    assert len(events(machine, "DEPLOY_FAILED", "RENEWD_TARGET=forbidden")) == 1
    assert deployments(machine, OTHER)["web-again"]["state"] == "deployed"


def redeploy(machine: Machine, target: str, state: str, text: str = "") -> None:
    machine.run("renewctl", "deploy", HOOKED)
    wait_until(lambda: deployments(machine, HOOKED).get(target, {}).get("state") == state and
               text in deployments(machine, HOOKED)[target]["detail"],
               f"{target} is {state}: {text}", 60)


def check_root_hook(machine: Machine) -> None:
    """A program of root's, run by the template unit; its failure is the deployment's."""
    done = machine.try_run("systemd-analyze", "verify", "--man=no",
                           f"renewd-deploy@{HOOKED}.service")
    assert (done.returncode, done.stderr) == (0, "")
    wait_until(lambda: deployments(machine, HOOKED).get("root", {}).get("state") == "deployed",
               "root's program was run", 90)
    said = (machine.root / "root/hook").read_text()
    cert = machine.run("cat", f"/var/lib/renewd/live/{HOOKED}/cert.pem")
    assert said == f"root\n{HOOKED}\n{cert}"
    machine.write("/root/broken", "")
    redeploy(machine, "root", "failed", f"start renewd-deploy@{HOOKED}.service: it failed")
    (machine.root / "root/broken").unlink()
    redeploy(machine, "root", "deployed")
    # what renewd may start so is what root has put there
    for unit in ("renewd-deploy@nothing.service", "own.service", "rescue.service"):
        done = machine.try_run("setpriv", "--reuid=renewd", "--clear-groups", "busctl", "call",
                               "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                               "org.freedesktop.systemd1.Manager", "StartUnit", "ss", unit,
                               "replace")
        assert (done.returncode == 0) == unit.startswith("renewd-deploy"), (unit, done.stderr)


def check_polkit_rule(machine: Machine) -> None:
    """What renewctl prints allows what the configuration names, and no more."""
    redeploy(machine, "own", "failed", "user renewd may not restart own.service")
    assert "renewctl polkit" in deployments(machine, HOOKED)["own"]["detail"]
    machine.run("sh", "-c", "renewctl polkit >/etc/polkit-1/rules.d/60-renewd.rules")
    wait_until(lambda: machine.try_run(
        "setpriv", "--reuid=renewd", "--clear-groups", "busctl", "call",
        "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
        "org.freedesktop.systemd1.Manager", "RestartUnit", "ss", "own.service",
        "replace").returncode == 0, "polkit has read it", 20)
    redeploy(machine, "own", "deployed")
    for method, unit in (("StopUnit", "own.service"), ("RestartUnit", "polkit.service"),
                         ("StartUnit", "own.service")):
        assert machine.try_run("setpriv", "--reuid=renewd", "--clear-groups", "busctl", "call",
                               "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                               "org.freedesktop.systemd1.Manager", method, "ss", unit,
                               "replace").returncode != 0


def check_sandbox(machine: Machine) -> None:
    """Files elsewhere: refused, --check prints the drop-in, and with it they are written."""
    redeploy(machine, "copies", "failed", "the unit's sandbox, or the file system, is read-only")
    done = machine.try_run("renewd", "--check")
    assert done.returncode == 0 and "ReadWritePaths=-/etc/own\n" in done.stderr
    lines = done.stderr.partition("[Service]\n")[2]
    machine.run("install", "-d", "-o", "renewd", "/etc/own")
    machine.write("/etc/systemd/system/renewd.service.d/files.conf",
                  f"[Service]\n{lines}SupplementaryGroups=www-data\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", "renewd")
    redeploy(machine, "copies", "deployed")
    listed = machine.run("stat", "-c", "%U %G %a", f"/etc/own/{HOOKED}.key").split()
    assert listed == ["renewd", "www-data", "640"]


def check_reload(machine: Machine) -> None:
    path, pid = config_path(machine), main_pid(machine)
    before = len(events(machine, "RELOADED"))
    machine.write(path, configuration() + MORE_CONF + f"[certificate {LATER}]\n")
    machine.run("systemctl", "reload", "renewd")
    wait_until(lambda: len(events(machine, "RELOADED")) == before + 1, "the reload is said")
    machine.run("renewctl", "show", LATER)
    machine.write(path, "[certificate\n")
    assert machine.try_run("systemctl", "reload", "renewd").returncode != 0
    wait_until(lambda: events(machine, "RELOAD_REFUSED"), "the refusal is said")
    machine.write(path, configuration() + MORE_CONF)
    machine.run("systemctl", "reload", "renewd")
    wait_until(lambda: len(events(machine, "RELOADED")) == before + 2, "the second one is said")
    assert machine.property("renewd", "ActiveState") == "active"
    assert main_pid(machine) == pid


def check_restart(machine: Machine) -> None:
    mine, pid, orders = serials(machine, NAME), main_pid(machine), len(events(machine, "ISSUED"))
    machine.run("systemctl", "restart", "renewd")
    assert is_up(machine, pid)
    assert events(machine, "STOPPED")
    assert serials(machine, NAME) == mine
    assert len(events(machine, "ISSUED", f"RENEWD_CERTIFICATE={NAME}")) == 2 <= orders


def check_watchdog(machine: Machine) -> None:
    """Well fed, it lives on; stopped, it is ended and started anew."""
    machine.write("/etc/systemd/system/renewd.service.d/quick.conf",
                  "[Service]\nWatchdogSec=3s\nTimeoutAbortSec=1s\nRestartSec=100ms\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", "renewd")
    pid = main_pid(machine)
    machine.run("sleep", "5")
    assert main_pid(machine) == pid
    machine.run("kill", "-STOP", pid)
    wait_until(lambda: is_up(machine, pid), "systemd has started it anew", 30)
    assert machine.property("renewd", "NRestarts") == "1"
    assert "Watchdog timeout" in machine.run("journalctl", "--no-pager", "-u", "renewd")


def check_socket(machine: Machine) -> None:
    """The listener may be systemd's: renewd then opens none of its own."""
    machine.write("/etc/systemd/system/renewd-http.socket.d/port.conf",
                  "[Socket]\nListenStream=\nListenStream=127.0.0.1:8402\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "stop", "renewd")
    machine.run("systemctl", "start", "renewd-http.socket")
    machine.run("systemctl", "start", "renewd")
    users = machine.run("ss", "-Hltnp", "sport = :8402")
    assert "systemd" in users and "renewd" in users
    machine.run("renewctl", "renew", OTHER, "--force", "--wait")


def check_reboot(machine: Machine) -> None:
    """All comes back, and the servers find their bundles when they start."""
    mine = serials(machine, NAME)
    machine.reboot()
    check_running(machine)
    for unit in ("haproxy", "nginx"):
        assert int(machine.property("renewd", "ActiveEnterTimestampMonotonic")) <= \
            int(machine.property(unit, "InactiveExitTimestampMonotonic")), unit
    assert serials(machine, NAME) == mine
    assert served(machine, 443) in mine
    assert served(machine, 8443) in mine


def test_boot(machine: Machine) -> None:
    machine.start()
    check_readme(machine)
    check_manual(machine)
    check_unit(machine)
    check_journal(machine)
    check_forbidden(machine)
    check_root_hook(machine)
    check_polkit_rule(machine)
    check_sandbox(machine)
    check_reload(machine)
    check_restart(machine)
    check_watchdog(machine)
    check_socket(machine)
    check_reboot(machine)
