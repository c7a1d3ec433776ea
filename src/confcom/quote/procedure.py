"""The fifteen steps of a verification, in order; each goes on after a failure wherever it still can be judged.

Source: Intel's DCAP quote verification library and PCS documents, as collected in docs/reference/verification.md.
"""

import hashlib
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import ClassVar, TypeVar

from confcom.codes import TCBStatus
from confcom.quote.allowance import Allowance
from confcom.quote.certificates import CertificateError, RevocationList, key_from_raw, verify_raw
from confcom.quote.chain import PCKChain
from confcom.quote.endorsements import Endorsement, Endorsements, crl_problems
from confcom.quote.pck import PCKExtension
from confcom.quote.printing import printable
from confcom.quote.qe_identity import QELevel
from confcom.quote.reading import other_certification_data, quote_warnings, read_identity, read_quote
from confcom.quote.result import Step, Verification
from confcom.quote.roots import is_simulated
from confcom.quote.tcb import TCBInfo, TCBLevel, combine
from confcom.quote.times import Window, format_time
from confcom.sgx import Quote
from confcom.sgx.quote import CERT_TYPE_PCK_CHAIN

# Details hold strangers' text in places.
_MAX_DETAIL = 1000

# What later steps ask of earlier ones, and say when it is not there.
_QUOTE = "a readable quote (step 1)"
_CHAIN = "a readable certificate chain (step 2)"
_TRUSTED_PCK = "a trusted PCK certificate (steps 2 and 4)"
_TCB_INFO = "authentic TCB info (step 7)"
_QE_IDENTITY = "an authentic QE identity (step 8)"

_Value = TypeVar("_Value")


class _NotHeldError(Exception):
    """A step was judged, and did not hold; the text says what was found."""


class _NotJudgedError(Exception):
    """A step lacks what an earlier one should have given; the text names it."""


