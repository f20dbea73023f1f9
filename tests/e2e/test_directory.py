"""Copies of a certificate's files where other programs want them: PEM, DER, PKCS#12, with
names, modes and owners of their own; put right where they are found wrong."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path


from needs import needs_root
from programs.place import Place
from programs.program import wait_until
from programs.renewd import Renewd

NAME = "shop.example.test"
NOBODY = 65534


def openssl(*words: object) -> str:
    return subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True,
                          text=True).stdout


def target(renewd: Renewd, name: str = NAME) -> dict:
    return renewd.certificate(name)["deployments"][0]


def deployed(renewd: Renewd, name: str = NAME) -> dict:
    return wait_until(lambda: next((d for d in renewd.certificate(name)["deployments"]
                                    if d["state"] == "deployed"), None), f"{name} is deployed")


def failed(renewd: Renewd, text: str, name: str = NAME) -> None:
    wait_until(lambda: any(d["state"] == "failed" and text in d["detail"]
                           for d in renewd.certificate(name)["deployments"]),
               f"the deployment of {name} has failed: {text}")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_all_forms(place: Place, renewd: Renewd) -> None:
    """What openssl reads in them is what was issued."""
    out, password = place.path / "out", place.path / "password"
    password.write_text("  secret words \n")
    renewd.set("deploy java", type="directory", fullchain_path=out / "{name}/full.pem",
               cert_path=out / "{name}/{name}.crt", chain_path=out / "{name}/ca.pem",
               key_path=out / "{name}/key.pem", bundle_path=out / "all-{name}.pem",
               pkcs12_path=out / "{name}.p12", pkcs12_password_file=password,
               cert_der_path=out / "{name}.cer", key_der_path=out / "{name}.key", mode="0600")
    renewd.add_certificate(NAME, deploy="java")
    renewd.start()
    deployed(renewd)
    for file, like in (("full.pem", "fullchain.pem"), (f"{NAME}.crt", "cert.pem"),
                       ("ca.pem", "chain.pem"), ("key.pem", "privkey.pem")):
        assert (out / NAME / file).read_bytes() == renewd.bundle(NAME, like).read_bytes()
        assert mode(out / NAME / file) == 0o600
    assert (out / f"all-{NAME}.pem").read_bytes() == \
        renewd.bundle(NAME, "haproxy.pem").read_bytes()
    cert = renewd.bundle(NAME, "cert.pem").read_text()
    key = renewd.bundle(NAME, "privkey.pem").read_text()
    assert openssl("x509", "-inform", "DER", "-in", out / f"{NAME}.cer") == cert
    assert openssl("pkey", "-inform", "DER", "-in", out / f"{NAME}.key") == key
    p12 = ("pkcs12", "-in", out / f"{NAME}.p12", "-passin", "pass:secret words")
    assert cert in openssl(*p12, "-nokeys", "-clcerts")
    assert renewd.bundle(NAME, "chain.pem").read_text() in openssl(*p12, "-nokeys", "-cacerts")
    listed = openssl(*p12, "-nodes")
    assert key in listed and f"friendlyName: {NAME}" in listed
    if shutil.which("keytool"):  # Java itself
        listed = subprocess.run(["keytool", "-list", "-v", "-keystore", out / f"{NAME}.p12",
                                 "-storepass:env", "PASSWORD"], check=True, text=True,
                                capture_output=True, env=os.environ | {
                                    "PASSWORD": "secret words", "LC_ALL": "C"}).stdout
        assert f"Alias name: {NAME}" in listed and "Entry type: PrivateKeyEntry" in listed
        assert "Certificate chain length: 2" in listed
    assert "secret words" not in renewd.output() and key.splitlines()[1] not in renewd.output()
    assert "secret" not in renewd.run("-c", renewd.config_path, "--print-config").stdout
    # nothing is written again that is right, PKCS#12 neither
    before = {path: path.stat().st_ino for path in out.rglob("*") if path.is_file()}
    assert len(before) == 8
    renewd.ctl("deploy", NAME)
    wait_until(lambda: target(renewd)["state"] == "deployed", "it is deployed again")
    renewd.restart()
    assert before == {path: path.stat().st_ino for path in out.rglob("*") if path.is_file()}
    # a renewal changes all
    renewd.ctl("renew", "--force", "--wait", NAME)
    wait_until(lambda: (out / f"{NAME}/{NAME}.crt").read_text() ==
               renewd.bundle(NAME, "cert.pem").read_text() != cert, "the new one is there")
    deployed(renewd)
    assert renewd.bundle(NAME, "cert.pem").read_text() in openssl(*p12, "-nokeys", "-clcerts")
    assert not [path for path in out.rglob("*") if path.name.startswith(".")]


def test_pair(place: Place, renewd: Renewd) -> None:
    """With {key} each type has its file; without, the first of `keys` does. It is said."""
    out = place.path / "out"
    renewd.set("deploy mail", type="directory", fullchain_path=out / "{key}.pem",
               key_path=out / "{key}.key", cert_path=out / "one.pem")
    renewd.add_certificate(NAME, deploy="mail", keys=["rsa-2048", "ecdsa-p256"])
    renewd.start()
    deployed(renewd)
    for key in ("rsa", "ecdsa"):
        wait_until(lambda k=key: (out / f"{k}.pem").exists(), f"{key} is there")
        assert (out / f"{key}.pem").read_bytes() == \
            renewd.bundle(NAME, f"fullchain.{key}.pem").read_bytes()
        assert (out / f"{key}.key").read_bytes() == \
            renewd.bundle(NAME, f"privkey.{key}.pem").read_bytes()
        assert f"file written: {out}/{key}.pem, of the {key.upper()} certificate" in \
            renewd.output()
    assert (out / "one.pem").read_bytes() == renewd.bundle(NAME, "cert.rsa.pem").read_bytes()
    renewd.add_certificate(NAME, keys="ecdsa-p384")
    renewd.reload()
    wait_until(lambda: (out / "one.pem").read_bytes() ==
               renewd.bundle(NAME, "cert.pem").read_bytes() ==
               (out / "ecdsa.pem").read_bytes()[:len((out / "one.pem").read_bytes())],
               "a single type has its name, too")


def test_put_right(place: Place, renewd: Renewd) -> None:
    """At a start, at a look now and then, and when asked."""
    out = place.path / "out"
    key, cert = out / "key.pem", out / "cert.pem"
    renewd.set("deploy mail", type="directory", key_path=key, cert_path=cert,
               verify_interval="2s")
    renewd.add_certificate(NAME, deploy="mail")
    renewd.start()
    deployed(renewd)
    right = key.read_bytes()
    key.write_text("nonsense")
    wait_until(lambda: key.read_bytes() == right, "it is found, and put right")
    renewd.wait_log(f"{key} is missing or not as it has to be; it is deployed again")
    renewd.set("deploy mail", verify_interval="1d")
    renewd.restart()
    renewd.wait_state(NAME)
    cert.unlink()
    key.chmod(0o644)
    renewd.restart()
    wait_until(lambda: cert.exists() and mode(key) == 0o640, "the start puts them right")
    key.unlink()
    renewd.ctl("verify", NAME)
    wait_until(lambda: key.exists() and key.read_bytes() == right, "so it is when asked")
    assert target(renewd)["state"] == "deployed"


@needs_root
def test_owner_and_group(place: Place, renewd: Renewd) -> None:
    out = place.path / "out"
    renewd.set("deploy mail", type="directory", key_path=out / "key.pem", owner="nobody",
               group="nogroup", verify_interval="1s")
    renewd.add_certificate(NAME, deploy="mail")
    renewd.start()
    deployed(renewd)
    is_theirs = lambda: ((out / "key.pem").stat().st_uid,  # noqa: E731
                         (out / "key.pem").stat().st_gid) == (NOBODY, NOBODY)
    assert is_theirs() and mode(out / "key.pem") == 0o640
    os.chown(out / "key.pem", 0, 0)
    wait_until(is_theirs, "it is given back")
    renewd.set("deploy mail", owner="nobody-of-that-name")
    renewd.reload()
    renewd.ctl("deploy", NAME)
    failed(renewd, 'there is no user "nobody-of-that-name" (owner)')


@needs_root
def test_links_of_strangers(place: Place, renewd: Renewd) -> None:
    """Root's links are followed, a stranger's never is; one in a file's place is replaced."""
    real, mine, theirs = (place.path / name for name in ("real", "mine", "theirs"))
    real.mkdir()
    mine.symlink_to("real")
    theirs.symlink_to(real)
    os.lchown(theirs, NOBODY, NOBODY)
    elsewhere = place.path / "elsewhere"
    elsewhere.write_text("untouched")
    (real / "key.pem").symlink_to(elsewhere)
    renewd.set("deploy mine", type="directory", key_path=mine / "key.pem")
    renewd.set("deploy theirs", type="directory", key_path=theirs / "other.pem")
    renewd.add_certificate(NAME, deploy="mine")
    renewd.add_certificate("other.example.test", deploy="theirs")
    renewd.start()
    deployed(renewd)
    failed(renewd, "on the way there is a symbolic link of another user's", "other.example.test")
    assert os.listdir(real) == ["key.pem"]
    assert not (real / "key.pem").is_symlink() and elsewhere.read_text() == "untouched"
    assert (real / "key.pem").read_bytes() == renewd.bundle(NAME, "privkey.pem").read_bytes()


