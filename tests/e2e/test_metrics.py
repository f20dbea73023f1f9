"""What Prometheus reads: every metric once, whole, and true."""

from __future__ import annotations

import re

import pytest

from programs.pebble import Pebble
from programs.renewd import Renewd

NAME = "metrics.example.test"
SAMPLE = re.compile(r'([a-z_]+)(?:\{(.*)\})? (\S+)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


class Metrics:
    """A scrape: samples by name and labels; checks the form while reading it."""

    def __init__(self, text: str) -> None:
        self.samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        self.types: dict[str, str] = {}
        family = ""
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, family, kind = line.split(" ")
                assert family not in self.types, f"{family} comes twice"
                self.types[family] = kind
            elif not line.startswith("# HELP "):
                name, labels, value = SAMPLE.fullmatch(line).groups()
                assert re.sub("_(bucket|sum|count)$", "", name) == family or name == family
                key = (name, frozenset(LABEL.findall(labels or "")))
                assert key not in self.samples, line
                self.samples[key] = float(value)

    def get(self, name: str, /, **labels: str) -> float:
        return self.samples[(name, frozenset(labels.items()))]

    def sum(self, name: str, /, **labels: str) -> float:
        return sum(value for (key, has), value in self.samples.items()
                   if key == name and set(labels.items()) <= has)


def scrape(renewd: Renewd) -> Metrics:
    reply = renewd.api("GET", "/metrics")
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return Metrics(reply.body.decode())


def test_metrics(renewd: Renewd, pebble: Pebble) -> None:
    renewd.add_certificate(NAME, keys="ecdsa-p256 rsa-2048")
    renewd.start()
    seen = renewd.wait_state(NAME)
    m = scrape(renewd)
    for row in seen["certificates"]:
        begin = m.get("renewd_certificate_not_before_timestamp_seconds", name=NAME, key=row["key"])
        end = m.get("renewd_certificate_not_after_timestamp_seconds", name=NAME, key=row["key"])
        assert begin < m.get("renewd_certificate_renewal_timestamp_seconds", name=NAME) < end
    assert m.get("renewd_certificate_state", name=NAME, state="valid") == 1
    assert m.get("renewd_certificate_state", name=NAME, state="new") == 0
    assert m.sum("renewd_certificate_health", name=NAME) == 1
    assert m.get("renewd_certificate_failures", name=NAME) == 0
    assert m.get("renewd_renewals_total", result="issued", reason="new") == 2
    assert m.get("renewd_acme_requests_total", ca="pebble", action="newOrder", status="201") == 2
    requests = m.sum("renewd_acme_requests_total", ca="pebble")
    assert requests >= 12
    assert m.get("renewd_acme_request_duration_seconds_count", ca="pebble") == requests
    assert m.get("renewd_acme_request_duration_seconds_bucket", ca="pebble", le="+Inf") == requests
    assert m.get("renewd_challenge_requests_total", result="served") >= 1
    assert m.get("renewd_orders_active") == 0
    assert 0 < m.get("renewd_loop_turn_max_seconds") < 10
    assert m.sum("renewd_build_info") == 1
    assert renewd.ctl("metrics").stdout.count("# TYPE") == len(m.types) >= 19


@pytest.mark.parametrize("count", [0, 450])
def test_pages(renewd: Renewd, count: int) -> None:
    """More than fit into a page, and none at all."""
    for i in range(count):
        renewd.add_certificate(f"n{i}.example.test", enabled="no", placeholder="no")
    renewd.start()
    m = scrape(renewd)
    assert m.sum("renewd_certificate_state", state="new") == count
    assert sum(1 for name, _ in m.samples if name == "renewd_certificate_failures") == count
