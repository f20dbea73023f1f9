"""Renewal information (ARI, RFC 9773): what CAs suggest is followed, and what goes wrong
with it never stops a renewal."""

from __future__ import annotations

import datetime
import email.utils
import json
import sqlite3
import threading
import time

import pytest

from programs.pebble import Pebble
from programs.place import Place
from programs.program import wait_until
from programs.proxy import Answer, Proxy, Request, problem, with_headers
from programs.renewd import Renewd

pytestmark = pytest.mark.pebble(version="2.10", profiles={"default": 90 * 86400})

NAME = "www.example.test"
ARI = "/draft-ietf-acme-ari-03/renewalInfo"
ORDER = "/order-plz"
HOUR = 3600
DAY = 24 * HOUR


@pytest.fixture
def proxy(place: Place, pebble: Pebble) -> Proxy:
    it = Proxy(place, pebble)
    it.start()
    return it


@pytest.fixture
def renewd(place: Place, proxy: Proxy) -> Renewd:
    """renewd that reaches its CA through the proxy, with one certificate."""
    it = Renewd(place, http_port=proxy.http_port)
    it.add_ca("pebble", proxy)  # as a CA, it is one
    it.set("defaults", ca="pebble")
    it.add_certificate(NAME)
    return it


# ---- helpers ----

def text(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.timezone.utc).strftime(
        "%Y-%m-%dT%H:%M:%SZ")


def seconds(at: str) -> float:
    return datetime.datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()


def window(start: float, end: float, explanation: str = "") -> bytes:
    """A renewalInfo object for a window from now on."""
    now = time.time()
    info: dict[str, object] = {
        "suggestedWindow": {"start": text(now + start), "end": text(now + end)}}
    if explanation:
        info["explanationURL"] = explanation
    return json.dumps(info).encode()


def good(start: float, end: float, explanation: str = "", retry: str = "21600") -> Answer:
    return Answer(200, window(start, end, explanation),
                  {"Content-Type": "application/json", "Retry-After": retry})


def row(renewd: Renewd) -> dict[str, object]:
    with sqlite3.connect(f"file:{renewd.state_dir}/renewd.db?mode=ro", uri=True) as db:
        db.row_factory = sqlite3.Row
        found = db.execute("SELECT * FROM renewal_info").fetchall()
    assert len(found) == 1, "one certificate, one row"
    return dict(found[0])


def wait_row(renewd: Renewd, what: str, **least: int) -> dict[str, object]:
    """Waits until the row's fields are at least so large."""
    return wait_until(lambda: all(row(renewd)[key] >= value  # type: ignore[operator]
                                  for key, value in least.items()) and row(renewd), what)


def issue(renewd: Renewd, proxy: Proxy) -> dict:
    """The first certificate, and the CA was asked about it."""
    renewd.start()
    renewd.wait_state(NAME)
    wait_until(lambda: proxy.count(ARI) >= 1, "the CA is asked")
    wait_row(renewd, "the answer is stored", asked_at=1)
    return renewd.certificate(NAME)


def set_rows(renewd: Renewd, fields: str) -> None:
    """Changes the rows, best while it is stopped."""
    with sqlite3.connect(renewd.state_dir / "renewd.db") as db:
        db.execute(f"UPDATE renewal_info SET {fields}")


def ask_again(renewd: Renewd) -> None:
    """Time passes while it is stopped: the CA is to be asked, and nobody did lately."""
    renewd.stop()
    set_rows(renewd, "ask_at = 1, asked_at = 1, failures = 0")
    renewd.start()


def not_asked_lately(renewd: Renewd) -> None:
    """A minute passes while it is stopped."""
    renewd.stop()
    set_rows(renewd, "asked_at = 1")
    renewd.start()


def serial(renewd: Renewd) -> str:
    return renewd.leaf(NAME).serial


def wait_renewed(renewd: Renewd, before: str, timeout: float = 20) -> None:
    wait_until(lambda: serial(renewd) != before, "it is renewed", timeout)
    renewd.wait_state(NAME)


def order_payloads(proxy: Proxy) -> list[dict]:
    return [request.payload() for request, _ in proxy.seen(ORDER, "POST")]


# ---- windows ----

