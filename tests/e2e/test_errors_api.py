"""Whatever comes in at the control socket, what is wrong is answered as problem details."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator

import pytest

from programs.place import Place
from programs.renewd import Renewd

NAME = "www.example.test"
PATH = f"/v1/certificates/{NAME}"
HOST = b" HTTP/1.1\r\nHost: renewd\r\n"
PUT = b"PUT " + PATH.encode() + HOST
MIB = 1024 * 1024


@pytest.fixture
def serving(place: Place) -> Iterator[Renewd]:
    it = Renewd(place)
    it.set("ca letsencrypt", accept_terms="yes")
    it.add_certificate(NAME, ca="letsencrypt", enabled="no")
    it.start()
    yield it
    assert it.certificate(NAME)["name"] == NAME
    it.stop()


def send(renewd: Renewd, text: bytes, method: str = "GET") -> http.client.HTTPResponse:
    """These bytes, whatever they are; the answer is there also where not all were taken."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(30)
        link.connect(str(renewd.socket))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            link.sendall(text)
        reply = http.client.HTTPResponse(link, method=method)
        reply.begin()
        while reply.status == 100:
            reply.begin()
        with contextlib.suppress(ConnectionResetError):
            reply.body = reply.read()
        return reply


NOT_HTTP = "this is not a request in HTTP/1.1, or its header has over 16 KiB"
TOO_LARGE = "the body has over 1 MiB"
ANY_LENGTH = "the body has over 1 MiB, or its length cannot be read"
# name: (what is sent, the status, what is said)
RAW: dict[str, tuple[bytes, int, str]] = {
    "1.5-mb": (PUT + b"Content-Length: %d\r\n\r\n" % (3 * MIB // 2) + b"x" * (3 * MIB // 2),
               413, TOO_LARGE),
    "100-mb": (PUT + b"Content-Length: 100000000\r\n\r\n" + bytes(100_000_000), 413, ANY_LENGTH),
    "100-mb-in-one-chunk": (PUT + b"Transfer-Encoding: chunked\r\n\r\n5f5e100\r\n" +
                            bytes(100_000_000), 413, ANY_LENGTH),
    "many-chunks": (PUT + b"Transfer-Encoding: chunked\r\n\r\n" +
                    (b"10000\r\n" + b"x" * 65536 + b"\r\n") * 64, 413, ANY_LENGTH),
    "asks-first": (PUT + b"Content-Length: 100000000\r\nExpect: 100-continue\r\n\r\n",
                   413, ANY_LENGTH),
    "expects-else": (PUT + b"Content-Length: 2\r\nExpect: cake\r\n\r\n{}", 417,
                     "nothing can be expected but 100-continue"),
    "length-of-20-digits": (PUT + b"Content-Length: 99999999999999999999\r\n\r\n",
                            413, ANY_LENGTH),
    "negative-length": (PUT + b"Content-Length: -1\r\n\r\n", 400, NOT_HTTP),
    "bad-chunk": (PUT + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 413, ANY_LENGTH),
    "header-of-20-kb": (b"GET /v1/status" + HOST + b"X: " + b"a" * 20000 + b"\r\n\r\n",
                        400, NOT_HTTP),
    "header-of-2-mb": (b"GET /v1/status" + HOST + b"X: " + b"a" * 2 * MIB + b"\r\n\r\n",
                       400, NOT_HTTP),
    "path-of-20-kb": (b"GET /" + b"a" * 20000 + HOST + b"\r\n", 400, NOT_HTTP),
    "no-colon": (b"GET /v1/status" + HOST + b"nothing\r\n\r\n", 400, NOT_HTTP),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, NOT_HTTP),
    "words": (b"hello world\r\n\r\n", 400, NOT_HTTP),
    "http-0.9": (b"GET /v1/status\r\n\r\n", 400, NOT_HTTP),
    "http-3": (b"GET /v1/status HTTP/3.0\r\n\r\n", 400, NOT_HTTP),
    "unknown-method": (b"BREW /v1/status" + HOST + b"\r\n", 501, "there is no such method"),
    "lower-case": (b"get /v1/status" + HOST + b"\r\n", 501, "there is no such method"),
    "connect": (b"CONNECT ca.example:443" + HOST + b"\r\n", 501, "there is no such method"),
    "trace": (b"TRACE /v1/status" + HOST + b"\r\n", 405, "this path has other methods"),
    "patch": (b"PATCH " + PATH.encode() + HOST + b"Content-Length: 2\r\n\r\n{}", 405,
              "this path has other methods"),
    "unknown-path": (b"GET /v2/status" + HOST + b"\r\n", 404, "there is no such path"),
    "broken-escape": (b"GET /v1/certificates/%zz" + HOST + b"\r\n", 404, "there is no such path"),
    "asterisk": (b"OPTIONS *" + HOST + b"\r\n", 404, "there is no such path"),
}


@pytest.mark.parametrize("case", RAW)
def test_bytes(serving: Renewd, case: str) -> None:
    text, status, detail = RAW[case]
    reply = send(serving, text)
    assert reply.status == status
    assert reply.headers["Content-Type"] == "application/problem+json"
    problem = json.loads(reply.body)
    assert (problem["type"], problem["status"], problem["detail"]) == \
        ("about:blank", status, detail)
    assert problem["title"]
    if status == 405:
        assert reply.headers["Allow"]