class Examination:
    """One run of the steps over one quote. Each step is a method that returns its detail, or raises."""

    def __init__(self, data: bytes, endorsements: Endorsements, at: datetime, allowance: Allowance) -> None:
        self.data = data
        self.endorsements = endorsements
        self.root = endorsements.root
        self.at = at
        self.allowance = allowance
        self.warnings: list[str] = []
        self.windows: list[Window] = [self.root.certificate.window]
        self.quote: Quote | None = None
        self.chain: PCKChain | None = None
        self.pck: PCKExtension | None = None
        # What later steps may rest on: set by a step only if signatures lead to the trusted root.
        self.leaf_is_trusted = False
        self.qe_is_trusted = False
        self.revoked: str | None = None
        self.tcb_info_fits = False
        self.platform_level: TCBLevel | None = None
        self.qe_level: QELevel | None = None
        self.qe_status: TCBStatus | None = None
        self.tcb_status: TCBStatus | None = None

    def run(self) -> Verification:
        """Judges every step and gathers what they found."""
        steps = tuple(self._judge(number, name, step) for number, (name, step) in enumerate(self.STEPS, start=1))
        chain, tcb_info, qe_identity = self.chain, self.endorsements.tcb_info, self.endorsements.qe_identity
        levels = [level for level in (self.platform_level, self.qe_level) if level and self.tcb_status]
        return Verification(
            verdict=all(step.ok for step in steps),
            tcb_status=self.tcb_status,
            advisories=tuple(dict.fromkeys(advisory for level in levels for advisory in level.advisories)),
            identity=self.quote.report if self.quote else read_identity(self.data),
            steps=steps,
            # Both signed documents have one signer, whose window would be told of twice.
            warnings=tuple(dict.fromkeys(self.warnings)),
            windows=tuple(dict.fromkeys(self.windows)),
            at=self.at,
            root_name=self.root.name,
            simulated=self.root.simulated or (chain is not None and is_simulated(chain.root)),
            header=self.quote.header if self.quote else None,
            pck=self.pck,
            pck_ca=chain.intermediate.common_name if chain else None,
            tcb_info=tcb_info.value if tcb_info.authentic else None,
            platform_level=self.platform_level,
            qe_identity=qe_identity.value if qe_identity.authentic else None,
            qe_level=self.qe_level,
            quote=self.quote,
            allowance=self.allowance,
        )

    def _judge(self, number: int, name: str, step: Callable[["Examination"], str]) -> Step:
        try:
            detail, ok, judged = step(self), True, True
        except _NotHeldError as error:
            detail, ok, judged = str(error), False, True
        except _NotJudgedError as error:
            detail, ok, judged = f"not judged: it rests on {error}", False, False
        return Step(number=number, name=name, ok=ok, detail=printable(detail, _MAX_DETAIL), judged=judged)

    def _format(self) -> str:
        """1: version 3, ECDSA P-256, SGX, Intel's QE; lengths that fit each other and the bytes."""
        self.quote, problems = read_quote(self.data)
        self.warnings += quote_warnings(self.quote) if self.quote else []
        _hold(problems)
        return f"version 3, ECDSA P-256, {len(self.data)} bytes"

    def _certification_data(self) -> str:
        """2: certification data type 5 with three certificates, the leaf with the SGX extension."""
        quote = _needed(self.quote, _QUOTE)
        if quote.certification_data_type != CERT_TYPE_PCK_CHAIN:
            raise _NotHeldError(other_certification_data(quote.certification_data_type))
        try:
            self.chain = PCKChain.from_pem(quote.certification_data, self.endorsements)
            self.windows += [self.chain.leaf.window, self.chain.intermediate.window]
            self.pck = self.chain.extension(self.endorsements)
        except CertificateError as error:
            raise _NotHeldError(str(error)) from error
        return "a PCK certificate chain of three: leaf, intermediate and root"

    def _trusted_root(self) -> str:
        """3: the chain's root has the key of the named root; certificates are never compared."""
        chain = _needed(self.chain, _CHAIN)
        if chain.root.public_key_bytes == self.root.certificate.public_key_bytes:
            if not self.endorsements.is_signed(chain.root, self.root.certificate):
                self.warnings.append("the quote's copy of the root certificate was changed; nothing rests on it")
            return f"the chain ends in the key of '{self.root.name}'"
        found = f"the chain ends in '{chain.root.common_name}', which has not the key of the trusted root"
        sentence = f"{found} '{self.root.name}'"
        if is_simulated(chain.root) and not self.root.simulated:
            sentence += (
                "; the quote was made by the simulator: it proves nothing about hardware."
                " To trust it in a test, name the simulator's own root (--root FILE)"
            )
        raise _NotHeldError(sentence)

    def _pck_chain(self) -> str:
        """4: leaf by intermediate, intermediate by the named root: names, signatures, CA flags, three windows."""
        chain = _needed(self.chain, _CHAIN)
        problems = chain.link_problems(self.endorsements)
        self.leaf_is_trusted = not problems
        if self.pck:
            problems += chain.kind_problems(self.pck)
        windows = (chain.leaf.window, chain.intermediate.window, self.root.certificate.window)
        _hold(problems + self._expired(windows))
        return f"'{chain.leaf.common_name}' by '{chain.intermediate.common_name}' by '{self.root.name}'"

    def _root_crl(self) -> str:
        """5: the root's CRL; it lists neither the intermediate nor a TCB signer."""
        found = self.endorsements.root_crl
        problems = [*found.problems, *self._in_time(found)]
        if (crl := found.value) and found.authentic:
            self._warn_of_extensions(crl)
            signers = [self.endorsements.tcb_info.signer, self.endorsements.qe_identity.signer]
            below = [self.chain.intermediate if self.chain else None, *signers]
            # Both signed documents have one signer.
            listed = [part for part in dict.fromkeys(below) if part and crl.revokes(part)]
            problems += [f"it revokes '{part.common_name}'" for part in listed]
            if self.chain and self.chain.intermediate in listed and self.leaf_is_trusted:
                self.revoked = "the PCK certificate's CA is revoked"
        _hold(problems)
        return "signed by the root, in its time; it revokes none of the certificates used"

    def _pck_crl(self) -> str:
        """6: the CRL of the quote's intermediate, whose key the collateral's issuer chain must carry too."""
        chain = _needed(self.chain, _CHAIN)
        found, issuer = self.endorsements.pck_crl, self.endorsements.pck_crl_issuer
        problems = [*found.problems, *(f"its issuer chain {problem}" for problem in issuer.problems)]
        if issuer.value and issuer.value.public_key_bytes != chain.intermediate.public_key_bytes:
            theirs, ours = issuer.value.common_name, chain.intermediate.common_name
            problems.append(f"its issuer chain is of '{theirs}', whose key is not that of the quote's '{ours}'")
        if crl := found.value:
            doubts = crl_problems(crl, chain.intermediate, self.endorsements.is_signed)
            problems += doubts
            self._warn_of_extensions(crl)
            if not doubts and crl.revokes(chain.leaf):
                problems.append("it revokes the quote's PCK certificate: the platform's key is no longer to be trusted")
                self.revoked = "the PCK certificate is revoked" if self.leaf_is_trusted else None
        _hold(problems + self._in_time(found))
        return f"signed by '{chain.intermediate.common_name}', in its time; it does not revoke the PCK certificate"

    def _tcb_info(self) -> str:
        """7: TCB info, signed under the root, in its time, of the leaf's FMSPC and PCEID."""
        found = self.endorsements.tcb_info
        problems = [*found.problems, *self._in_time(found)]
        if (info := found.value) and self.pck:
            others = _other_platform(info, self.pck)
            self.tcb_info_fits = not others
            problems += others
        _hold(problems)
        info = _needed(info, "TCB info")
        return f"version {info.version}, evaluation number {info.evaluation_number}, FMSPC {info.fmspc.hex()}"

    def _qe_identity(self) -> str:
        """8: QE identity, signed under the root, in its time."""
        found = self.endorsements.qe_identity
        _hold([*found.problems, *self._in_time(found)])
        return f"version 2, evaluation number {_needed(found.value, 'QE identity').evaluation_number}"

    def _qe_report_signature(self) -> str:
        """9: the QE's report is signed by the PCK certificate's key."""
        quote = _needed(self.quote, _QUOTE)
        chain = _needed(self.chain, _CHAIN)
        if not verify_raw(chain.leaf.public_key, quote.qe_report_sig, quote.qe_report.to_bytes()):
            raise _NotHeldError("the QE report is not signed by the PCK certificate's key: one of them was changed")
        self.qe_is_trusted = self.leaf_is_trusted
        return "by the key of the PCK certificate"

    def _qe_report(self) -> str:
        """10: MISCSELECT and ATTRIBUTES under their masks, MRSIGNER and ISVPRODID as QE identity says."""
        quote = _needed(self.quote, _QUOTE)
        found = self.endorsements.qe_identity
        identity = _needed(found.value if found.authentic else None, _QE_IDENTITY)
        problems = identity.mismatches(quote.qe_report)
        self.qe_is_trusted = self.qe_is_trusted and not problems
        _hold(problems)
        return f"MRSIGNER {identity.mr_signer.hex()[:16]}..., ISVSVN {quote.qe_report.isv_svn}"

    def _key_binding(self) -> str:
        """11: the QE report's 64 bytes of report data are SHA-256 of attestation key and auth data, then zeros."""
        quote = _needed(self.quote, _QUOTE)
        digest = hashlib.sha256(quote.attest_pub_key + quote.auth_data).digest()
        if quote.qe_report.report_data != digest + bytes(32):
            raise _NotHeldError("the QE report vouches for another attestation key or other auth data")
        return "the QE report vouches for the attestation key"

    def _quote_signature(self) -> str:
        """12: header and report body are signed by the attestation key."""
        quote = _needed(self.quote, _QUOTE)
        key = key_from_raw(quote.attest_pub_key)
        if key is None:
            raise _NotHeldError("the attestation key is not a point on P-256")
        if not verify_raw(key, quote.sig, self.data[: Quote.SIGNED_SIZE]):
            raise _NotHeldError("header and report body are not signed by the attestation key: they were changed")
        return "header and report body are signed by the attestation key"

    def _platform_tcb(self) -> str:
        """13: the highest level that all 16 components and the PCESVN of the PCK certificate reach."""
        found = self.endorsements.tcb_info
        info = _needed(found.value if found.authentic else None, _TCB_INFO)
        pck = _needed(self.pck if self.leaf_is_trusted else None, _TRUSTED_PCK)
        _needed(self.tcb_info_fits or None, "TCB info for this platform (step 7)")
        level = info.level_of(pck.components, pck.pce_svn)
        if level is None:
            raise _NotHeldError("the platform reaches no level of the TCB info: it is older than the oldest one")
        self.platform_level = level
        return _level_detail(level)

    def _qe_tcb(self) -> str:
        """14: the first level as listed whose ISVSVN the QE has."""
        found = self.endorsements.qe_identity
        identity = _needed(found.value if found.authentic else None, _QE_IDENTITY)
        quote = _needed(self.quote if self.qe_is_trusted else None, "a trusted QE report (steps 4, 9 and 10)")
        level = identity.level_of(quote.qe_report.isv_svn)
        if level is None:
            self.qe_status = TCBStatus.REVOKED
            raise _NotHeldError(f"ISVSVN {quote.qe_report.isv_svn} is below every level: the QE counts as Revoked")
        self.qe_level, self.qe_status = level, level.status
        return _level_detail(level)

    def _status(self) -> str:
        """15: both levels combined; what is revoked stays revoked."""
        if self.revoked:
            self.tcb_status = TCBStatus.REVOKED
            raise _NotHeldError(f"Revoked: {self.revoked}")
        level = _needed(self.platform_level, "the platform's TCB level (step 13)")
        status = _needed(self.qe_status, "the QE's TCB level (step 14)")
        self.tcb_status = combine(level.status, status)
        if self.tcb_status is TCBStatus.REVOKED:
            raise _NotHeldError("Revoked: keys of this platform or QE are known to have leaked")
        return self.tcb_status

    def _in_time(self, found: Endorsement[_Value]) -> list[str]:
        self.windows += found.windows
        return self._expired(found.windows)

    def _expired(self, windows: Iterable[Window]) -> list[str]:
        found = tuple(windows)
        self.warnings += [warning for window in found if (warning := self.allowance.warning(window, self.at))]
        return [problem for window in found if (problem := self.allowance.problem(window, self.at))]

    def _warn_of_extensions(self, crl: RevocationList) -> None:
        there = {"CRL number": crl.extensions.has_crl_number, "authority key id": crl.extensions.has_authority_key_id}
        missing = (extension for extension, is_there in there.items() if not is_there)
        self.warnings += [f"the {crl.window.name} has no {name}; Intel's verifier demands one" for name in missing]

    STEPS: ClassVar = (
        ("quote format", _format),
        ("certification data", _certification_data),
        ("trusted root", _trusted_root),
        ("PCK certificate chain", _pck_chain),
        ("root CA CRL", _root_crl),
        ("PCK CRL", _pck_crl),
        ("TCB info", _tcb_info),
        ("QE identity", _qe_identity),
        ("QE report signature", _qe_report_signature),
        ("QE report", _qe_report),
        ("attestation key binding", _key_binding),
        ("quote signature", _quote_signature),
        ("platform TCB level", _platform_tcb),
        ("QE TCB level", _qe_tcb),
        ("TCB status", _status),
    )


def _needed(value: _Value | None, what: str) -> _Value:
    """A value that an earlier step set, or the end of this step."""
    if value is None:
        raise _NotJudgedError(what)
    return value


def _hold(problems: list[str]) -> None:
    if problems:
        raise _NotHeldError("; ".join(problems))


def _other_platform(info: TCBInfo, pck: PCKExtension) -> list[str]:
    pairs = (("FMSPC", info.fmspc, pck.fmspc), ("PCEID", info.pce_id, pck.pce_id))
    return [
        f"it is for {name} {theirs.hex()}, the quote's platform has {ours.hex()}"
        for name, theirs, ours in pairs
        if theirs != ours
    ]


def _level_detail(level: TCBLevel | QELevel) -> str:
    advisories = f", advisories {', '.join(level.advisories)}" if level.advisories else ""
    return f"{level.status}, level of {format_time(level.date)[:10]}{advisories}"