def test_the_ca_is_asked_right_after_issuance(renewd: Renewd, proxy: Proxy) -> None:
    """Unsigned, once, by the right id, and the plan is a point in Pebble's own window."""
    shown = issue(renewd, proxy)
    request, answer = proxy.seen(ARI)[0]
    assert (request.method, request.body, answer.status) == ("GET", b"", 200)
    suggested = json.loads(answer.body)["suggestedWindow"]
    shown = renewd.wait_certificate(NAME, renew_reason="ari")
    assert suggested["start"] < shown["renew_at"] < suggested["end"]
    assert proxy.count(ARI) == 1
    kept = row(renewd)
    assert kept["suggested_at"] == seconds(shown["renew_at"])
    assert "renew_at\t" + shown["renew_at"] in renewd.ctl("show", NAME).stdout
    # it survives a restart, and nobody asks sooner than was said
    renewd.stop()
    renewd.start()
    assert renewd.certificate(NAME)["renew_at"] == shown["renew_at"]
    assert row(renewd) == kept
    assert proxy.count(ARI) == 1


def test_a_window_in_the_past_renews_now(renewd: Renewd, proxy: Proxy) -> None:
    issue(renewd, proxy)
    first = serial(renewd)
    proxy.script(ARI, good(-2 * HOUR, -HOUR, "https://ca.example/incident"))
    ask_again(renewd)
    wait_renewed(renewd, first)
    log = renewd.output()
    assert "the CA wants it renewed now" in log
    assert log.count("https://ca.example/incident") == 1
    assert "certificate issued (ecdsa-p256, ari)" in log
    # the order named the certificate that it replaces; the new one has a window of its own
    replaces = order_payloads(proxy)[-1]["replaces"]
    assert proxy.seen(ARI)[0][0].path.endswith("/" + replaces)
    wait_until(lambda: not proxy.seen(ARI)[-1][0].path.endswith(replaces),
               "the new one is asked about")
    renewd.wait_certificate(NAME, renew_reason="ari", failures=0)
    assert "window" in [event["kind"] for event in history(renewd)]
    assert proxy.count(ORDER, "POST") == 2


def history(renewd: Renewd) -> list[dict]:
    lines = renewd.ctl("--json", "history", NAME).stdout.splitlines()
    return [json.loads(line) for line in lines]


def test_windows_that_are_always_over(renewd: Renewd, proxy: Proxy) -> None:
    """A CA that says so of every certificate has it renewed once, and not again and
    again."""
    proxy.always(ARI, good(-2 * HOUR, -HOUR))
    renewd.start()
    renewd.wait_state(NAME)
    wait_until(lambda: proxy.count(ORDER, "POST") == 2, "it is renewed")
    wait_until(lambda: proxy.count(ARI) == 2, "the second is asked about")
    wait_row(renewd, "the answer is stored", asked_at=1)
    shown = renewd.wait_certificate(NAME, activity="idle", renew_reason="ari")
    assert seconds(shown["renew_at"]) > time.time() + 5 * HOUR
    assert proxy.count(ORDER, "POST") == 2


def test_a_window_that_changes_is_picked_in_anew(renewd: Renewd, proxy: Proxy) -> None:
    first = issue(renewd, proxy)
    assert first["certificates"]
    proxy.always(ARI, good(20 * DAY, 21 * DAY, "https://ca.example/why"))
    ask_again(renewd)
    wait_row(renewd, "the new window", asked_at=2)
    shown = renewd.wait_certificate(NAME, renew_reason="ari")
    assert time.time() + 20 * DAY <= seconds(shown["renew_at"]) <= time.time() + 21 * DAY
    renewd.wait_log("https://ca.example/why")
    assert renewd.output().count("https://ca.example/why") == 1
    # the same window again: the same point, and no more news
    ask_again(renewd)
    wait_row(renewd, "asked again", asked_at=2)
    assert renewd.certificate(NAME)["renew_at"] == shown["renew_at"]
    assert renewd.output().count("https://ca.example/why") == 1
    assert proxy.count(ORDER, "POST") == 1


def test_the_point_has_a_timer(renewd: Renewd, proxy: Proxy) -> None:
    """A narrow window within the time until the CA is asked again: renewed in it, by an
    order that the CA sees before its end."""
    issue(renewd, proxy)
    first = serial(renewd)
    proxy.script(ARI, good(4, 8))
    ask_again(renewd)
    shown = wait_row(renewd, "the new window", asked_at=2)
    wait_renewed(renewd, first)
    assert proxy.count(ORDER, "POST") == 2
    with sqlite3.connect(f"file:{renewd.state_dir}/renewd.db?mode=ro", uri=True) as db:
        issued_at = db.execute("SELECT max(issued_at) FROM issued").fetchone()[0]
    assert int(str(shown["window_start"])) <= issued_at <= int(str(shown["window_end"])) + 1


