"""Debian 12 with systemd from its boot on: renewd as its own user, installed by `make
install`; Debian's haproxy.service and nginx.service, reloaded over D-Bus; a Pebble.

One test, as one machine takes a while: a first boot, certificates, reload, what polkit
forbids, restart, watchdog, reboot.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator

import pytest

from programs import machine as machines
from programs.authority import self_signed
from programs.machine import Machine
from programs.pebble import TOP
from programs.place import Place
from programs.program import wait_until
from programs.renewd import build_folder

pytestmark = pytest.mark.timeout(600)

NAME = "www.example.test"
OTHER = "other.example.test"
LATER = "later.example.test"

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

RENEWD_CONF = """\
[http-01]
listen = 127.0.0.1:8402
[ca pebble]
directory = https://127.0.0.1:14000/dir
trust_file = /etc/pebble/pebble.crt
accept_terms = yes
[defaults]
ca = pebble
[deploy edge]
type = haproxy
unit = haproxy.service
[deploy web]
type = nginx
unit = nginx.service
[deploy web-again]
type = systemd
unit = nginx.service
action = reload-or-restart
[deploy forbidden]
type = systemd
unit = dbus.service
""" f"""\
[certificate {NAME}]
keys = ecdsa-p256 rsa-2048
deploy = edge web web-again
[certificate {OTHER}]
deploy = forbidden
"""

# After what Debian's file begins with.
HAPROXY_CFG = f"""
frontend plain
    bind :80
    use_backend renewd if {{ path_beg /.well-known/acme-challenge/ }}
frontend secure
    bind :443 ssl crt /var/lib/renewd/live/{NAME}/haproxy.pem
    http-request return status 200 content-type text/plain string haproxy
backend renewd
    server renewd 127.0.0.1:8402
