"""The PCK chain, the TCB signer and the CRLs of a simulated platform, shaped as Intel's.

Source: Intel's PCK Certificate and CRL Profile Specification. All verifiers known to us take them, given the root.
What they insist on: the words in the common names; AKI, CRLDP, SKI, KU and BC in every certificate, the root included;
the SGX extension not critical and with exact ASN.1 types; a CRL number and an AKI in every CRL.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.x509.oid import NameOID

from confcom.simulation import der
from confcom.simulation.identity import PlatformIdentity
from confcom.simulation.names import INTERMEDIATE, PCK, ROOT, TCB_SIGNER

SGX_EXTENSION = "1.2.840.113741.1.13.1"

# Clocks differ, so nothing may start in a verifier's future.
_BACKDATED = timedelta(days=1)
_YEAR = timedelta(days=365)
_ROOT_LIFE = 30 * _YEAR
_CA_LIFE = 15 * _YEAR
_LEAF_LIFE = 7 * _YEAR

# The domain `.invalid` is reserved: nobody can serve, and nobody will fetch, a CRL from there.
_CRL_URL = "https://simulated-sgx.invalid/"

_CA_USAGE = ("key_cert_sign", "crl_sign")
_LEAF_USAGE = ("digital_signature", "content_commitment")
_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class _Profile:
    """What sets one kind of certificate apart; `path_length` is None for those that are no CA."""

    common_name: str
    issuer: str
    life: timedelta
    usage: tuple[str, ...]
    path_length: int | None = None
    extensions: tuple[x509.ExtensionType, ...] = ()


def make_certificates(
    identity: PlatformIdentity, keys: Mapping[str, EllipticCurvePrivateKey], now: datetime
) -> dict[str, bytes]:
    """Root, intermediate, PCK and TCB signing certificate by name, each as PEM, valid from a day before `now`."""
    names = {name: _name(profile.common_name) for name, profile in _profiles(identity).items()}
    made = {}
    for name, profile in _profiles(identity).items():
        builder = (
            x509.CertificateBuilder()
            .subject_name(names[name])
            .issuer_name(names[profile.issuer])
            .public_key(keys[name].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(now - _BACKDATED + profile.life)
        )
        for extension, critical in _extensions(profile, keys[name], keys[profile.issuer]):
            builder = builder.add_extension(extension, critical)
        certificate = builder.sign(keys[profile.issuer], hashes.SHA256())
        made[name] = certificate.public_bytes(serialization.Encoding.PEM)
    return made


def make_crl(
    issuer: bytes,
    issuer_key: EllipticCurvePrivateKey,
    *,
    this_update: datetime,
    next_update: datetime,
    revoked: Iterable[bytes] = (),
) -> bytes:
    """The DER of a CRL; `issuer` and each of `revoked` are certificates in PEM."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(x509.load_pem_x509_certificate(issuer).subject)
        .last_update(this_update)
        .next_update(next_update)
        .add_extension(x509.CRLNumber(1), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    for certificate in revoked:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder()
            .serial_number(x509.load_pem_x509_certificate(certificate).serial_number)
            .revocation_date(this_update)
            .add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False)
            .build()
        )
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def sgx_extension(identity: PlatformIdentity) -> bytes:
    """The DER of the SGX extension: five members under the Processor CA, seven under the Platform CA."""
    multi_socket = identity.ca == "platform"
    components = [der.integer(svn) for svn in identity.tcb_components]
    tcb = [*components, der.integer(identity.pce_svn), der.octet_string(identity.tcb_components)]
    members = [
        der.octet_string(identity.ppid),
        _numbered(f"{SGX_EXTENSION}.2", tcb),
        der.octet_string(identity.pce_id),
        der.octet_string(identity.fmspc),
        der.enumerated(1 if multi_socket else 0),
    ]
    if multi_socket:
        # Dynamic platform, cached keys, SMT enabled: the commonest values of real multi-socket machines.
        configuration = [der.boolean(value) for value in (True, False, False)]
        members += [
            der.octet_string(identity.platform_instance_id),
            _numbered(f"{SGX_EXTENSION}.7", configuration),
        ]
    return _numbered(SGX_EXTENSION, members)


def _numbered(parent: str, values: Iterable[bytes]) -> bytes:
    """SEQUENCE of pairs of an OID, which is the parent's with 1, 2, 3... behind it, and a value."""
    pairs = (der.sequence(der.object_identifier(f"{parent}.{at}"), value) for at, value in enumerate(values, 1))
    return der.sequence(*pairs)


def _profiles(identity: PlatformIdentity) -> dict[str, _Profile]:
    sgx = x509.UnrecognizedExtension(x509.ObjectIdentifier(SGX_EXTENSION), sgx_extension(identity))
    return {
        ROOT: _Profile(
            common_name="Simulated SGX Root CA", issuer=ROOT, life=_ROOT_LIFE, usage=_CA_USAGE, path_length=1
        ),
        INTERMEDIATE: _Profile(
            common_name=f"Simulated SGX PCK {identity.ca.capitalize()} CA",
            issuer=ROOT,
            life=_CA_LIFE,
            usage=_CA_USAGE,
            path_length=0,
        ),
        PCK: _Profile(
            common_name="Simulated SGX PCK Certificate",
            issuer=INTERMEDIATE,
            life=_LEAF_LIFE,
            usage=_LEAF_USAGE,
            extensions=(sgx,),
        ),
        TCB_SIGNER: _Profile(common_name="Simulated SGX TCB Signing", issuer=ROOT, life=_LEAF_LIFE, usage=_LEAF_USAGE),
    }


def _extensions(
    profile: _Profile, key: EllipticCurvePrivateKey, issuer_key: EllipticCurvePrivateKey
) -> list[tuple[x509.ExtensionType, bool]]:
    """Extension and whether it is critical, in Intel's order: AKI, CRLDP, SKI, KU, BC, then the leaf's SGX one."""
    crl = f"{_CRL_URL}{profile.issuer}.crl"
    point = x509.DistributionPoint([x509.UniformResourceIdentifier(crl)], None, None, None)
    usage: Callable[..., x509.KeyUsage] = x509.KeyUsage
    return [
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False),
        (x509.CRLDistributionPoints([point]), False),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (usage(**{name: name in profile.usage for name in _USAGES}), True),
        (x509.BasicConstraints(ca=profile.path_length is not None, path_length=profile.path_length), True),
        *((extension, False) for extension in profile.extensions),
    ]


def _name(common_name: str) -> x509.Name:
    """The subject in Intel's order of attributes, and no longer: clients' buffers are made for real quotes."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Simulated SGX Corporation"),
            x509.NameAttribute(NameOID.LOCALITY_NAME, "Nowhere"),
            x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, "SIM"),
            # XX is never given to a country (ISO 3166-1, user-assigned).
            x509.NameAttribute(NameOID.COUNTRY_NAME, "XX"),
        ]
    )
