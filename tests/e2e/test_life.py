"""A whole life in one process: start, issue, renew, fail, recover, reload, stop. Run under
valgrind as well, by RENEWD_WRAPPER."""

from __future__ import annotations

import signal

from programs.pebble import Pebble
from programs.renewd import Renewd


def test_life(renewd: Renewd, pebble: Pebble) -> None:
    front = pebble.front
    assert front
    renewd.add_certificate("one.example.test", domains=["one.example.test", "uno.example.test"])
    renewd.add_certificate("two.example.test", keys=["rsa-2048", "ecdsa-p384"])
    renewd.start()
    renewd.wait_state("one.example.test", timeout=60)
    renewd.wait_state("two.example.test", timeout=60)
    renewd.ctl("renew", "--force", "--wait", "one.example.test")
    renewd.ctl("list")
    renewd.ctl("status")
    front.set_lines("http-request deny deny_status 500 if { path_beg /finalize-order }")
    failed = renewd.ctl("renew", "--force", "--wait", "one.example.test", check=False)
    assert failed.returncode == 1
    front.set_lines("")
    renewd.ctl("renew", "--wait", "one.example.test")
    renewd.add_certificate("three.example.test")
    renewd.write_config()
    renewd.signal(signal.SIGHUP)
    renewd.wait_log("configuration reloaded")
    renewd.wait_state("three.example.test", timeout=60)
    renewd.stop()  # checks the exit status, which is valgrind's word as well
    renewd.start()
    assert renewd.certificate("one.example.test")["state"] == "valid"
