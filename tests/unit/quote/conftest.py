"""A simulated machine whose every part a test can make anew and sign again, and the sets of real quotes."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from confcom.quote import Collateral, TrustRoot, examine
from confcom.sgx import DEFAULT_KEY_ID, Quote
from confcom.simulation.certificates import make_crl
from confcom.simulation.keys import raw_signature
from confcom.simulation.names import ATTESTATION, CERTIFICATES, PCK, TCB_SIGNER
from confcom.simulation.platform import SimulatedPlatform
from confcom.simulation.reports import make_report

REAL_QUOTES = Path(__file__).resolve().parents[3] / "../shared/data/quotes"
NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


class Machine:
    """A simulated platform at the time `NOW`, with the keys to sign whatever a test changes."""

    def __init__(self, folder, **kind):
        self.platform = SimulatedPlatform.create(folder, now=NOW, **kind)
        self.keys = self.platform._keys
        self.certificates = {name: self.platform._files[file] for name, file in CERTIFICATES.items()}
        self.root = TrustRoot.from_bytes(self.platform.root_pem)
        self.now = NOW

    def report(self, **fields):
        return make_report(self.platform.target_info(), **fields).to_bytes()

    def quote(self, **fields):
        return self.platform.get_quote(self.report(**fields), DEFAULT_KEY_ID.to_bytes())[0]

    def parsed(self, **fields):
        return Quote.from_bytes(self.quote(**fields))

    def sign(self, quote, *, attestation=ATTESTATION, pck=PCK):
        """The bytes of a changed `Quote`, with both signatures made again."""
        qe_report_sig = raw_signature(self.keys[pck], quote.qe_report.to_bytes())
        sig = raw_signature(self.keys[attestation], quote.signed_bytes())
        return replace(quote, sig=sig, qe_report_sig=qe_report_sig).to_bytes()

    def members(self, options=None):
        """The collateral as dcap-qvl's JSON members."""
        return self.platform.collateral(NOW, options)

    def collateral(self, options=None, **members):
        return Collateral.from_json(json.dumps(self.members(options) | members).encode())

    def resigned(self, document, change, options=None):
        """The members with `tcb_info` or `qe_identity` changed by `change` and signed again."""
        members = self.members(options)
        content = json.loads(members[document])
        change(content)
        text = json.dumps(content, separators=(",", ":"))
        signature = raw_signature(self.keys[TCB_SIGNER], text.encode())
        return self.collateral(**members | {document: text, f"{document}_signature": signature.hex()})

    def crl(self, issuer, revoked=(), *, start=NOW - timedelta(days=1), end=NOW + timedelta(days=1), key=None):
        """The hex of a CRL of `issuer` that lists the certificates named in `revoked`."""
        listed = [self.certificates[name] for name in revoked]
        signer = self.keys[key or issuer]
        return make_crl(self.certificates[issuer], signer, this_update=start, next_update=end, revoked=listed).hex()

    def reissue(self, name, *, issuer, key=None, common_name=None, start=None, end=None, drop=(), add=()):
        """The PEM of certificate `name`, changed and signed by the key of `issuer`.

        `drop` names extension types to leave out, `add` holds pairs of an extension and whether it is critical.
        """
        old = x509.load_pem_x509_certificate(self.certificates[name])
        subject = _renamed(old.subject, common_name) if common_name else old.subject
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(x509.load_pem_x509_certificate(self.certificates[issuer]).subject)
            .public_key(old.public_key())
            .serial_number(old.serial_number)
            .not_valid_before(start or old.not_valid_before_utc)
            .not_valid_after(end or old.not_valid_after_utc)
        )
        for extension in old.extensions:
            if not isinstance(extension.value, tuple(drop)):
                builder = builder.add_extension(extension.value, extension.critical)
        for extension, critical in add:
            builder = builder.add_extension(extension, critical)
        signed = builder.sign(self.keys[key or issuer], hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    def with_chain(self, *pems):
        """A quote that carries these certificates instead of its own."""
        return replace(self.parsed(), certification_data=b"".join(pems)).to_bytes()

    def examine(self, quote=None, collateral=None, *, at=NOW, root=None):
        quote = self.quote() if quote is None else quote
        return examine(quote, collateral or self.collateral(), root or self.root, at)


def _renamed(name, common_name):
    first, *others = name
    return x509.Name([x509.NameAttribute(first.oid, common_name), *others])


@dataclass(frozen=True)
class RealSet:
    """One folder of real quotes."""

    folder: Path

    @property
    def quote(self):
        return (self.folder / "quote.bin").read_bytes()

    @property
    def members(self):
        return json.loads((self.folder / "collateral.json").read_bytes())

    @property
    def collateral(self):
        return Collateral.from_json((self.folder / "collateral.json").read_bytes())

    @property
    def root(self):
        return TrustRoot.from_bytes((self.folder / "root.pem").read_bytes())


@pytest.fixture(scope="session")
def machine(tmp_path_factory):
    return Machine(tmp_path_factory.mktemp("simulated") / "processor")


@pytest.fixture(scope="session")
def platform_machine(tmp_path_factory):
    return Machine(tmp_path_factory.mktemp("simulated") / "platform", ca="platform")


@pytest.fixture(scope="session")
def other_machine(tmp_path_factory):
    return Machine(tmp_path_factory.mktemp("simulated") / "other")


@pytest.fixture
def real_set():
    """A function from a set's name to the set; skips the test where the sets are not at hand."""

    def find(name):
        if not (REAL_QUOTES / name).is_dir():
            pytest.skip(f"the real quotes are not at hand: {REAL_QUOTES} is absent")
        return RealSet(REAL_QUOTES / name)

    return find
