"""What a TLS server really serves: its leaf by server name and kind of key, verified
against a given root or not.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

# With TLS 1.2 the cipher suite names the kind of certificate.
CIPHERS = {
    "ecdsa": "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384",
    "rsa": "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384",
}


@dataclass(frozen=True)
class Leaf:
    """A certificate, with the fields as the control socket writes them."""

    certificate: x509.Certificate

    @property
    def fingerprint(self) -> str:
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    @property
    def serial(self) -> str:
        """Lower-case hex of whole bytes."""
        number = self.certificate.serial_number
        return number.to_bytes((number.bit_length() + 7) // 8 or 1, "big").hex()

    @property
    def key(self) -> str:
        is_ec = isinstance(self.certificate.public_key(), ec.EllipticCurvePublicKey)
        return "ecdsa" if is_ec else "rsa"

    @property
    def names(self) -> set[str]:
        """All subject alternative names, addresses as text."""
        try:
            ext = self.certificate.extensions.get_extension_for_class(
                x509.SubjectAlternativeName)
        except x509.ExtensionNotFound:
            return set()
        return {str(name.value) for name in ext.value}

    @classmethod
    def of_der(cls, der: bytes) -> Leaf:
        return cls(x509.load_der_x509_certificate(der))

    @classmethod
    def of_file(cls, path: Path) -> Leaf:
        """The first certificate of a PEM file."""
        return cls(x509.load_pem_x509_certificate(path.read_bytes()))


def served(port: int, name: str, key: str = "", root: Path | None = None,
           host: str = "127.0.0.1") -> Leaf:
    """Connects with this server name. key: "ecdsa" or "rsa" offers only that kind. With a
    root the chain and the name are verified (ssl.SSLCertVerificationError)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if root is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(cafile=str(root))
    if key:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(CIPHERS[key])
    with socket.create_connection((host, port), timeout=20) as raw:
        with context.wrap_socket(raw, server_hostname=name) as link:
            der = link.getpeercert(binary_form=True)
    if der is None:
        raise ssl.SSLError("the server sent no certificate")
    return Leaf.of_der(der)


def served_chain(port: int, name: str, host: str = "127.0.0.1") -> list[Leaf]:
    """All certificates that the server sends, leaf first."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{host}:{port}", "-servername", name,
         "-showcerts"], input="", capture_output=True, text=True, check=False, timeout=20)
    end = "-----END CERTIFICATE-----"
    blocks = [block[block.index("-----BEGIN CERTIFICATE-----"):] + end + "\n"
              for block in done.stdout.split(end)[:-1]
              if "-----BEGIN CERTIFICATE-----" in block]
    chain: list[Leaf] = []
    for block in blocks:
        leaf = Leaf(x509.load_pem_x509_certificate(block.encode()))
        if leaf not in chain:  # s_client prints the leaf a second time
            chain.append(leaf)
    return chain