def test_a_far_window_never_passes_the_last_line(renewd: Renewd, proxy: Proxy) -> None:
    proxy.always(ARI, good(900 * DAY, 901 * DAY))
    issue(renewd, proxy)
    shown = renewd.wait_certificate(NAME, renew_reason="lifetime", activity="idle")
    end = seconds(shown["not_after"])
    wait_until(lambda: abs(seconds(renewd.certificate(NAME)["renew_at"]) -
                           (end - 90 * DAY / 20)) < 60, "a twentieth is left")


def test_what_is_configured_is_the_latest(renewd: Renewd, proxy: Proxy) -> None:
    """Later than renew_before the CA's word doesn't count; earlier it does."""
    renewd.set(f"certificate {NAME}", renew_before="40d")
    proxy.script(ARI, good(70 * DAY, 71 * DAY))
    issue(renewd, proxy)
    shown = renewd.wait_certificate(NAME, renew_reason="lifetime", activity="idle")
    assert seconds(shown["renew_at"]) < time.time() + 50 * DAY + HOUR
    proxy.script(ARI, good(10 * DAY, 11 * DAY))
    ask_again(renewd)
    shown = renewd.wait_certificate(NAME, renew_reason="ari")
    assert seconds(shown["renew_at"]) < time.time() + 11 * DAY


def test_pebble_is_told_what_to_say(renewd: Renewd, proxy: Proxy, pebble: Pebble) -> None:
    """The same by Pebble's own means: the past, a broken object, an end before the start."""
    issue(renewd, proxy)
    first = serial(renewd)
    pem = renewd.bundle(NAME, "cert.pem").read_text()
    for bad in ("not JSON", window(2 * HOUR, HOUR).decode()):
        pebble.set_renewal_info(pem, bad)
        ask_again(renewd)
        wait_row(renewd, "asked", asked_at=2)
        assert int(str(row(renewd)["ask_at"])) >= time.time() + 5.9 * HOUR
        assert row(renewd)["problem"]
    assert serial(renewd) == first
    pebble.set_renewal_info(pem, window(-2 * HOUR, -HOUR).decode())
    ask_again(renewd)
    wait_renewed(renewd, first)


# ---- what goes wrong ----

BAD = {
    "404": Answer(404),
    "403": problem(403, "unauthorized"),
    "429": problem(429, "rateLimited", Retry_After="60"),
    "no window": Answer(200, b"{}", {"Retry-After": "60"}),
    "not JSON": Answer(200, b"<html>", {"Retry-After": "60"}),
    "end is start": good(HOUR, HOUR, retry="60"),
    "end before start": good(2 * HOUR, HOUR, retry="60"),
}


@pytest.mark.parametrize("what", BAD)
def test_lasting_errors_wait_six_hours(renewd: Renewd, proxy: Proxy, what: str) -> None:
    """Said once, and it is renewed by its life."""
    proxy.always(ARI, BAD[what])
    shown = issue(renewd, proxy)
    kept = row(renewd)
    assert kept["problem"] and not kept["window_start"]
    assert 6 * HOUR - 60 <= int(str(kept["ask_at"])) - time.time() <= 6 * HOUR + 660
    renewd.wait_log("doesn't say when it is to be renewed")
    shown = renewd.wait_certificate(NAME, renew_reason="lifetime", activity="idle")
    assert shown["health"] == "ok" and shown["failures"] == 0
    assert 48 * DAY < seconds(shown["renew_at"]) - time.time() < 61 * DAY
    assert proxy.count(ARI) == 1
    ask_again(renewd)  # a restart tells it once more; the answer after that doesn't
    wait_row(renewd, "asked again", asked_at=2)
    assert row(renewd)["problem"] == kept["problem"]


def test_a_server_error_is_tried_again_soon(renewd: Renewd, proxy: Proxy) -> None:
    proxy.script(ARI, Answer(500), Answer(503), Answer(500))
    issue(renewd, proxy)
    wait_until(lambda: proxy.count(ARI) == 4, "the fourth time", 20)
    renewd.wait_certificate(NAME, renew_reason="ari", activity="idle")
    assert "doesn't say" not in renewd.output()