def test_head(serving: Renewd) -> None:
    reply = send(serving, b"HEAD /v1/status" + HOST + b"Connection: close\r\n\r\n", "HEAD")
    assert (reply.status, reply.body) == (405, b"")
    assert reply.headers["Content-Type"] == "application/problem+json"


DEEP = "the JSON is nested too deeply, or has too many values"
NO_OBJECT = "the body is not a JSON object, or has a name twice"


@pytest.mark.parametrize("body,detail", [
    (b"[" * 10_000 + b"]" * 10_000, DEEP),
    (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, DEEP),
    (b'{"domains":[' + b",".join([b'"a"'] * 100_000) + b"]}", DEEP),
    (b'{"domains":"\xff"}', NO_OBJECT),
    (b'{"domains":"\\ud800"}', NO_OBJECT),
    (b"\xef\xbb\xbf{}", NO_OBJECT),
    (b'{"domains":"a"', NO_OBJECT),
    (b'{"keys":"a","keys":"b"}', NO_OBJECT),
    (b"domains=a", NO_OBJECT),
    (b"null", NO_OBJECT),
    (b"[]", NO_OBJECT),
], ids=["deep-lists", "deep-objects", "many", "latin-1", "surrogate", "bom", "cut", "twice",
        "form", "null", "list"])
def test_bad_json(serving: Renewd, body: bytes, detail: str) -> None:
    for method, path in (("PUT", "/v1/certificates/new.example.test"),
                         ("POST", f"{PATH}/renew")):
        reply = serving.api(method, path, body)
        assert reply.status == 400
        assert reply.headers["Content-Type"] == "application/problem+json"
        assert reply.json()["detail"] == detail
    assert serving.api("GET", "/v1/certificates/new.example.test").status == 404


TYPES = "must be a text, true, false, a whole number or a list of texts"


def test_wrong_fields_all_at_once(serving: Renewd) -> None:
    body = {"domain": "x", "domains": {"a": 1}, "keys": ["dsa", "dh"], "profile": "a/b",
            "placeholder": 1.5, "must_staple": "maybe", "deploy": ["nowhere"],
            "ca": ["google"], "reuse_key": [True], "challenge": "smoke\nsignals"}
    reply = serving.api("PUT", "/v1/certificates/new.example.test", body)
    assert reply.status == 422
    assert reply.headers["Content-Type"] == "application/problem+json"
    errors: dict[str, list[str]] = {}
    for error in reply.json()["errors"]:
        assert error["file"] is None and error["line"] is None
        errors.setdefault(error["field"], []).append(error["message"])
    assert {field: len(messages) for field, messages in errors.items()} == {
        "domain": 1, "domains": 1, "keys": 2, "profile": 1, "placeholder": 1, "must_staple": 1,
        "deploy": 1, "ca": 2, "reuse_key": 1, "challenge": 1}
    assert 'did you mean "domains"?' in errors["domain"][0]
    assert errors["domains"] == errors["placeholder"] == errors["reuse_key"] == [TYPES]
    assert errors["challenge"] == ['"challenge" must not hold control characters']
    assert "accept_terms = yes" in errors["ca"][0]
    assert "eab_kid" in errors["ca"][1]
    done = serving.ctl("add", "new.example.test", "--ca=google", "--keys=dsa", check=False)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "accept_terms = yes" in done.stderr and "dsa" in done.stderr


@pytest.mark.parametrize("method,path,body,field", [
    ("POST", f"{PATH}/renew", {"force": "yes"}, "force"),
    ("POST", f"{PATH}/renew", {"fork": True}, "fork"),
    ("GET", "/v1/certificates?state=good", None, "state"),
    ("GET", "/v1/certificates?limit=-1", None, "limit"),
    ("GET", "/v1/certificates?page=2", None, "page"),
    ("DELETE", f"{PATH}?purge=yes", None, "purge"),
    ("GET", f"{PATH}/bundle?key=dsa", None, "key"),
    ("GET", f"{PATH}/bundle?format=pkcs12", None, "format"),
    ("PUT", "/v1/certificates/a%20b", {}, "name"),
])
def test_wrong_fields(serving: Renewd, method: str, path: str, body: dict | None,
                      field: str) -> None:
    reply = serving.api(method, path, body)
    assert reply.status == 422
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert [error["field"] for error in reply.json()["errors"]] == [field]


def test_bundle_of_one_key(renewd: Renewd) -> None:
    renewd.add_certificate(NAME, keys=["ecdsa-p256", "rsa-2048"])
    renewd.start()
    renewd.wait_state(NAME, timeout=60)
    plain = renewd.ctl("bundle", NAME).stdout
    for key in ("ecdsa", "rsa"):
        bundle = renewd.bundle(NAME, f"haproxy.pem.{key}").read_text()
        assert renewd.ctl("bundle", NAME, f"--key={key}").stdout == bundle
        assert renewd.ctl("bundle", NAME, f"--key={key}", "--format=haproxy").stdout == bundle
        assert (plain == bundle) == (key == "ecdsa")
    done = renewd.ctl("bundle", NAME, "--key=dsa&format=x", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "key: must be ecdsa or rsa" in done.stderr
    done = renewd.ctl("list", "--key=rsa", check=False)
    assert done.returncode == 2
