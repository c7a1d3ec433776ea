"""TLS for the simulated certificate service: a CA of its own, made at each start, and a certificate for loopback."""

import ipaddress
import ssl
import tempfile
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# Clocks differ.
_BACKDATED = timedelta(days=1)
# Made anew at each start, so it need not outlive a trial.
_LIFE = timedelta(days=30)
_CA_USAGE = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class TLSIdentity:
    """PEM of the CA, of the certificate, and of its key; only the first leaves the process."""

    ca_pem: bytes
    certificate_pem: bytes
    key_pem: bytes = field(repr=False)

    def server_context(self) -> ssl.SSLContext:
        """What a server speaks TLS with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # The library reads files only; this one is readable by its owner, for an instant.
        with tempfile.NamedTemporaryFile() as stream:
            stream.write(self.certificate_pem + self.key_pem)
            stream.flush()
            context.load_cert_chain(Path(stream.name))
        return context


def make_tls(now: datetime) -> TLSIdentity:
    """A new CA and a certificate by it for `localhost`, 127.0.0.1 and ::1."""
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name = _name("Simulated PCCS CA")
    ca = (
        _builder(ca_name, ca_name, ca_key, ca_key, now)
        .add_extension(x509.BasicConstraints(True, 0), critical=True)
        .add_extension(_CA_USAGE, critical=True)
    )
    names = x509.SubjectAlternativeName(
        [
            x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            x509.IPAddress(ipaddress.ip_address("::1")),
        ]
    )
    leaf = (
        _builder(_name("Simulated PCCS"), ca_name, key, ca_key, now)
        .add_extension(names, critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    return TLSIdentity(
        ca_pem=ca.sign(ca_key, hashes.SHA256()).public_bytes(Encoding.PEM),
        certificate_pem=leaf.sign(ca_key, hashes.SHA256()).public_bytes(Encoding.PEM),
        key_pem=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> x509.CertificateBuilder:
    """With both key identifiers, without which strict clients (Python 3.13 and newer) refuse a certificate."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
