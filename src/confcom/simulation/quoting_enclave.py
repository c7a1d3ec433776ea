"""The simulated quoting enclave (QE): target info, and quotes with the checks and errors of a real one, in its order.

This is what a quoting worker runs, thousands of times a second: whatever does not depend on the report is made once.
It reads certificates as text only, so that a worker never loads an X.509 library.
"""

import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from confcom.codes import AESM
from confcom.errors import QuotingError
from confcom.sgx.attestation_key import DEFAULT_KEY_ID, AttestationKeyID
from confcom.sgx.quote import CERT_TYPE_PCK_CHAIN, Quote, QuoteHeader
from confcom.sgx.report import FLAG_INITTED, QEReportInfo, Report, ReportBody, TargetInfo
from confcom.simulation.identity import QE_ISV_SVN, RAW_PCE_SVN, PlatformIdentity
from confcom.simulation.keys import raw_public_key, raw_signature
from confcom.simulation.reports import ReportTarget, ereport

# Every QE of Intel's writes these 32 bytes, and some verifiers take no other length.
AUTH_DATA = bytes(range(32))

_KEY_ID_BASE = DEFAULT_KEY_ID.base()
_OFFSETS = {field.name: slice(at, at + field.size) for field, at in ReportBody.offsets()}
_RESERVED = tuple(
    (name, where, bytes(where.stop - where.start)) for name, where in _OFFSETS.items() if name.startswith("reserved")
)
_FLAGS_BYTE = _OFFSETS["attributes"].start
_INFO = {field.name: slice(at, at + field.size) for field, at in QEReportInfo.offsets()}


@dataclass(frozen=True, kw_only=True, slots=True)
class _CertifiedKey:
    """What a QE keeps after its attestation key was certified: `pub_key_id`, and the quote around the signature."""

    pub_key_id: bytes
    header: bytes
    after_signature: bytes

    @property
    def quote_size(self) -> int:
        return Quote.SIGNED_SIZE + 4 + 64 + len(self.after_signature)


