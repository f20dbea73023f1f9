"""The proxy of the tests itself: what is scripted is answered, all else comes from the CA,
and both are as a test wants to see them."""

from __future__ import annotations

import http.client
import json

import pytest

from programs.pebble import Pebble
from programs.place import Place
from programs.proxy import Answer, Proxy, Request, problem, with_headers
from programs.renewd import Renewd


@pytest.fixture
def proxy(place: Place, pebble: Pebble) -> Proxy:
    it = Proxy(place, pebble)
    it.start()
    return it


def ask(proxy: Proxy, path: str,
        method: str = "GET") -> tuple[int, http.client.HTTPMessage, bytes]:
    link = http.client.HTTPSConnection("127.0.0.1", proxy.port, timeout=20,
                                       context=proxy.ca.tls_context())
    try:
        link.request(method, path, headers={"User-Agent": "renewd-tests"})
        reply = link.getresponse()
        return reply.status, reply.headers, reply.read()
    finally:
        link.close()


def test_the_ca_answers_and_keeps_the_host(proxy: Proxy) -> None:
    status, _, body = ask(proxy, "/dir")
    assert status == 200
    assert json.loads(body)["newOrder"].startswith(proxy.url)
    status, headers, body = ask(proxy, "/nonce-plz", "HEAD")
    assert (status, body) == (200, b"") and headers["Replay-Nonce"]
    assert ask(proxy, "/nowhere")[0] == 404


def test_scripts_come_first_and_once(proxy: Proxy) -> None:
    proxy.always("/dir", Answer(500))
    proxy.script("/dir", Answer(404), lambda request: problem(409, request.method))
    assert [ask(proxy, "/dir")[0] for _ in range(4)] == [404, 409, 500, 500]
    proxy.always("/dir", lambda request: None)
    assert ask(proxy, "/dir")[0] == 200
    proxy.always("/dir", None)
    assert ask(proxy, "/dir")[0] == 200
    assert [answer.status for _, answer in proxy.seen("/dir")] == [404, 409, 500, 500, 200, 200]
    assert proxy.count("/dir", "POST") == 0


def test_answers_are_changed(proxy: Proxy) -> None:
    proxy.change("/nonce-plz", with_headers(Replay_Nonce=None, X_Test="1"))
    _, headers, _ = ask(proxy, "/nonce-plz", "HEAD")
    assert "Replay-Nonce" not in headers and headers["x-test"] == "1"
    proxy.change("/nonce-plz", None)
    assert "Replay-Nonce" in ask(proxy, "/nonce-plz", "HEAD")[1]


def test_a_ca_that_is_down(proxy: Proxy, pebble: Pebble) -> None:
    assert pebble.front
    pebble.front.stop()
    assert ask(proxy, "/dir")[0] == 502


def test_renewd_gets_a_certificate_through_it(place: Place, proxy: Proxy) -> None:
    seen: list[dict] = []

    def look(request: Request) -> None:
        seen.append(request.payload())

    proxy.always("/order-plz", look)
    renewd = Renewd(place, http_port=proxy.http_port)
    renewd.add_ca("pebble", proxy)
    renewd.set("defaults", ca="pebble")
    renewd.add_certificate("www.example.test")
    renewd.start()
    renewd.wait_state("www.example.test")
    assert seen == [{"identifiers": [{"type": "dns", "value": "www.example.test"}]}]
