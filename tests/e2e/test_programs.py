"""The harness itself: does each program start, answer, stop, and leave nothing behind?"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import ssl
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from needs import or_skip
from programs.authority import KeyPair, self_signed
from programs.challtestsrv import ChallTestSrv
from programs.haproxy import HAProxy
from programs.nginx import Nginx
from programs.pebble import INSTALLED, NEWER, Pebble, programs_of
from programs.place import LeftBehind, Place
from programs.ports import accepts, free_port, has_ipv6
from programs.program import Program, ProgramError, wait_until
from programs.renewd import Renewd
from programs.tls import served, served_chain

both_pebbles = pytest.mark.parametrize("version", [
    pytest.param(version, marks=pytest.mark.pebble(version=version), id=f"pebble-{version}")
    for version in (INSTALLED, NEWER)])


class Shell(Program):
    """A shell script as a program, to see how the harness treats its kinds."""

    name = "shell"
    start_timeout = 5
    stop_timeout = 5

    def __init__(self, place: Place, script: str) -> None:
        super().__init__(place)
        self.script = script

    def command(self) -> list[str]:
        return ["sh", "-c", self.script]

    def ready(self) -> bool:
        return "ready" in self.output_of_run()


@pytest.fixture
def trouble() -> Iterator[Place]:
    """A place whose end is itself the test; it would keep its folder for a reader."""
    it = Place()
    yield it
    shutil.rmtree(it.path, ignore_errors=True)


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def answers(port: int, name: str, qtype: int = 1) -> tuple[int, list[bytes]]:
    """Asks a DNS server on 127.0.0.1: response code and data of the answers."""
    question = b"".join(bytes([len(p)]) + p.encode() for p in name.split("."))
    query = struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + question + \
        b"\0" + struct.pack("!2H", qtype, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.sendto(query, ("127.0.0.1", port))
        reply = sock.recv(4096)
    _, flags, _, count, _, _ = struct.unpack("!6H", reply[:12])
    rest, data = reply[len(query):], []
    for _ in range(count):
        while rest[0] != 0 and rest[0] < 0xC0:  # labels of the owner's name
            rest = rest[1 + rest[0]:]
        rest = rest[2:] if rest[0] >= 0xC0 else rest[1:]
        length = struct.unpack("!H", rest[8:10])[0]
        data.append(rest[10:10 + length])
        rest = rest[10 + length:]
    return flags & 15, data


# ---- places, ports, processes ----


def test_ports_are_free_and_never_given_twice() -> None:
    ports = [free_port(ipv6=True, udp=True) for _ in range(50)]
    assert len(set(ports)) == 50
    for port in ports[:5]:
        for host in ["127.0.0.1"] + ["::1"] * has_ipv6():
            assert not accepts(port, host)
            with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host
                                      else socket.AF_INET):
                assert accepts(port, host)


def test_a_program_is_started_and_stopped(place: Place) -> None:
    shell = Shell(place, "echo ready; exec sleep 1000")
    shell.start()
    pid = shell.pid
    assert shell.running and alive(pid) and os.getpgid(pid) == pid
    shell.stop()
    assert not shell.running and not alive(pid)
    shell.start()  # again, its output goes on
    assert shell.output() == "ready\nready\n"


def test_a_program_that_cannot_start_says_why(place: Place) -> None:
    with pytest.raises(ProgramError, match="status 3\n(.*\n)?no such luck"):
        Shell(place, "echo no such luck >&2; exit 3").start()


def test_a_program_that_gets_never_ready_says_so(place: Place) -> None:
    shell = Shell(place, "echo waiting; exec sleep 1000")
    shell.start_timeout = 0.2
    with pytest.raises(ProgramError, match="not within .* is ready\nwaiting"):
        shell.start()
    assert not shell.running


def test_a_bad_end_is_an_error(trouble: Place) -> None:
    shell = Shell(trouble, "trap 'echo broken; exit 5' TERM; echo ready; "
                         "while :; do sleep 0.05; done")
    shell.start()
    with pytest.raises(ProgramError, match="ended with status 5\n(.*\n)*broken"):
        trouble.close()
    assert not shell.running


def test_an_end_that_nobody_asked_for_is_an_error(trouble: Place) -> None:
    shell = Shell(trouble, "echo ready; read line <go; exit 0")
    os.mkfifo(shell.folder / "go")
    shell.start()
    (shell.folder / "go").write_text("now\n")
    wait_until(lambda: not shell.running, "it has ended")
    with pytest.raises(ProgramError, match="ended by itself, status 0"):
        trouble.close()


def test_a_program_that_ignores_sigterm_is_killed_and_told(trouble: Place) -> None:
    shell = Shell(trouble, "trap '' TERM; echo ready; while :; do sleep 0.05; done")
    shell.stop_timeout = 0.3
    shell.start()
    pid = shell.pid
    with pytest.raises(ProgramError, match="still runs"):
        trouble.close()
    assert not alive(pid)


def test_orphans_are_found_and_killed(trouble: Place) -> None:
    shell = Shell(trouble, "setsid sh -c 'echo $$ >orphan; echo ready; exec sleep 1234' & wait")
    shell.start()
    orphan = int((shell.folder / "orphan").read_text())
    with pytest.raises(LeftBehind, match=f"{orphan} .*sleep 1234"):
        trouble.close()
    assert not alive(orphan)


def test_children_in_the_process_group_end_with_their_program(trouble: Place) -> None:
    shell = Shell(trouble, "sleep 1234 & echo $! >child; echo ready; wait")
    shell.start()
    child = int((shell.folder / "child").read_text())
    trouble.close()
    assert not alive(child) and not trouble.path.exists()


def test_the_environment_of_a_program_is_ours(place: Place,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    shell = Shell(place, "env; echo ready; exec sleep 1000")
    shell.start()
    assert "https_proxy" not in shell.output() and "TZ=UTC" in shell.output()


# ---- challtestsrv ----


def folder_or_skip(version: str) -> Path:
    with or_skip():
        return programs_of(version)


@pytest.mark.parametrize("version", [INSTALLED, NEWER])
def test_dns_defaults_and_records(place: Place, version: str) -> None:
    aaaa = 28
    dns = ChallTestSrv(place, folder_or_skip(version) / "pebble-challtestsrv")
    dns.start()
    home, away = socket.inet_aton("127.0.0.1"), socket.inet_aton("127.0.0.2")
    assert answers(dns.dns_port, "www.example.org") == (0, [home])
    assert answers(dns.dns_port, "www.example.org", aaaa) == (0, [])
    dns.set_a("www.example.org", "127.0.0.2")
    dns.set_aaaa("www.example.org", "::1")
    assert answers(dns.dns_port, "www.example.org") == (0, [away])
    six = socket.inet_pton(socket.AF_INET6, "::1")
    assert answers(dns.dns_port, "www.example.org", aaaa) == (0, [six])
    dns.clear_a("www.example.org")
    dns.clear_aaaa("www.example.org")
    assert answers(dns.dns_port, "www.example.org") == (0, [home])
    dns.set_servfail("broken.example.org")
    assert answers(dns.dns_port, "broken.example.org")[0] == 2
    dns.clear_servfail("broken.example.org")
    assert answers(dns.dns_port, "broken.example.org") == (0, [home])
    assert len(dns.queries("broken.example.org")) == 2


# ---- pebble and its front ----


def get(pebble: Pebble, path: str,
        method: str = "GET") -> tuple[int, http.client.HTTPMessage, bytes]:
    return pebble.request(pebble.front.port, method, path)


@both_pebbles
def test_pebble_answers_through_its_front(pebble: Pebble, version: str) -> None:
    status, _, body = get(pebble, "/dir")
    directory = json.loads(body)
    assert status == 200
    for member in ("newNonce", "newAccount", "newOrder"):
        assert directory[member].startswith(pebble.url), "Host has to be passed on"
    assert ("renewalInfo" in directory) == (version == NEWER)
    nonces = set()
    for _ in range(3):
        path = directory["newNonce"].removeprefix(pebble.url)
        status, headers, _ = get(pebble, path, "HEAD")
        assert status == 200
        nonces.add(headers["Replay-Nonce"])
    assert len(nonces) == 3
    assert pebble.front.wait_count(3, path, "HEAD") == 3
    assert pebble.front.wait_count(1, "/dir") == 1
    assert pebble.front.connections() == 4
    with pytest.raises(ssl.SSLCertVerificationError):
        served(pebble.front.port, "localhost", root=root_of_nobody(pebble.place))


def root_of_nobody(place: Place) -> Path:
    return self_signed(place.path, ["nobody.example"], stem="nobody").trust_file


@both_pebbles
def test_pebble_forgets_at_restart_and_keeps_its_address(pebble: Pebble, version: str) -> None:
    before = pebble.root(), pebble.intermediate(), pebble.directory
    assert b"BEGIN CERTIFICATE" in before[0] and before[0] != before[1]
    pebble.restart()
    assert pebble.root() != before[0]
    assert pebble.directory == before[2]
    assert get(pebble, "/dir")[0] == 200


@pytest.mark.pebble(front=False)
def test_pebble_without_a_front(pebble: Pebble) -> None:
    status, _, body = pebble.request(pebble.port, "GET", "/dir")
    assert status == 200
    assert json.loads(body)["newOrder"].startswith(f"https://127.0.0.1:{pebble.port}/")


@pytest.mark.pebble(version=NEWER, profiles={"classic": 7776000, "shortlived": 518400},
                    eab_keys={"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUA"})
def test_pebble_options_reach_the_directory(pebble: Pebble) -> None:
    meta = json.loads(get(pebble, "/dir")[2])["meta"]
    assert set(meta["profiles"]) == {"classic", "shortlived"}
    assert meta["externalAccountRequired"] is True


def test_the_front_can_answer_instead_of_pebble(pebble: Pebble) -> None:
    pebble.front.set_lines('http-request return status 503 hdr Retry-After 5 if { path /dir }')
    status, headers, _ = get(pebble, "/dir")
    assert (status, headers["retry-after"]) == (503, "5")
    pebble.front.set_lines("")
    assert get(pebble, "/dir")[0] == 200
    wait_until(lambda: [r.status for r in pebble.front.requests("/dir")] == [503, 200],
               "both requests are in the log")


def test_the_front_lets_one_request_through_at_a_time(pebble: Pebble) -> None:
    links = [http.client.HTTPSConnection("127.0.0.1", pebble.front.port, timeout=20,
                                         context=pebble.tls_context()) for _ in range(8)]
    for link in links:
        link.request("GET", "/dir")
    assert [link.getresponse().status for link in links] == [200] * 8
    for link in links:
        link.close()
    assert int(pebble.front.stats()["pebble", "pebble"]["smax"]) == 1


# ---- web servers and what they serve ----


def key_pairs(place: Place) -> dict[str, KeyPair]:
    return {kind: self_signed(place.path, ["example.net", "127.0.0.1"], kind, stem=kind)
            for kind in ("ecdsa", "rsa")}


def test_haproxy_serves_reloads_and_counts(place: Place) -> None:
    pairs, port = key_pairs(place), free_port()
    config = "frontend web\n    mode http\n    bind 127.0.0.1:{port} ssl crt {crt}\n" \
        "    http-request return status 204\n"
    haproxy = HAProxy(place, config.format(port=port, crt=pairs["ecdsa"].both))
    haproxy.start()
    first = served(port, "example.net", root=pairs["ecdsa"].trust_file)
    assert (first.key, first.names) == ("ecdsa", {"example.net", "127.0.0.1"})
    assert first.serial in haproxy.ask(f"show ssl cert {pairs['ecdsa'].both}").lower()
    for by_signal, kind in ((False, "rsa"), (True, "ecdsa")):
        haproxy.configure(config.format(port=port, crt=pairs[kind].both))
        haproxy.reload(by_signal=by_signal)
        assert served(port, "example.net", root=pairs[kind].trust_file).key == kind
    assert haproxy.processes().reloads == 2
    assert int(haproxy.stats()["web", "FRONTEND"]["conn_tot"]) >= 1
    haproxy.configure("frontend nonsense\n    bind nowhere\n")
    with pytest.raises(ProgramError, match="reload failed"):
        haproxy.reload()
    assert served(port, "example.net").key == "ecdsa"


def test_nginx_serves_both_kinds_and_reloads(place: Place) -> None:
    pairs, port = key_pairs(place), free_port()
    lines = "".join(f"ssl_certificate {p.cert}; ssl_certificate_key {p.key};\n"
                    for p in pairs.values())
    server = f"server {{ listen 127.0.0.1:{port} ssl; server_name example.net;\n%s }}\n"
    nginx = Nginx(place, server % lines, [port])
    nginx.start()
    for kind, pair in pairs.items():
        leaf = served(port, "example.net", key=kind, root=pair.trust_file)
        assert leaf.key == kind
        assert leaf.fingerprint == type(leaf).of_file(pair.cert).fingerprint
    nginx.configure(server % lines.splitlines()[1])
    nginx.reload()
    assert served(port, "example.net").key == "rsa"
    with pytest.raises(ssl.SSLError):
        served(port, "example.net", key="ecdsa")


def test_served_verifies_name_and_root(place: Place) -> None:
    pairs, port = key_pairs(place), free_port()
    nginx = Nginx(place, f"server {{ listen 127.0.0.1:{port} ssl; "
                  f"ssl_certificate {pairs['rsa'].cert}; "
                  f"ssl_certificate_key {pairs['rsa'].key}; }}", [port])
    nginx.start()
    served(port, "example.net", root=pairs["rsa"].trust_file)
    for name, root in (("other.example", "rsa"), ("example.net", "ecdsa")):
        with pytest.raises(ssl.SSLCertVerificationError):
            served(port, name, root=pairs[root].trust_file)
    assert served_chain(port, "example.net") == [served(port, "example.net")]


# ---- renewd ----


def test_renewd_starts_answers_and_stops(renewd: Renewd) -> None:
    renewd.start()
    assert renewd.get("/v1/status")["pid"] == renewd.pid
    assert renewd.api("GET", "/v1/certificates/none.example").status == 404
    assert renewd.ctl("list").stdout == ""
    assert renewd.ctl("show", "none.example", check=False).returncode == 1
    for address in ["127.0.0.1"] + ["::1"] * has_ipv6():
        assert accepts(renewd.http_port, address)
    renewd.restart()
    renewd.kill()
    assert not renewd.running
    assert renewd.ctl("status", check=False).returncode == 3


def test_renewd_refuses_a_bad_configuration_with_its_line(renewd: Renewd) -> None:
    renewd.set("renewd", no_such_key="1")
    line = renewd.config_text().splitlines().index("no_such_key = 1") + 1
    done = renewd.run("-c", renewd.write_config(), "--check")
    assert done.returncode == 78
    assert f"{renewd.config_path}:{line}: " in done.stderr
    with pytest.raises(ProgramError, match="status 78"):
        renewd.start()


# ---- the newer Pebble ----


def test_an_unreachable_newer_pebble_is_said(tmp_path: Path) -> None:
    """With an apt that knows no mirror, as offline."""
    apt = tmp_path / "bin" / "apt-get"
    apt.parent.mkdir()
    apt.write_text("#!/bin/sh\nexit 100\n")
    apt.chmod(0o755)
    script = Path(__file__).with_name("newer_pebble.sh")
    done = subprocess.run([script, tmp_path / "cache"], capture_output=True, text=True,
                          check=False, env={"PATH": f"{apt.parent}:/usr/bin:/bin"})
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == "no Pebble 2.10: apt has no mirror, or no lists yet\n"
