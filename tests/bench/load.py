#!/usr/bin/python3
"""renewd, the raw client and Caddy where the CA isn't what limits them: the load CA on the
same machine, all durability on. N certificates each (default 3000). Prints figures.

    ./dev bench load [N] [CLIENT...]
"""

from __future__ import annotations

import sys

from issue import issue_all, parse
from authorities import AtLoadCa
from clients import CaddyUnlimited, Raw, TheRenewd, TheRenewdWithRsa
from table import Table

CLIENTS = {
    "raw": (Raw, None),
    "renewd": (TheRenewd, None),
    "renewd-rsa": (TheRenewdWithRsa, 30),
    "caddy": (CaddyUnlimited, None),
}


def measure(words: list[str]) -> list[Table]:
    count, chosen = parse(words, 3000, CLIENTS)
    return issue_all(AtLoadCa, count, chosen)


if __name__ == "__main__":
    measure(sys.argv[1:])
