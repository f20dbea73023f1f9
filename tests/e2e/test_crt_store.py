"""Certificates that HAProxy (3.0 and later) loads by crt-store sections and names by
aliases: they are replaced over the runtime API as those named by their paths are."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from needs import or_skip
from programs.authority import self_signed
from programs.haproxy import HAProxy
from programs.place import Place
from programs.ports import free_port
from programs.renewd import Renewd
from programs.tls import Leaf, served
from programs.program import wait_until
from test_served import NAME, Visitors, deployment, issued

OTHER = "other.example.test"


@dataclass(frozen=True)
class Store:
    """How a configuration says it. {live}, {flat}, {name}: renewd's folders, a certificate."""

    section: str
    bind: str
    keys: tuple[str, ...] = ("ecdsa",)
    bundle_path: str = ""


STORES = {
    "alias": Store("""
crt-store web
    crt-base {live}
    load crt "{name}/haproxy.pem" alias "shop" ocsp-update off
""", 'crt "@web/shop"'),
    "path": Store("""
crt-store web
    crt-base {flat}
    load crt "{name}.pem"
""", 'crt "@web/{name}.pem"'),
    "absolute": Store("""
crt-store
    load crt "{live}/{name}/haproxy.pem" alias "shop"
crt-store web
    load crt "{flat}/{name}.pem"
""", 'crt "@/shop" crt "@web{flat}/{name}.pem"'),
    "relative": Store("""
crt-store
    crt-base {live}
    load crt "{name}/haproxy.pem"
""", 'crt "{name}/haproxy.pem"'),
    "key": Store("""
crt-store web
    crt-base {live}
    key-base {live}
    load crt "{name}/fullchain.pem" key "{name}/privkey.pem" alias "shop"
""", 'crt "@web/shop"'),
    "pair": Store("""
crt-store web
    crt-base {live}
    load crt "{name}/haproxy.pem.ecdsa" alias "shop-ecdsa"
    load crt "{name}/fullchain.rsa.pem" key "{live}/{name}/privkey.rsa.pem" alias "shop-rsa"
""", 'crt "@web/shop-ecdsa" crt "@web/shop-rsa"', ("ecdsa", "rsa")),
    "crt-list": Store("""
crt-store web
    crt-base {flat}
    load crt "{name}.pem" alias "shop"
""", "crt-list {list}"),
    "bundle_path": Store("""
crt-store web
    crt-base {place}/certs
    load crt "all-{name}.pem" alias "shop"
""", 'crt "@web/shop"', bundle_path="{place}/certs/all-{name}.pem"),
}


def start_haproxy(place: Place, text: str) -> HAProxy:
    with or_skip():
        haproxy = HAProxy(place, text, newer=True)
    haproxy.start()
    return haproxy


@pytest.mark.parametrize("how", STORES)
def test_replaced(place: Place, renewd: Renewd, how: str) -> None:
    """Under visitors, without a reload; what a restart reads is the same. What a stranger
    has in a store stays as it is."""
    store = STORES[how]
    key_types = {"ecdsa": "ecdsa-p256", "rsa": "rsa-2048"}
    words = {"live": renewd.bundle_dir, "flat": renewd.bundle_dir.parent / "haproxy",
             "place": place.path, "list": place.path / "list"}
    (place.path / "certs").mkdir()
    (place.path / "list").write_text("@web/shop [alpn h2,http/1.1]\n")
    stranger = self_signed(place.path, [OTHER])
    mixed = place.path / "haproxy.pem"
    mixed.write_text(stranger.cert.read_text() + stranger.key.read_text())
    if store.bundle_path:
        renewd.set("deploy edge", type="haproxy", socket=place.path / "nobody",
                   bundle_path=store.bundle_path.replace("{place}", str(place.path)))
    issued(renewd, NAME, keys=[key_types[key] for key in store.keys],
           deploy="edge" if store.bundle_path else [])
    port = free_port()
    haproxy = start_haproxy(place, f"""
{store.section.format(name=NAME, **words)}
crt-store strangers
    crt-base {place.path}
    load crt "haproxy.pem" alias "theirs"
frontend secure
    mode http
    bind 127.0.0.1:{port} ssl {store.bind.format(name=NAME, **words)} crt "@strangers/theirs"
    http-request return status 200
""")
    renewd.set("deploy edge", type="haproxy", socket=haproxy.admin_socket)
    renewd.add_certificate(NAME, deploy="edge")
    renewd.reload()
    if store.bundle_path:
        renewd.ctl("deploy", NAME)
    deployment(renewd, NAME, "edge", "deployed")
    old = {key: served(port, NAME, key).fingerprint for key in store.keys}
    before = haproxy.processes()

    def right() -> bool:
        shown = {row["key"].partition("-")[0]: row["fingerprint_sha256"]
                 for row in renewd.certificate(NAME)["certificates"]}
        return {key: served(port, NAME, key).fingerprint for key in store.keys} == shown
    assert right()
    with Visitors(port, NAME) as visitors:
        renewd.ctl("renew", "--force", "--wait", NAME)
        wait_until(right, "the new one is served", 40)
        # each way to it
        for it in range(20):
            assert right(), it
    assert not visitors.errors and len(visitors.seen) == 2
    deployment(renewd, NAME, "edge", "deployed")
    assert not set(old.values()) & {served(port, NAME, key).fingerprint for key in store.keys}
    assert haproxy.processes() == before
    assert "*" not in haproxy.ask("show ssl cert")
    assert served(port, OTHER).fingerprint == Leaf.of_file(mixed).fingerprint
    fresh = {line for line in haproxy.ask("show ssl cert").splitlines()
             if line and not line.startswith("#") and line != "@strangers/theirs"}
    serials = {row["serial"] for row in renewd.certificate(NAME)["certificates"]}
    for item in fresh:
        said = haproxy.ask(f"show ssl cert {item}")
        assert any(f"Serial: {serial.upper()}\n" in said for serial in serials), said
    haproxy.restart()
    assert right()


def test_not_in_a_store(place: Place, renewd: Renewd) -> None:
    """A stranger's file of another folder, and a certificate that no store has: said, and
    nothing of others is touched."""
    issued(renewd, NAME)
    stranger = self_signed(place.path, [NAME])
    mixed = place.path / "haproxy.pem"
    mixed.write_text(stranger.cert.read_text() + stranger.key.read_text())
    port = free_port()
    haproxy = start_haproxy(place, f"""
crt-store web
    crt-base {place.path}
    load crt "haproxy.pem" alias "{NAME}"
frontend secure
    mode http
    bind 127.0.0.1:{port} ssl crt "@web/{NAME}"
    http-request return status 200
""")
    renewd.set("deploy edge", type="haproxy", socket=haproxy.admin_socket)
    renewd.add_certificate(NAME, deploy="edge")
    renewd.reload()
    deployment(renewd, NAME, "edge", "failed", "knows neither")
    assert served(port, NAME).fingerprint == Leaf.of_file(mixed).fingerprint
