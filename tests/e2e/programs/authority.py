"""Certificates that the harness makes itself: for Pebble's front door, and for web
servers before the first real one.
"""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class KeyPair:
    """Files of a certificate: cert and key apart, and both in one for HAProxy."""

    cert: Path
    key: Path
    both: Path

    @property
    def trust_file(self) -> Path:
        """It signed itself, so it is its own root."""
        return self.cert


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def self_signed(folder: Path, names: list[str], key_type: str = "ecdsa",
                stem: str = "self", days: int = 30) -> KeyPair:
    """Makes a certificate for these names and addresses, signed by its own key."""
    if key_type == "ecdsa":
        key = ec.generate_private_key(ec.SECP256R1())
    else:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.utcnow()
    cert = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([_general_name(n) for n in names]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    cert_pem = cert.public_bytes(serialization.Encoding.PEM)
    key_pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                serialization.NoEncryption())
    pair = KeyPair(folder / f"{stem}.crt", folder / f"{stem}.key", folder / f"{stem}.pem")
    for path, content in ((pair.cert, cert_pem), (pair.key, key_pem),
                          (pair.both, cert_pem + key_pem)):
        path.touch(mode=0o600)
        path.write_bytes(content)
    return pair
