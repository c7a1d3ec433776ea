"""Collateral judged against a root: everything that depends neither on a quote nor on the time.

It is done once, so that a verifier of many quotes pays once for it.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from confcom.errors import CollateralFormatError
from confcom.quote.certificates import (
    Certificate,
    CertificateError,
    RevocationList,
    split_chain,
    verify_raw,
)
from confcom.quote.collateral import Collateral
from confcom.quote.extensions import KeyUse
from confcom.quote.pck import PCKExtension
from confcom.quote.qe_identity import QEIdentity
from confcom.quote.roots import TrustRoot
from confcom.quote.tcb import TCBInfo
from confcom.quote.times import Window

_Part = TypeVar("_Part")
_Document = TypeVar("_Document", bound=TCBInfo | QEIdentity)
# Chains, certificates and signatures remembered, of so many platforms: at most some 40 kB each.
_REMEMBERED = 64

# Demanded below Intel's root only, since others may name theirs as they like.
_INTEL_TCB_SIGNER = "Intel SGX TCB Signing"


@dataclass(frozen=True, kw_only=True, slots=True)
class Endorsement(Generic[_Part]):
    """One part of the collateral: its value where it can be read, and what is wrong with it.

    `authentic` says that signatures lead from the value to the named root; expired or revoked is another matter.
    """

    value: _Part | None = None
    problems: tuple[str, ...] = ()
    authentic: bool = False
    windows: tuple[Window, ...] = ()
    signer: Certificate | None = None


class Endorsements:
    """The parts of a collateral under one named root; reads and checks each part and each certificate once."""

    def __init__(self, collateral: Collateral, root: TrustRoot) -> None:
        self.root = root
        # Many quotes come from few platforms, whose chains are always the same bytes.
        self.split = functools.lru_cache(_REMEMBERED)(split_chain)
        self.pck_extension = functools.lru_cache(_REMEMBERED)(PCKExtension.from_der)
        self.certificate = functools.lru_cache(_REMEMBERED)(Certificate.from_der)
        self.is_signed = functools.lru_cache(_REMEMBERED)(_is_signed)
        self.root_crl = self._root_crl(collateral.root_ca_crl)
        self.pck_crl = _read_crl(collateral.pck_crl, "PCK CRL")
        self.pck_crl_issuer = self._chain_of_two(collateral.pck_crl_issuer_chain)
        self.tcb_info = self._document(
            TCBInfo.from_json, collateral.tcb_info, collateral.tcb_info_signature, collateral.tcb_info_issuer_chain
        )
        self.qe_identity = self._document(
            QEIdentity.from_json,
            collateral.qe_identity,
            collateral.qe_identity_signature,
            collateral.qe_identity_issuer_chain,
        )

    def link_problems(self, certificate: Certificate, issuer: Certificate) -> list[str]:
        """What speaks against `issuer` having issued `certificate`: names, CA flags, signature, unknown extensions."""
        name, above = certificate.common_name, issuer.common_name
        problems = []
        if certificate.issuer != issuer.subject:
            problems.append(f"'{name}' names another issuer than '{above}'")
        if not issuer.extensions.is_ca or KeyUse.CERTIFY not in issuer.extensions.key_uses:
            problems.append(f"'{above}' is not the certificate of a CA")
        if not self.is_signed(certificate, issuer):
            problems.append(f"'{name}' is not signed by the key of '{above}'")
        problems += [
            f"'{name}' has the unknown critical extension {oid}" for oid in certificate.extensions.unknown_critical
        ]
        return problems

    def _root_crl(self, data: bytes) -> Endorsement[RevocationList]:
        found = _read_crl(data, "root CA CRL")
        if (value := found.value) is None:
            return found
        problems = crl_problems(value, self.root.certificate, self.is_signed)
        windows = (value.window,)
        return Endorsement(value=value, problems=tuple(problems), authentic=not problems, windows=windows)

    def _document(
        self, parse: Callable[[bytes], _Document], text: bytes, signature: bytes, chain: bytes
    ) -> Endorsement[_Document]:
        """TCB info or QE identity: parsed, and its signature followed to the root."""
        value, problems = _parsed(parse, text)
        signer, doubts = self._signer(chain)
        if signer and not verify_raw(signer.public_key, signature, text):
            doubts.append(f"the signature over its text is not by '{signer.common_name}'")
        windows = [part.window for part in (signer, value) if part]
        return Endorsement(
            value=value,
            problems=(*problems, *doubts),
            authentic=value is not None and not doubts,
            windows=tuple(windows),
            signer=signer,
        )

    def _signer(self, chain: bytes) -> tuple[Certificate | None, list[str]]:
        issuer = self._chain_of_two(chain)
        problems = [f"its issuer chain {problem}" for problem in issuer.problems]
        return issuer.value, problems + (self._signer_problems(issuer.value) if issuer.value else [])

    def _signer_problems(self, signer: Certificate) -> list[str]:
        problems = self.link_problems(signer, self.root.certificate)
        if signer.extensions.is_ca or KeyUse.SIGN not in signer.extensions.key_uses:
            problems.append(f"'{signer.common_name}' may not sign documents")
        if self.root.is_intel and signer.common_name != _INTEL_TCB_SIGNER:
            problems.append(f"the signer is '{signer.common_name}', must be '{_INTEL_TCB_SIGNER}'")
        return problems

    def _chain_of_two(self, text: bytes) -> Endorsement[Certificate]:
        """The first certificate of an issuer chain; the second and last one must carry the named root's key."""
        try:
            chain = [self.certificate(encoded) for encoded in split_chain(text)]
        except CertificateError as error:
            return Endorsement(problems=(str(error),))
        if len(chain) != 2:
            return Endorsement(problems=(f"holds {len(chain)} certificates, not two: issuer and root",))
        first, last = chain
        if last.public_key_bytes != self.root.certificate.public_key_bytes:
            problem = f"ends in '{last.common_name}', which has not the key of the trusted root '{self.root.name}'"
            return Endorsement(value=first, problems=(problem,))
        return Endorsement(value=first)


def crl_problems(
    crl: RevocationList, issuer: Certificate, is_signed: Callable[[RevocationList, Certificate], bool]
) -> list[str]:
    """What speaks against `crl` being `issuer`'s: name, right to revoke, signature, unknown extensions."""
    problems = []
    if crl.issuer != issuer.subject:
        problems.append(f"it is of '{crl.issuer_name}', not of '{issuer.common_name}'")
    if KeyUse.REVOKE not in issuer.extensions.key_uses:
        problems.append(f"'{issuer.common_name}' may not sign CRLs")
    if not is_signed(crl, issuer):
        problems.append(f"it is not signed by the key of '{issuer.common_name}'")
    problems += [f"it has the unknown critical extension {oid}" for oid in crl.extensions.unknown_critical]
    return problems


def _is_signed(part: Certificate | RevocationList, issuer: Certificate) -> bool:
    return part.is_signed_by(issuer)


def _read_crl(data: bytes, name: str) -> Endorsement[RevocationList]:
    try:
        value = RevocationList.from_bytes(data, name)
    except CertificateError as error:
        return Endorsement(problems=(f"it {error}",))
    return Endorsement(value=value, windows=(value.window,))


def _parsed(parse: Callable[[bytes], _Part], text: bytes) -> tuple[_Part | None, list[str]]:
    try:
        return parse(text), []
    except CollateralFormatError as error:
        return None, [f"{error.path}: {error.problem}"]
