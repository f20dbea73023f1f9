"""What an order may ask for, and what becomes of it where a CA has other ideas."""

from __future__ import annotations

import contextlib
import datetime
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from needs import needs_ipv6
from programs.challtestsrv import ChallTestSrv
from programs.pebble import Pebble
from programs.place import Place
from programs.program import wait_until
from programs.renewd import Renewd

NAME = "www.example.test"


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def public(key: object) -> bytes:
    return key.public_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def put_key(path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(pem(key))


def put_request(path: Path, key: ec.EllipticCurvePrivateKey, names: list[str]) -> None:
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(
        x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
    path.write_bytes(request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


def common_name(certificate: bytes) -> str:
    subject = x509.load_pem_x509_certificate(certificate).subject
    return str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def missing(shown: dict) -> dict[str, str]:
    return {m["identifier"]: m["detail"] for c in shown["certificates"] for m in c["missing"]}


def life(renewd: Renewd, name: str = NAME) -> datetime.timedelta:
    leaf = renewd.leaf(name).certificate
    return leaf.not_valid_after - leaf.not_valid_before


def wait_serial(renewd: Renewd, before: str, name: str = NAME) -> None:
    wait_until(lambda: renewd.leaf(name).serial != before, "it is issued anew")
    renewd.wait_state(name)


# ---- chains ----

@pytest.mark.parametrize("version", ["2.4.0", "2.10"])
def test_preferred_chain(request: pytest.FixtureRequest, version: str) -> None:
    request.node.add_marker(pytest.mark.pebble(version=version, alternate_roots=2))
    renewd: Renewd = request.getfixturevalue("renewd")
    pebble: Pebble = request.getfixturevalue("pebble")
    roots = [common_name(pebble.root(n)) for n in range(3)]
    renewd.add_certificate(NAME)
    renewd.start()

    def top() -> str:
        return renewd.wait_state(NAME)["certificates"][0]["chain"]
    assert top() == roots[0]
    for wanted, got in ((roots[2], roots[2]), (roots[1], roots[1]), ("No Such Root", roots[0])):
        before = renewd.leaf(NAME).serial
        renewd.set(f"certificate {NAME}", preferred_chain=wanted)
        renewd.reload()
        wait_serial(renewd, before)
        assert top() == got
    renewd.wait_log('no chain with issuer "No Such Root"')
    assert renewd.output().count("no chain with issuer") == 1
    assert 'preferred_chain = "No Such Root"' in renewd.run(
        "-c", renewd.config_path, "--print-config").stdout


# ---- names ----

@pytest.mark.parametrize("version", ["2.4.0", "2.10"])
def test_names_that_fail_are_dropped(request: pytest.FixtureRequest, version: str) -> None:
    """One that the CA won't have, and one that can't be validated; later both can."""
    request.node.add_marker(pytest.mark.pebble(version=version, blocked=["blocked.test"]))
    renewd: Renewd = request.getfixturevalue("renewd")
    dns: ChallTestSrv = request.getfixturevalue("dns")
    pebble: Pebble = request.getfixturevalue("pebble")
    dns.set_a("down.example.test", "127.0.0.2")
    domains = ["down.example.test", NAME, "www.blocked.test"]
    renewd.add_certificate(NAME, domains=domains, drop_failed_names=True)
    renewd.start()
    shown = renewd.wait_state(NAME)
    assert renewd.leaf(NAME).names == {NAME}
    assert set(missing(shown)) == {"down.example.test", "www.blocked.test"}
    assert all(missing(shown).values())
    assert shown["failures"] == 0
    assert shown["domains"] == domains
    page = renewd.ctl("show", NAME).stdout
    assert "missing_name\tdown.example.test" in page
    assert "missing_name\twww.blocked.test" in page
    assert renewd.output().count("ordered without down.example.test") == 1
    assert "name-missing" in renewd.ctl("history", NAME).stdout
    # not due: what is missing is no reason to order again and again
    assert pebble.front and pebble.front.count("/order-plz") <= 4
    dns.clear_a("down.example.test")
    renewd.ctl("renew", "--force", "--wait", NAME)
    assert renewd.leaf(NAME).names == {NAME, "down.example.test"}
    assert set(missing(renewd.certificate(NAME))) == {"www.blocked.test"}


def test_a_crash_after_names_were_dropped(renewd: Renewd, dns: ChallTestSrv,
                                          pebble: Pebble) -> None:
    """The order without them is gone on with; no third one is made."""
    assert pebble.front
    dns.set_a("down.example.test", "127.0.0.2")
    pebble.front.set_lines("http-request silent-drop if { path_beg /finalize }")
    renewd.add_certificate(NAME, domains=[NAME, "down.example.test"], drop_failed_names=True)
    renewd.start()
    renewd.wait_log("ordered without down.example.test")
    pebble.front.wait_count(2, "/order-plz")
    wait_until(lambda: "finalize-order" in renewd.output(), "it finalizes")
    renewd.kill()
    pebble.front.set_lines("")
    renewd.start()
    assert set(missing(renewd.wait_state(NAME))) == {"down.example.test"}
    assert renewd.leaf(NAME).names == {NAME}
    assert pebble.front.count("/order-plz") == 2


def test_names_that_fail_without_dropping(renewd: Renewd, dns: ChallTestSrv) -> None:
    """All that failed are told, each with its reason."""
    for name in ("one.example.test", "two.example.test"):
        dns.set_a(name, "127.0.0.2")
    renewd.add_certificate(NAME, domains=[NAME, "one.example.test", "two.example.test"])
    renewd.start()
    shown = renewd.wait_certificate(NAME, failures=1, activity="waiting")
    problems = {s["identifier"]: s for s in shown["last_error"]["subproblems"]}
    assert set(problems) == {"one.example.test", "two.example.test"}
    assert all(s["detail"] and s["type"] for s in problems.values())
    assert shown["last_error"]["stage"] == "authorize"


def test_no_order_without_a_name(renewd: Renewd, dns: ChallTestSrv) -> None:
    dns.set_a(NAME, "127.0.0.2")
    renewd.add_certificate(NAME, drop_failed_names=True)
    renewd.start()
    shown = renewd.wait_certificate(NAME, failures=1, activity="waiting")
    assert shown["state"] == "new"


def test_names_in_other_scripts(renewd: Renewd) -> None:
    renewd.add_certificate(NAME, domains=["MÜNCHEN.example.test", "日本語.example.test"])
    renewd.start()
    renewd.wait_state(NAME)
    names = {"xn--mnchen-3ya.example.test", "xn--wgv71a119e.example.test"}
    assert renewd.leaf(NAME).names == names
    page = renewd.ctl("show", NAME).stdout
    assert "münchen.example.test" in page
    assert "日本語.example.test" in page


@needs_ipv6
def test_addresses(renewd: Renewd) -> None:
    """The CA asks by Host: [::1]."""
    renewd.add_certificate("addresses", domains=["127.0.0.1", "0:0:0:0:0:0:0:1"])
    renewd.start()
    shown = renewd.wait_state("addresses")
    assert shown["domains"] == ["127.0.0.1", "::1"]
    assert renewd.leaf("addresses").names == {"127.0.0.1", "::1"}


# ---- profiles and lifetimes ----

@pytest.mark.pebble(version="2.10", profiles={"short": 86400, "long": 864000})
def test_profiles(renewd: Renewd) -> None:
    renewd.add_certificate("short.example.test", profile="short")
    renewd.add_certificate("none.example.test", profile="tiny")
    renewd.add_certificate("must.example.test", profile="tiny!")
    renewd.start()
    renewd.wait_state("short.example.test")
    renewd.wait_state("none.example.test")
    shown = renewd.wait_certificate("must.example.test", activity="parked")
    assert shown["last_error"]["class"] == "give-up"
    assert "tiny" in shown["last_error"]["detail"]
    assert 'the CA has no profile "tiny": ordered without' in renewd.output()
    assert abs(life(renewd, "short.example.test").total_seconds() - 86400) < 5
    renewd.ctl("renew", "--force", "--wait", "short.example.test")
    assert abs(life(renewd, "short.example.test").total_seconds() - 86400) < 5
    serial = renewd.leaf("short.example.test").serial
    renewd.set("certificate short.example.test", profile="long!")
    renewd.reload()
    wait_serial(renewd, serial, "short.example.test")
    assert abs(life(renewd, "short.example.test").total_seconds() - 864000) < 5


@pytest.mark.pebble(version="2.10", profiles={"short": 86400, "long": 864000})
def test_a_profile_that_is_refused(renewd: Renewd, pebble: Pebble) -> None:
    """Advertised and refused: NAME goes on without it, NAME! waits for people."""
    assert pebble.front
    body = '{"type":"urn:ietf:params:acme:error:invalidProfile","detail":"not for you"}'
    refuse = ("http-request return status 400 content-type application/problem+json "
              f"string '{body}' if {{ path_beg /order-plz }}")
    pebble.front.set_lines(refuse)
    renewd.add_certificate(NAME, profile="short!")
    renewd.start()
    shown = renewd.wait_certificate(NAME, activity="parked")
    assert shown["last_error"]["type"].endswith("invalidProfile")
    assert pebble.front.count("/order-plz") == 1
    renewd.set(f"certificate {NAME}", profile="short")
    renewd.reload()
    wait_until(lambda: pebble.front and pebble.front.count("/order-plz") == 3,
               "it was tried without the profile")
    assert 'refuses profile "short", ordered without' in renewd.output()


def test_lifetime(renewd: Renewd) -> None:
    renewd.add_certificate(NAME, lifetime="12h")
    renewd.start()
    renewd.wait_state(NAME)
    assert abs(life(renewd).total_seconds() - 12 * 3600) < 60
    before = renewd.leaf(NAME).serial
    renewd.set(f"certificate {NAME}", lifetime="2d")
    renewd.reload()
    wait_serial(renewd, before)
    assert abs(life(renewd).total_seconds() - 48 * 3600) < 60


def test_a_lifetime_that_is_refused(renewd: Renewd, pebble: Pebble) -> None:
    assert pebble.front
    body = '{"type":"urn:ietf:params:acme:error:malformed","detail":"no notAfter please"}'
    pebble.front.set_lines(
        "http-request return status 400 content-type application/problem+json "
        f"string '{body}' if {{ path_beg /order-plz }}")
    renewd.add_certificate(NAME, lifetime="12h")
    renewd.start()
    shown = renewd.wait_certificate(NAME, failures=1, activity="waiting")
    assert shown["last_error"]["detail"].startswith("no notAfter please (the order has a")


# ---- keys ----

def test_key_file(place: Place, renewd: Renewd) -> None:
    """The certificate is for it; another key in it is ordered for at the next reload."""
    path = place.path / "own.pem"
    key = ec.generate_private_key(ec.SECP256R1())
    put_key(path, key)
    renewd.add_certificate(NAME, key_file=path)
    renewd.start()
    renewd.wait_state(NAME)
    assert public(renewd.leaf(NAME).certificate.public_key()) == public(key.public_key())
    serial = renewd.leaf(NAME).serial
    renewd.reload()
    renewd.ctl("renew", NAME)
    assert renewd.wait_state(NAME)["renew_reason"] == "lifetime"
    assert renewd.leaf(NAME).serial == serial
    other = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(pem(other))
    renewd.reload()
    wait_serial(renewd, serial)
    assert public(renewd.leaf(NAME).certificate.public_key()) == public(other.public_key())
    assert "others may read" not in renewd.output()
    # without it a new key is made
    serial = renewd.leaf(NAME).serial
    renewd.set(f"certificate {NAME}", key_file=None)
    renewd.reload()
    wait_serial(renewd, serial)
    assert public(renewd.leaf(NAME).certificate.public_key()) != public(other.public_key())


def test_a_key_that_is_kept_and_refused(renewd: Renewd, pebble: Pebble) -> None:
    """The CA won't have it another time either: whoever asks again gets a new one."""
    assert pebble.front
    renewd.add_certificate(NAME, reuse_key=True)
    renewd.start()
    before = renewd.wait_state(NAME)
    key = renewd.bundle(NAME, "privkey.pem").read_bytes()
    error = '{"type": "urn:ietf:params:acme:error:badPublicKey", "detail": "it is blocked"}'
    pebble.front.set_lines(
        "http-request return status 400 content-type application/problem+json "
        f"string '{error}' hdr Replay-Nonce bm9uY2U if {{ path_beg /finalize }}")
    renewd.ctl("renew", "--force", NAME)
    shown = renewd.wait_certificate(NAME, activity="parked")
    assert shown["last_error"]["detail"] == "it is blocked"
    assert shown["certificates"] == before["certificates"]
    pebble.front.set_lines("")
    renewd.ctl("renew", "--force", "--wait", NAME)
    assert renewd.bundle(NAME, "privkey.pem").read_bytes() != key
    assert "a new one is made: the CA refused it" in renewd.output()


def test_two_key_files(place: Place, renewd: Renewd) -> None:
    keys = [ec.generate_private_key(ec.SECP256R1()),
            rsa.generate_private_key(public_exponent=65537, key_size=2048)]
    paths = [place.path / "ec.pem", place.path / "rsa.pem"]
    for path, key in zip(paths, keys):
        put_key(path, key)
    renewd.add_certificate(NAME, keys=["ecdsa-p256", "rsa-2048"], key_file=paths)
    renewd.start()
    renewd.wait_state(NAME)
    for file, key in zip(("cert.ecdsa.pem", "cert.rsa.pem"), keys):
        leaf = renewd.leaf(NAME, file).certificate
        assert public(leaf.public_key()) == public(key.public_key())


def test_key_files_that_are_refused(place: Place, renewd: Renewd) -> None:
    account = place.path / "account.pem"
    key = ec.generate_private_key(ec.SECP256R1())
    put_key(account, key)
    open_key = place.path / "open.pem"
    put_key(open_key, ec.generate_private_key(ec.SECP256R1()))
    open_key.chmod(0o644)
    renewd.set("ca pebble", account_key=f"file:{account}")
    renewd.add_certificate("a.example.test", key_file=account)
    renewd.add_certificate("b.example.test", key_file=place.path / "nothing.pem")
    renewd.add_certificate("c.example.test", key_file=account, keys="rsa-2048")
    renewd.add_certificate("d.example.test", key_file=open_key)
    renewd.start()
    for name, why in (("a", "account at a CA"), ("b", "No such file"), ("c", "says rsa-2048")):
        shown = renewd.wait_certificate(f"{name}.example.test", failures=1)
        assert shown["last_error"]["stage"] == "key"
        assert why in shown["last_error"]["detail"]
    renewd.wait_state("d.example.test")
    assert "has mode 0644: others may read" in renewd.output()


def test_csr_file(place: Place, renewd: Renewd) -> None:
    """Certificate and chain, but nothing that needs the key; targets are told."""
    path = place.path / "request.pem"
    told = place.path / "told"
    key = ec.generate_private_key(ec.SECP256R1())
    put_request(path, key, [NAME, "example.test"])
    renewd.set("deploy copy", type="exec", command=f"/usr/bin/touch {told}")
    renewd.add_certificate(NAME, domains=["example.test", NAME], csr_file=path, deploy="copy")
    renewd.start()
    renewd.wait_state(NAME)
    wait_until(told.exists, "the target was told")
    assert sorted(p.name for p in renewd.bundle(NAME, ".").iterdir()) == [
        "cert.pem", "chain.pem", "fullchain.pem"]
    assert public(renewd.leaf(NAME).certificate.public_key()) == public(key.public_key())
    flat = renewd.bundle_dir.parent / "haproxy"
    assert not list(flat.iterdir())
    refused = renewd.ctl("bundle", NAME, check=False)
    assert refused.returncode == 1
    assert "private key is not here" in refused.stderr
    # damaged files are written again, and the same request serves at the next renewal
    renewd.bundle(NAME, "cert.pem").unlink()
    renewd.restart()
    serial = renewd.leaf(NAME).serial
    renewd.ctl("renew", "--force", "--wait", NAME)
    assert renewd.leaf(NAME).serial != serial
    # a request for other names is refused, and what is served stays
    put_request(path, ec.generate_private_key(ec.SECP256R1()), [NAME])
    serial = renewd.leaf(NAME).serial
    renewd.ctl("renew", "--force", NAME)
    shown = renewd.wait_certificate(NAME, failures=1)
    assert "all of" in shown["last_error"]["detail"]
    assert renewd.leaf(NAME).serial == serial


def test_wishes_that_change(renewd: Renewd) -> None:
    """What differs is issued anew, and what is about files and servers isn't."""
    renewd.add_certificate(NAME)
    renewd.start()
    renewd.wait_state(NAME)
    for keys in ({"must_staple": True}, {"common_name": True}, {"must_staple": None}):
        before = renewd.leaf(NAME).serial
        renewd.set(f"certificate {NAME}", **keys)
        renewd.reload()
        wait_serial(renewd, before)
    before = renewd.leaf(NAME).serial
    renewd.set(f"certificate {NAME}", bundle_mode="0600", reuse_key=True, placeholder=False,
               renew_before="1/4", drop_failed_names=True)
    renewd.reload()
    wait_until(lambda: renewd.bundle(NAME, "privkey.pem").stat().st_mode & 0o777 == 0o600,
               "the mode is another")
    renewd.wait_state(NAME)
    assert renewd.leaf(NAME).serial == before


# ---- several CAs ----

def make_second(place: Place, dns: ChallTestSrv, renewd: Renewd) -> Pebble:
    second = Pebble(place, dns.address, renewd.http_port)
    second.start()
    renewd.add_ca("second", second)
    return second


def test_the_next_ca(place: Place, dns: ChallTestSrv, pebble: Pebble, renewd: Renewd) -> None:
    """Unreachable or refusing: the next one at once. Then the first again."""
    assert pebble.front
    second = make_second(place, dns, renewd)
    assert second.front
    renewd.set("defaults", ca=["pebble", "second"])
    body = '{"type":"urn:ietf:params:acme:error:unauthorized","detail":"not you"}'
    pebble.front.set_lines("http-request return status 403 content-type "
                           f"application/problem+json string '{body}' if "
                           "{ path_beg /order-plz }")
    renewd.add_certificate(NAME)
    renewd.start()
    shown = renewd.wait_state(NAME)
    assert shown["ca"] == "second"
    assert shown["failures"] == 0
    pebble.front.set_lines("")
    renewd.ctl("renew", "--force", "--wait", NAME)
    assert renewd.certificate(NAME)["ca"] == "pebble"
    # names that can't be validated aren't tried elsewhere
    dns.set_a("down.example.test", "127.0.0.2")
    before = second.front.count("/order-plz")
    renewd.add_certificate("down.example.test")
    renewd.reload()
    renewd.wait_certificate("down.example.test", failures=1)
    assert second.front.count("/order-plz") == before


def test_other_problems_need_two_failures(place: Place, dns: ChallTestSrv, pebble: Pebble,
                                          renewd: Renewd) -> None:
    assert pebble.front
    make_second(place, dns, renewd)
    renewd.set("defaults", ca=["pebble", "second"])
    pebble.front.set_lines("http-request deny deny_status 500 if { path_beg /order-plz }")
    renewd.add_certificate(NAME)
    renewd.start()
    for failures in (1, 2):
        renewd.wait_certificate(NAME, failures=failures, activity="waiting")
        renewd.ctl("renew", NAME)
    assert renewd.wait_state(NAME)["ca"] == "second"


def test_a_refusal_does_not_park_what_a_limit_delays(place: Place, dns: ChallTestSrv,
                                                     pebble: Pebble, renewd: Renewd) -> None:
    """The first CA says later, the second never: it is tried again later."""
    assert pebble.front
    second = make_second(place, dns, renewd)
    assert second.front
    renewd.set("defaults", ca=["pebble", "second"])
    for front, status, kind in ((pebble.front, 429, "rateLimited"),
                                (second.front, 400, "rejectedIdentifier")):
        body = f'{{"type":"urn:ietf:params:acme:error:{kind}","detail":"no"}}'
        front.set_lines(f"http-request return status {status} content-type "
                        f"application/problem+json string '{body}' hdr Retry-After 3600 if "
                        "{ path_beg /order-plz }")
    renewd.add_certificate(NAME)
    renewd.start()
    shown = renewd.wait_certificate(NAME, failures=1, activity="waiting")
    assert shown["last_error"]["class"] == "later"
    assert second.front.count("/order-plz") == 1


def test_an_order_in_hand_is_finished_where_it_is(place: Place, dns: ChallTestSrv,
                                                  pebble: Pebble, renewd: Renewd) -> None:
    """The first CA is back when renewd starts again, but the second has begun."""
    assert pebble.front
    second = make_second(place, dns, renewd)
    assert second.front
    renewd.set("defaults", ca=["pebble", "second"])
    pebble.front.set_lines("http-request deny deny_status 403 if { path_beg /order-plz }")
    second.front.set_lines("http-request silent-drop if { path_beg /chalZ }")
    renewd.add_certificate(NAME)
    renewd.start()
    second.front.wait_count(1, "/authZ")
    renewd.kill()
    pebble.front.set_lines("")
    second.front.set_lines("")
    renewd.start()
    assert renewd.wait_state(NAME)["ca"] == "second"
    assert second.front.count("/order-plz") == 1


# ---- answers that are refused ----

@pytest.mark.parametrize("what", ["key", "stranger"])
def test_a_certificate_that_is_refused(renewd: Renewd, pebble: Pebble, place: Place,
                                       what: str) -> None:
    """A key block, another's certificate: one line, and nothing is written."""
    assert pebble.front
    cert = pebble.certificate.cert.read_text()
    content = place.path / "answer"
    content.write_text({"key": cert + pebble.certificate.key.read_text(),
                        "stranger": cert}[what])
    lines = "http-request return status 200 content-type application/pem-certificate-chain " \
            f"file {content} if {{ path_beg /certZ }}"
    pebble.front.set_lines(lines)
    renewd.add_certificate(NAME, placeholder=False)
    renewd.start()
    shown = renewd.wait_certificate(NAME, failures=1, activity="waiting")
    assert shown["last_error"]["stage"] == "download"
    assert not renewd.bundle(NAME, "cert.pem").exists()
    assert renewd.output().count("renewal failed") == 1


class Huge(BaseHTTPRequestHandler):
    """10 MB of certificates to whoever asks."""

    certificates = b""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/pem-certificate-chain")
        self.end_headers()
        with contextlib.suppress(OSError):  # hung up on, as it should be
            self.wfile.write(self.certificates * (10 * 1024 * 1024 // len(self.certificates)))

    def log_message(self, *args: object) -> None:
        pass


def test_a_chain_of_ten_megabytes(renewd: Renewd, pebble: Pebble) -> None:
    assert pebble.front
    Huge.certificates = pebble.certificate.cert.read_bytes()
    with ThreadingHTTPServer(("127.0.0.1", 0), Huge) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        pebble.front.set_lines(f"""use_backend huge if {{ path_beg /certZ }}
    default_backend pebble
backend huge
    server huge 127.0.0.1:{server.server_port}
backend rest""")
        renewd.add_certificate(NAME, placeholder=False)
        renewd.start()
        shown = renewd.wait_certificate(NAME, failures=1, activity="waiting")
        server.shutdown()
    assert "too large" in shown["last_error"]["detail"]
    assert not renewd.bundle(NAME, "cert.pem").exists()


def test_an_order_on_another_host(renewd: Renewd, pebble: Pebble) -> None:
    assert pebble.front
    pebble.front.set_lines(
        "http-response set-header Location https://evil.example/order "
        "if { capture.req.uri -m beg /order-plz }")
    renewd.add_certificate(NAME)
    renewd.start()
    shown = renewd.wait_certificate(NAME, failures=1, activity="waiting")
    assert "https://evil.example/order" in shown["last_error"]["detail"]
