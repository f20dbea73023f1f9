#!/usr/bin/python3
"""What very many certificates cost at start and reload: N of them (default 10000), each
in a file of its own in conf.d, and a CA that can't be reached. Prints figures, asserts
nothing. With "issued" each has a certificate before the second start: rows are put into
the inventory, and the files are written by renewd, with all their fsyncs.

    ./dev bench many [N] [issued]

TMPDIR says where: on a tmpfs, such as /dev/shm, no fsync has to wait for a disk.
"""

from __future__ import annotations

import datetime
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from programs.place import Place, adopt_orphans
from programs.program import clean_environment
from programs.renewd import program
from programs.supervised import Supervised

from usage import cpu_seconds


class Caller(threading.Thread):
    """Calls /healthz all the time: the longest answer is the longest turn of the loop,
    and what this process itself waits for a processor."""

    def __init__(self, renewd: Supervised) -> None:
        super().__init__(daemon=True)
        self.renewd = renewd
        self.over = threading.Event()
        self.took: list[float] = []

    def run(self) -> None:
        while not self.over.is_set():
            begin = time.monotonic()
            self.renewd.api("GET", "/healthz")
            self.took.append(time.monotonic() - begin)
            time.sleep(0.002)  # or it would be all that the loop does

    def end(self) -> str:
        self.over.set()
        self.join()
        times = sorted(self.took)
        return (f"{len(times)} calls: median {times[len(times) // 2] * 1e3:.1f} ms, "
                f"longest {times[-1] * 1e3:.1f} ms")



def report(what: str, seconds: float, more: str = "") -> None:
    print(f"{what:34} {seconds:8.2f} s   {more}", flush=True)


def files_looked_at(renewd: Supervised) -> bool:
    statuses = renewd.statuses()
    return bool(statuses) and "looked at" not in statuses[-1]


def measure_start(renewd: Supervised, what: str) -> None:
    """To READY, and until the files of all were looked at."""
    renewd.start_timeout = 600
    renewd.start()
    report(f"{what}, to READY", renewd.ready_at - renewd.launched_at,
           f"CPU {cpu_seconds(renewd.pid):.2f} s")
    caller = Caller(renewd)
    caller.start()
    while not files_looked_at(renewd):
        time.sleep(0.01)  # between two looks
    report("  all files looked at after", time.monotonic() - renewd.launched_at,
           f"CPU {cpu_seconds(renewd.pid):.2f} s; {caller.end()}")
    said = [line for line in renewd.output_of_run().splitlines() if "were looked at" in line]
    print("\n".join(f"  {line}" for line in said))


def timed(*words: str | Path) -> float:
    begin = time.monotonic()
    subprocess.run([str(word) for word in words], check=True, env=clean_environment())
    return time.monotonic() - begin


def pair() -> tuple[bytes, str]:
    """One key and certificate, good enough to be put into files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    now = datetime.datetime.now()
    leaf = (x509.CertificateBuilder().subject_name(name).issuer_name(name)
            .public_key(key.public_key()).serial_number(1).not_valid_before(now)
            .not_valid_after(now + datetime.timedelta(days=90)).sign(key, hashes.SHA256()))
    return (key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
            leaf.public_bytes(Encoding.PEM).decode())


def issue_all(renewd: Supervised) -> None:
    """As if a CA had issued one for each, over the last 50 days; the files hold
    placeholders still, or aren't there."""
    key, chain = pair()
    now = int(time.time())
    with sqlite3.connect(renewd.state_dir / "renewd.db") as db:
        db.execute(
            "INSERT INTO issued (certificate, key_type, current, ca, account, names, serial,"
            " fingerprint, issuer, top, not_before, not_after, issued_at, key, chain)"
            " SELECT id, 1, 1, 'nobody', 1, name, '01', '00', 'CN=bench', 'bench', ?1 - ago,"
            " ?1 - ago + 90 * 86400, ?1 - ago, ?2, ?3 FROM"
            " (SELECT id, name, (id * 7919) % (50 * 86400) AS ago FROM certificates)",
            (now, key, chain))
        db.execute("UPDATE certificates SET failures = 0, next_attempt = 0, queued_ca = NULL,"
                   " next_at = ?, last_error = NULL", (now + 50 * 86400,))


def main() -> None:
    words = sys.argv[1:]
    issued = "issued" in words
    count = int(next((word for word in words if word.isdigit()), "10000"))
    adopt_orphans()
    with Place() as place:
        renewd = Supervised(place)
        renewd.set("renewd", log_level="info")
        renewd.set("ca nobody", directory="https://127.0.0.1:1/dir", accept_terms="yes")
        renewd.set("defaults", ca="nobody")
        folder = renewd.folder / "conf.d"
        folder.mkdir()
        for number in range(count):
            (folder / f"{number:06}.conf").write_text(
                f"[certificate c{number:06}.example.test]\n")
        report("renewd --check",
               timed(program("renewd"), "--check", "-c", renewd.write_config()))
        measure_start(renewd, f"first start with {count} new ones")
        print(f"  placeholders: {len(list(renewd.bundle_dir.glob('[!.]*')))}")
        if issued:
            renewd.stop()
            issue_all(renewd)
            measure_start(renewd, "start with files to write")
        renewd.stop()
        measure_start(renewd, "second start")
        (folder / "000000.conf").write_text(
            "[certificate c000000.example.test]\nrenew_before = 20d\n")
        report("reload of one changed", timed(program("renewctl"), "-s", renewd.socket,
                                              "reload"))
        renewd.set("defaults", bundle_mode="0600")
        renewd.write_config()
        caller = Caller(renewd)
        caller.start()
        report("reload of [defaults]", timed(program("renewctl"), "-s", renewd.socket,
                                             "reload"))
        time.sleep(1.5)  # a status is sent at most once a second
        while not files_looked_at(renewd):
            time.sleep(0.05)  # between two looks
        print(f"  meanwhile {caller.end()}")
        if os.environ.get("KEEP_OUTPUT"):
            shutil.copy(renewd.output_path, os.environ["KEEP_OUTPUT"])


if __name__ == "__main__":
    main()