class QuotingEnclave:
    """The QE and the PCE of one simulated machine, with the attestation key made and certified."""

    def __init__(
        self,
        identity: PlatformIdentity,
        *,
        attestation_key: EllipticCurvePrivateKey,
        pck_key: EllipticCurvePrivateKey,
        certificate_chain: bytes,
    ) -> None:
        """Takes the two private keys, and leaf, intermediate and root as PEM, one behind the other."""
        self._identity = identity
        self._attestation_key = attestation_key
        self._pck_key = pck_key
        self._certificate_chain = certificate_chain
        self._target = ReportTarget(identity.qe_target_info())
        self._certified: _CertifiedKey | None = None
        self.certify_key()

    @property
    def target_info(self) -> TargetInfo:
        """What enclaves make their reports for."""
        return self._target.target_info

    @property
    def pub_key_id(self) -> bytes:
        """SHA-256 of the raw attestation public key and the auth data, 32 bytes.

        Raises:
            QuotingError: 42, the key was forgotten.
        """
        return self._key().pub_key_id

    @property
    def quote_size(self) -> int:
        """The size of every quote, in bytes.

        Raises:
            QuotingError: 42, the key was forgotten.
        """
        return self._key().quote_size

    def certify_key(self) -> None:
        """Lets the PCE sign a report of the QE that binds the attestation key, as InitQuoteEx does on hardware."""
        public_key = raw_public_key(self._attestation_key)
        pub_key_id = hashlib.sha256(public_key + AUTH_DATA).digest()
        qe_report = self._identity.qe_report_body(pub_key_id + bytes(32)).to_bytes()
        header = QuoteHeader(qe_svn=QE_ISV_SVN, pce_svn=RAW_PCE_SVN, user_data=self._identity.qe_id + bytes(4))
        after_signature = b"".join(
            (
                public_key,
                qe_report,
                raw_signature(self._pck_key, qe_report),
                len(AUTH_DATA).to_bytes(2, "little"),
                AUTH_DATA,
                CERT_TYPE_PCK_CHAIN.to_bytes(2, "little"),
                len(self._certificate_chain).to_bytes(4, "little"),
                self._certificate_chain,
            )
        )
        self._certified = _CertifiedKey(
            pub_key_id=pub_key_id, header=header.to_bytes(), after_signature=after_signature
        )

    def forget_key(self) -> None:
        """What a change of the TCB does to a real QE: no quotes (42) until the key is certified again."""
        self._certified = None

    def get_quote(
        self, report: bytes, att_key_id: bytes, qe_report_info: bytes | None = None
    ) -> tuple[bytes, bytes | None]:
        """The quote over a REPORT of 432 bytes that was made for this QE, and the filled `qe_report_info`.

        `att_key_id` has 256 bytes, of which the first 158 must be those of Intel's default key. `qe_report_info` has
        960 bytes; it comes back with the QE's own REPORT to the caller, whose report data is the SHA-256 of the nonce
        and the quote, then 32 zero bytes. The quote is as long as `quote_size`, without padding.

        Raises:
            QuotingError: in the order of a real QE, 3 (a size), 38 (another key), 42 (no key), 47 (the report was not
                made on this machine for this QE, or no hardware could have made it).
        """
        _check_sizes(report, att_key_id, qe_report_info)
        if att_key_id[: AttestationKeyID.BASE_SIZE] != _KEY_ID_BASE:
            raise QuotingError(
                AESM.UNSUPPORTED_ATT_KEY_ID,
                f"attestation key id: its first {AttestationKeyID.BASE_SIZE} bytes are not those of the default "
                "ECDSA-P256 key, the only one offered here",
            )
        certified = self._key()
        self._check_report(report)
        signed = certified.header + report[: ReportBody.SIZE]
        signature = raw_signature(self._attestation_key, signed)
        size = len(signature) + len(certified.after_signature)
        quote = signed + size.to_bytes(4, "little") + signature + certified.after_signature
        return quote, None if qe_report_info is None else self._answer(qe_report_info, quote)

    def _key(self) -> _CertifiedKey:
        if self._certified is None:
            raise QuotingError(AESM.ATT_KEY_NOT_INITIALIZED, "the attestation key is not certified: initialise it")
        return self._certified

    def _check_report(self, report: bytes) -> None:
        if not self._target.accepts(report):
            raise QuotingError(
                AESM.INVALID_REPORT,
                "REPORT: its MAC does not hold: it was made on another machine or for another enclave than this QE "
                f"(MRENCLAVE {self._identity.qe_mr_enclave.hex()}), or changed since",
            )
        # Hardware makes no such report, so its QE never sees one; a simulated enclave can write what it likes.
        for name, where, zeros in _RESERVED:
            if report[where] != zeros:
                raise QuotingError(AESM.INVALID_REPORT, f"REPORT: field '{name}' is not zero")
        if not report[_FLAGS_BYTE] & FLAG_INITTED:
            raise QuotingError(AESM.INVALID_REPORT, "REPORT: field 'attributes' lacks INITTED: no enclave is running")

    def _answer(self, info: bytes, quote: bytes) -> bytes:
        target = TargetInfo.from_bytes(info[_INFO["app_enclave_target_info"]])
        report_data = hashlib.sha256(info[_INFO["nonce"]] + quote).digest() + bytes(32)
        qe_report = ereport(target, self._identity.qe_report_body(report_data))
        return info[: _INFO["qe_report"].start] + qe_report.to_bytes()


def _check_sizes(report: bytes, att_key_id: bytes, qe_report_info: bytes | None) -> None:
    if len(report) != Report.SIZE:
        raise QuotingError(AESM.PARAMETER, f"report: needs {Report.SIZE} bytes, not {len(report)}")
    if qe_report_info is not None and len(qe_report_info) != QEReportInfo.SIZE:
        raise QuotingError(
            AESM.PARAMETER, f"qe_report_info: needs {QEReportInfo.SIZE} bytes, not {len(qe_report_info)}"
        )
    # Intel's server reads the structure and lets what follows it be.
    if len(att_key_id) < AttestationKeyID.SIZE:
        raise QuotingError(
            AESM.PARAMETER, f"attestation key id: needs {AttestationKeyID.SIZE} bytes, not {len(att_key_id)}"
        )