def test_server_errors_that_last(renewd: Renewd, proxy: Proxy) -> None:
    """Four questions within some seconds, then six hours of peace; a forced renewal and
    the planned one don't care."""
    proxy.always(ARI, Answer(500))
    issue(renewd, proxy)
    wait_until(lambda: proxy.count(ARI) == 4, "the fourth time", 20)
    wait_row(renewd, "given up", ask_at=int(time.time() + 5.9 * HOUR))
    assert renewd.output().count("doesn't say") == 1
    assert renewd.certificate(NAME)["renew_reason"] == "lifetime"
    first = serial(renewd)
    renewd.ctl("renew", "--force", "--wait", NAME)
    assert serial(renewd) != first
    assert proxy.count(ARI) == 4  # the CA is left alone, for the new certificate too


def test_retry_after(renewd: Renewd, proxy: Proxy) -> None:
    """Seconds, a date, too little, too much, none: within a minute to a day, or 6 hours."""
    def left() -> float:
        ask_again(renewd)
        kept = wait_row(renewd, "asked", asked_at=2)
        return int(str(kept["ask_at"])) - time.time()

    issue(renewd, proxy)
    date = email.utils.formatdate(time.time() + 2 * HOUR, usegmt=True)
    for said, least in (("7200", 2 * HOUR), (date, 2 * HOUR), ("1", 60), ("0", 60),
                        ("864000", DAY), ("nonsense", 6 * HOUR), (None, 6 * HOUR)):
        proxy.change(ARI, with_headers(Retry_After=said))
        assert least - 30 <= left() <= least + 5, said
    assert proxy.count(ORDER, "POST") == 1


def test_a_ca_without_it(renewd: Renewd, proxy: Proxy) -> None:
    """It isn't asked, orders replace nothing, and all is as it was."""
    def without(_: Request, answer: Answer) -> Answer:
        directory = json.loads(answer.body)
        del directory["renewalInfo"]
        return Answer(answer.status, json.dumps(directory).encode(), answer.headers)

    proxy.change("/dir", without)
    renewd.start()
    shown = renewd.wait_state(NAME)
    assert shown["renew_reason"] == "lifetime"
    wait_row(renewd, "put off", ask_at=int(time.time() + 23 * HOUR))
    renewd.ctl("renew", "--force", "--wait", NAME)
    assert [payload.get("replaces") for payload in order_payloads(proxy)] == [None, None]
    assert renewd.ctl("renew", NAME).stdout == f"{NAME}\tnot-due\n"
    assert proxy.count(ARI) == 0


def test_a_ca_that_left_the_configuration(renewd: Renewd, proxy: Proxy) -> None:
    """Another section is no reason to ask that one's server about its certificates."""
    issue(renewd, proxy)
    renewd.stop()
    renewd.add_ca("other", proxy)
    del renewd.sections["ca pebble"]
    renewd.set("defaults", ca="other")
    proxy.always(ORDER, problem(403, "unauthorized"))  # so the old certificate stays
    set_rows(renewd, "ask_at = 1, asked_at = 1")
    renewd.start()
    wait_row(renewd, "put off", ask_at=int(time.time() + 23 * HOUR))
    assert proxy.count(ARI) == 1


# ---- accounts that can't be used ----

def test_questions_and_revocations_register_no_account(renewd: Renewd, proxy: Proxy) -> None:
    """Once it is deactivated, only an order makes another."""
    issue(renewd, proxy)
    renewd.ctl("deactivate", "pebble")
    ask_again(renewd)
    wait_until(lambda: proxy.count(ARI) == 2, "the CA is asked")
    wait_row(renewd, "the answer is stored", asked_at=2)
    # while it runs, too, with the directory known
    not_asked_lately(renewd)
    renewd.ctl("renew", NAME)
    assert proxy.count(ARI) == 3
    assert renewd.ctl("revoke", NAME, "--yes").stdout == f"{NAME}\trevoked\n"
    assert proxy.count("/sign-me-up", "POST") == 1
    states = [a["state"] for a in renewd.get("/v1/accounts")["accounts"]]
    assert states == ["deactivated"]
    renewd.ctl("renew", "--wait", NAME)
    assert proxy.count("/sign-me-up", "POST") == 2


def test_a_ca_that_is_stopped_is_asked(renewd: Renewd, proxy: Proxy) -> None:
    """It wants its terms agreed to, which says nothing of renewal information."""
    issue(renewd, proxy)
    proxy.always(ORDER, problem(403, "userActionRequired"))
    renewd.ctl("add", "other.example.test")
    renewd.wait_certificate("other.example.test", activity="parked")
    set_rows(renewd, "asked_at = 1")
    assert renewd.ctl("renew", NAME).stdout == f"{NAME}\tnot-due\n"
    assert proxy.count(ARI) == 2
    assert row(renewd)["failures"] == 0 and row(renewd)["problem"] is None
    assert proxy.count(ORDER, "POST") == 2  # still stopped