def test_troubles(place: Place, renewd: Renewd) -> None:
    """Each says what to do, orders nothing, and is over when it is."""
    out, password = place.path / "out", place.path / "password"
    renewd.set("deploy java", type="directory", pkcs12_path=out / "keystore",
               pkcs12_password_file=password)
    renewd.add_certificate(NAME, deploy="java")
    renewd.start()
    failed(renewd, f"pkcs12_password_file {password} can't be read: No such file")
    password.write_text("x\n")
    out.write_text("a file in the place of the directory")
    renewd.ctl("deploy", NAME)
    failed(renewd, f"can't write {out}/keystore: Not a directory")
    out.unlink()
    renewd.ctl("deploy", NAME)
    deployed(renewd)
    assert "friendlyName" in openssl("pkcs12", "-in", out / "keystore", "-passin", "pass:x",
                                     "-nodes")
    # another password is another file
    password.write_text("y\n")
    renewd.ctl("verify", NAME)
    wait_until(lambda: subprocess.run(
        ["openssl", "pkcs12", "-in", out / "keystore", "-passin", "pass:y", "-noout"],
        capture_output=True, check=False).returncode == 0, "it has the new password")
    renewd.add_certificate("other.example.test", deploy="java")
    done = renewd.reload(check=False)
    assert done.returncode == 1 and "needs {name} in it" in done.stderr
