"""The main job: from an INI file to certificates on disk, and what it costs."""

from __future__ import annotations

import random

import pytest

from programs.pebble import Pebble
from programs.renewd import Renewd

SIGNED = "POST"


def many(renewd: Renewd, count: int) -> list[str]:
    """Configures certificates of 1 to 5 names, some of which several have in common."""
    chance = random.Random(4711)
    names = []
    for number in range(count):
        name = f"cert{number}.example.test"
        others = [f"shared{chance.randrange(20)}.example.test"
                  for _ in range(chance.randrange(5))]
        renewd.add_certificate(name, domains=sorted({name, *others}))
        names.append(name)
    return names


def test_one_certificate(renewd: Renewd) -> None:
    renewd.add_certificate("www.example.test", domains=["www.example.test", "example.test"])
    renewd.start()
    shown = renewd.wait_state("www.example.test")
    leaf = renewd.leaf("www.example.test")
    assert leaf.names == {"www.example.test", "example.test"}
    assert shown["certificates"][0]["fingerprint_sha256"] == leaf.fingerprint
    assert shown["certificates"][0]["serial"] == leaf.serial
    assert shown["certificates"][0]["key"] == "ecdsa-p256"
    assert shown["health"] == "ok"
    assert shown["failures"] == 0
    assert shown["last_error"] is None


@pytest.mark.pebble(version="2.10")
def test_the_newer_pebble(renewd: Renewd) -> None:
    renewd.add_certificate("www.example.test", domains=["www.example.test", "127.0.0.1"])
    renewd.start()
    renewd.wait_state("www.example.test")
    assert renewd.leaf("www.example.test").names == {"www.example.test", "127.0.0.1"}


@pytest.mark.parametrize("keys", ["ecdsa-p384", "rsa-2048", "rsa-3072", "rsa-4096"])
def test_key_types(renewd: Renewd, keys: str) -> None:
    renewd.add_certificate("k.example.test", keys=keys)
    renewd.start()
    shown = renewd.wait_state("k.example.test", timeout=60)
    assert [c["key"] for c in shown["certificates"]] == [keys]
    size = renewd.leaf("k.example.test").certificate.public_key().key_size
    assert keys.endswith(f"p{size}") or keys.endswith(f"-{size}")


@pytest.mark.parametrize("account_key", ["ecdsa-p384", "rsa-2048"])
def test_account_key_types(renewd: Renewd, account_key: str) -> None:
    renewd.set("ca pebble", account_key=account_key)
    renewd.add_certificate("www.example.test")
    renewd.start()
    renewd.wait_state("www.example.test", timeout=60)


def test_two_key_types(renewd: Renewd) -> None:
    renewd.add_certificate("dual.example.test", keys=["ecdsa-p256", "rsa-2048"])
    renewd.start()
    shown = renewd.wait_state("dual.example.test", timeout=60)
    assert sorted(c["key"] for c in shown["certificates"]) == ["ecdsa-p256", "rsa-2048"]
    assert renewd.leaf("dual.example.test", "haproxy.pem.rsa").key == "rsa"
    assert renewd.leaf("dual.example.test", "haproxy.pem.ecdsa").key == "ecdsa"
    assert renewd.leaf("dual.example.test", "cert.rsa.pem").key == "rsa"
    assert renewd.leaf("dual.example.test").key == "ecdsa"
    assert not renewd.bundle("dual.example.test", "haproxy.pem").exists()
    flat = renewd.bundle_dir.parent / "haproxy"
    assert sorted(p.name for p in flat.iterdir()) == [
        "dual.example.test.pem.ecdsa", "dual.example.test.pem.rsa"]


def test_requests_and_connections(renewd: Renewd, pebble: Pebble) -> None:
    """7 signed requests for a name, polls excepted, and one connection for all of them."""
    renewd.add_certificate("first.example.test")
    renewd.start()
    renewd.wait_state("first.example.test")
    front = pebble.front
    assert front
    posts = [r for r in front.requests(method=SIGNED) if not r.path.startswith("/sign-me-up")]
    authz = [r for r in posts if r.path.startswith("/authZ")]
    orders = [r for r in posts if r.path.startswith("/my-order")]
    polls = max(0, len(authz) - 2) + max(0, len(orders) - 1)
    assert len(posts) - polls <= 7
    assert front.count("/order-plz") == 1
    assert front.count("/nonce-plz") <= 1
    assert front.count("/dir") == 1
    before = front.connections()
    assert before == 1
    # the next one needs neither directory, account nor nonce, nor a new connection
    renewd.ctl("renew", "--force", "--wait", "first.example.test")
    assert front.count("/dir") == 1
    assert front.count("/sign-me-up") == 1
    assert front.count("/nonce-plz") <= 1
    assert front.connections() == 1


@pytest.mark.timeout(400)
@pytest.mark.parametrize("reject", [5, 30])
@pytest.mark.parametrize("version", ["2.4.0", "2.10"])
def test_fifty_certificates(request: pytest.FixtureRequest, reject: int, version: str) -> None:
    """Pebble's own defaults: bad nonces, random delays, half of authorizations reused."""
    request.node.add_marker(pytest.mark.pebble(version=version, nonce_reject=reject,
                                               sleep=True, authz_reuse=50))
    renewd: Renewd = request.getfixturevalue("renewd")
    names = many(renewd, 50)
    renewd.start()
    for name in names:
        shown = renewd.wait_state(name, timeout=200)
        assert shown["failures"] == 0
    assert "renewal failed" not in renewd.output()
    front = request.getfixturevalue("pebble").front
    assert any(r.status == 400 for r in front.requests(method=SIGNED)), "no nonce was refused"
    assert renewd.get("/v1/status")["counts"]["state"]["valid"] == 50
