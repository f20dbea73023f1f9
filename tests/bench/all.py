#!/usr/bin/python3
"""All benches that docs/performance.md rests on, one after the other; then the part of
it between its two marks is theirs. About a quarter of an hour.

    ./dev bench [all [N [N-AT-THE-LOAD-CA]]]
"""

from __future__ import annotations

import sys
import time

import among
import http01
import load
import peers
import rest
from table import debian_version, machine, write_document

HOW = """Written by `./dev bench`, on {machine}.
renewd as built by `./dev build` (gcc -O2), every fsync done; Pebble {pebble}, without
sleeps or refused nonces, behind HAProxy {haproxy} that lets one request at a time through
to it, as it deadlocks otherwise. Each client was alone at a CA that had just been started,
on the same machine: what the CA and HAProxy take, the client can't have. P-256 keys and
HTTP-01 for all; dehydrated, uacme: tokens served by nginx.

- *certificates*: what the CA was asked for and gave; slow clients are asked for fewer.
- *seconds*: from the start of the daemon until the last certificate was fetched; of
  commands, the sum of their runs. Registering the commands' accounts isn't counted.
- *CPU*: of the client's process and all that it starts, its start included; for renewd
  and Caddy serving HTTP-01 is in it, for uacme and dehydrated it isn't.
- *peak MB*: resident; of several processes, pages that they share are counted once.
- *requests*: all that reached HAProxy, or the load CA.
- *renewd*: as it comes, but with `max_orders = 64`, for somebody with a CA of his own, and
  `placeholder = no`, as renewals have none: one costs a key and a signature, and files.
- *raw client*: `tests/raw_client`, the ceiling: 16 orders at once, libacme and kept
  connections, no files, no inventory, no patience. It is no client to use.
- *Caddy, limiter lifted*: its limiter begins 10 orders in 10 s for an account's address,
  so it has an account for every ten names; *as it comes*: one account, and of its 30 the
  first ten begin at once. Where it is short of some, accounts were in each other's way.
- certbot, lego, uacme are run for each certificate; dehydrated once for all of its list.
  lego and dehydrated sleep between polls. Account keys are as each makes them.
- *at rest*: all certificates issued over the last 50 days, on a tmpfs, defined by the API,
  in a file of its own in conf.d each, or all in renewd.conf. renewd is ready when it
  answers and says so, Caddy and mod_md when they serve the last name.
- *a renewal among others*: ten certificates, renewed by force three times, in an inventory
  of so many; CPU to the nanosecond, what follows in a second included.
- A dash: it says nothing of it.
"""


def main() -> None:
    words = sys.argv[1:]
    began = time.monotonic()
    tables = [*peers.measure(words[:1]), *load.measure(words[1:2]), *rest.measure([]),
              *among.measure([]), *http01.measure([])]
    write_document(tables, HOW.format(machine=machine(), pebble=debian_version("pebble"),
                                      haproxy=debian_version("haproxy")))
    print(f"docs/performance.md is written; {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
