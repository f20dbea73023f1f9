#!/usr/bin/python3
"""renewd beside its peers, each alone at a fresh Pebble behind HAProxy: certificates a
second, CPU, memory and requests for each, and what the daemons cost when all is done.
N certificates (default 1000) for those that can, fewer for the slow ones. Prints figures.
The first is the raw client: what this Pebble can give at most.

    ./dev bench peers [N] [CLIENT...]
"""

from __future__ import annotations

import sys

from issue import issue_all, parse
from authorities import AtPebble
from clients import (CaddyAsItComes, CaddyUnlimited, Certbot, Dehydrated, Lego, ModMd, Raw,
                     TheRenewd, Uacme)
from table import Table

# Of N certificates, a part for those that are slow; no more than this in any case.
CLIENTS = {
    "raw": (Raw, None),
    "renewd": (TheRenewd, None),
    "caddy": (CaddyUnlimited, None),
    "caddy-limited": (CaddyAsItComes, 30),
    "mod_md": (ModMd, 100),
    "uacme": (Uacme, 10),
    "certbot": (Certbot, 5),
    "lego": (Lego, 3),
    "dehydrated": (Dehydrated, 3),
}


def measure(words: list[str]) -> list[Table]:
    count, chosen = parse(words, 1000, CLIENTS)
    return issue_all(AtPebble, count, chosen)


if __name__ == "__main__":
    measure(sys.argv[1:])