"""

NGINX_SITE = f"""\
server {{
    listen 127.0.0.1:8443 ssl;
    ssl_certificate     /var/lib/renewd/live/{NAME}/fullchain.pem;
    ssl_certificate_key /var/lib/renewd/live/{NAME}/privkey.pem;
    return 200 nginx;
}}
"""


def config_path(machine: Machine) -> str:
    """Where the installed renewd looks for its configuration."""
    usage = machines.run(build_folder() / "renewd", "--help")
    match = re.search(r"instead of (/\S+)", usage)
    assert match, usage
    return match[1]


def install(machine: Machine) -> None:
    machines.run("make", "-s", "-C", build_folder(), "install", f"DESTDIR={machine.root}")
    machines.run("ldconfig", "-r", machine.root)
    machines.run("systemd-sysusers", f"--root={machine.root}")
    for unit in ("renewd.service", "pebble.service"):
        machines.run("systemctl", f"--root={machine.root}", "enable", unit)


def furnish(machine: Machine) -> None:
    """All that an administrator would write."""
    pair = self_signed(machine.folder, ["localhost", "127.0.0.1"])
    machine.write("/etc/pebble/pebble.crt", pair.cert.read_text())
    machine.write("/etc/pebble/pebble.key", pair.key.read_text())
    machine.write("/etc/pebble/pebble.json", json.dumps({"pebble": {
        "listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000",
        "certificate": "/etc/pebble/pebble.crt", "privateKey": "/etc/pebble/pebble.key",
        "httpPort": 80, "tlsPort": 443, "ocspResponderURL": "",
        "externalAccountBindingRequired": False}}))
    machine.write("/etc/systemd/system/pebble.service", PEBBLE_SERVICE)
    machine.write("/etc/hosts", f"127.0.0.1 localhost {NAME} {OTHER} {LATER}\n")
    haproxy = machine.root / "etc/haproxy/haproxy.cfg"
    haproxy.write_text(haproxy.read_text() + HAPROXY_CFG)
    (machine.root / "etc/nginx/sites-enabled/default").unlink()
    machine.write("/etc/nginx/conf.d/site.conf", NGINX_SITE)
    machine.write(config_path(machine), RENEWD_CONF)


@pytest.fixture
def machine(place: Place) -> Iterator[Machine]:
    why = machines.missing()
    if why:
        pytest.skip(f"no machine can be booted here: {why}")
    if "sanitize" in (build_folder() / "Makefile").read_text().partition("SANITIZE_FLAGS =")[2] \
            .partition("\n")[0]:
        pytest.skip("the unit's hardening forbids what sanitizers need; the plain build is tested")
    it = Machine(place)
    furnish(it)
    install(it)
    yield it
    it.stop()
    it.close()


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


def check_first_boot(machine: Machine) -> None:
    for unit in ("renewd", "haproxy", "nginx"):
        assert machine.property(unit, "ActiveState") == "active", unit
    assert machine.run("ps", "-o", "user=", "-p", main_pid(machine)).strip() == "renewd"
    for unit in ("haproxy", "nginx"):  # their bundles were there when they started
        assert int(machine.property("renewd", "ActiveEnterTimestampMonotonic")) <= \
            int(machine.property(unit, "InactiveExitTimestampMonotonic")), unit
    wait_until(lambda: "2 certificates" in machine.property("renewd", "StatusText"),
               "a status text")
    assert events(machine, "READY")


def check_issue(machine: Machine) -> None:
    """A first attempt may have come before haproxy was up: so asked again."""
    wait_until(lambda: machine.try_run("renewctl", "renew", NAME, "--wait").returncode == 0,
               "the certificate is issued", 60)
    wait_until(lambda: all(d["state"] == "deployed" for d in deployments(machine, NAME).values())
               and len(deployments(machine, NAME)) == 3, "all is deployed", 90)
    mine = serials(machine, NAME)
    assert len(mine) == 2
    wait_until(lambda: served(machine, 443) in mine, "haproxy serves it")
    wait_until(lambda: served(machine, 8443) in mine, "nginx serves it")


def check_journal(machine: Machine) -> None:
    issued = events(machine, "ISSUED", f"RENEWD_CERTIFICATE={NAME}")
    assert len(issued) == 2  # ECDSA, RSA
    assert {e["RENEWD_CA"] for e in issued} == {"pebble"}
    assert all(e["RENEWD_ORDER"].startswith("https://127.0.0.1:14000/") for e in issued)
    assert {e["PRIORITY"] for e in issued} == {"5"}
    targets = {e["RENEWD_TARGET"] for e in events(machine, "DEPLOYED")}
    assert targets >= {"edge", "web", "web-again"}
    machine.run("journalctl", "--update-catalog")
    catalog = machine.run("journalctl", "--dump-catalog", event_id("DEPLOY_FAILED"))
    assert "renewctl deploy" in catalog


def check_forbidden(machine: Machine) -> None:
    """polkit doesn't let renewd touch other units, and the administrator reads what helps."""
    machine.try_run("renewctl", "renew", OTHER, "--wait", "--timeout=2m", timeout=150)
    wait_until(lambda: deployments(machine, OTHER).get("forbidden", {}).get("state") == "failed",
               "the deployment is refused", 60)
    detail = deployments(machine, OTHER)["forbidden"]["detail"]
    assert "user renewd may not reload dbus.service" in detail
    assert "/etc/polkit-1/rules.d" in detail
    assert len(events(machine, "DEPLOY_FAILED", "RENEWD_TARGET=forbidden")) == 1


def check_reload(machine: Machine) -> None:
    path, pid = config_path(machine), main_pid(machine)
    machine.write(path, RENEWD_CONF + f"[certificate {LATER}]\n")
    machine.run("systemctl", "reload", "renewd")
    wait_until(lambda: events(machine, "RELOADED"), "the reload is said")
    machine.run("renewctl", "show", LATER)
    machine.write(path, "[certificate\n")
    assert machine.try_run("systemctl", "reload", "renewd").returncode != 0
    wait_until(lambda: events(machine, "RELOAD_REFUSED"), "the refusal is said")
    machine.write(path, RENEWD_CONF)
    machine.run("systemctl", "reload", "renewd")
    wait_until(lambda: len(events(machine, "RELOADED")) == 2, "the second reload is said")
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


def check_reboot(machine: Machine) -> None:
    mine = serials(machine, NAME)
    machine.reboot()
    for unit in ("renewd", "haproxy", "nginx"):
        assert machine.property(unit, "ActiveState") == "active", unit
    assert serials(machine, NAME) == mine
    assert served(machine, 443) in mine
    assert served(machine, 8443) in mine


def test_boot(machine: Machine) -> None:
    machine.start()
    check_unit(machine)
    check_first_boot(machine)
    check_issue(machine)
    check_journal(machine)
    check_forbidden(machine)
    check_reload(machine)
    check_restart(machine)
    check_watchdog(machine)
    check_reboot(machine)