# ---- replaces ----

REFUSALS = {
    "alreadyReplaced": problem(409, "alreadyReplaced"),
    "conflict": problem(409, "conflict"),
    "malformed": problem(400, "malformed"),
    "unauthorized": problem(403, "unauthorized"),
    "serverInternal": problem(500, "serverInternal"),
    "500": Answer(500),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_replaces_that_is_refused(renewd: Renewd, proxy: Proxy, what: str) -> None:
    """The same attempt has the certificate all the same."""
    def refuse(request: Request) -> Answer | None:
        return REFUSALS[what] if "replaces" in request.payload() else None

    issue(renewd, proxy)
    proxy.always(ORDER, refuse)
    first = serial(renewd)
    renewd.ctl("renew", "--force", "--wait", NAME)
    assert serial(renewd) != first
    shown = renewd.wait_state(NAME)
    assert shown["failures"] == 0 and shown["last_error"] is None
    # these may be about the account: that is looked at before they are believed
    asked = [True, True] if what in ("unauthorized", "500") else [True]
    assert ["replaces" in payload for payload in order_payloads(proxy)] == [
        False, *asked, False]
    assert "doesn't take the order as a replacement" in renewd.output()


def test_replaces_only_where_due(renewd: Renewd, proxy: Proxy) -> None:
    """The first has no predecessor; other names have none either; one name is enough."""
    issue(renewd, proxy)
    for domains, due in ((["other.example.test"], False),
                         (["other.example.test", "more.example.test"], True)):
        renewd.set(f"certificate {NAME}", domains=domains)
        before = serial(renewd)
        renewd.write_config()
        renewd.ctl("reload")
        wait_renewed(renewd, before)
        assert ("replaces" in order_payloads(proxy)[-1]) == due
    assert "doesn't take" not in renewd.output()


# ---- by hand ----

def test_renew_asks_anew(renewd: Renewd, proxy: Proxy) -> None:
    """Not due: the CA is asked, at most once a minute, and its answer counts."""
    issue(renewd, proxy)
    assert renewd.ctl("renew", NAME).stdout == f"{NAME}\tnot-due\n"
    assert proxy.count(ARI) == 1  # asked at issuance, less than a minute ago
    not_asked_lately(renewd)
    reply = renewd.api("POST", f"/v1/certificates/{NAME}/renew", {})
    assert (reply.status, reply.json()) == (200, {"started": False, "reason": "not-due"})
    assert proxy.count(ARI) == 2
    renewd.api("POST", f"/v1/certificates/{NAME}/renew", {})
    assert proxy.count(ARI) == 2
    not_asked_lately(renewd)
    first = serial(renewd)
    proxy.script(ARI, good(-2 * HOUR, -HOUR))
    assert renewd.ctl("renew", "--wait", NAME).returncode == 0
    assert serial(renewd) != first


def test_renew_doesnt_wait_for_ever(renewd: Renewd, proxy: Proxy) -> None:
    """A CA that doesn't answer: what is known counts, after some seconds."""
    issue(renewd, proxy)
    not_asked_lately(renewd)

    ended = threading.Event()

    def slow(_: Request) -> Answer:
        ended.wait(60)
        return Answer(500)

    proxy.always(ARI, slow)
    begin = time.monotonic()
    reply = renewd.api("POST", f"/v1/certificates/{NAME}/renew", {})
    assert (reply.status, reply.json()["started"]) == (200, False)
    assert time.monotonic() - begin < 13
    renewd.stop()  # with the question on its way
    ended.set()


# ---- many ----

def test_many_are_asked_one_by_one(renewd: Renewd, proxy: Proxy) -> None:
    """After a long downtime all are due at once: they come as a trickle, each once."""
    names = [f"n{i}.example.test" for i in range(40)]
    for name in names:
        renewd.add_certificate(name)
    renewd.start()
    for name in [NAME, *names]:
        renewd.wait_state(name, timeout=60)
    wait_until(lambda: proxy.count(ARI) == 41, "all were asked about")
    renewd.stop()
    set_rows(renewd, "ask_at = 1")
    begin = time.monotonic()
    renewd.start()
    wait_until(lambda: proxy.count(ARI) == 82, "all were asked again", 30)
    assert time.monotonic() - begin > 1
    paths = [request.path for request, _ in proxy.seen(ARI)]
    assert sorted(paths[:41]) == sorted(paths[41:])
