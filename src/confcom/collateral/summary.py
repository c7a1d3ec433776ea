"""Collateral in rows: each part with its window, its number and its issuer. Pure; nothing is verified here."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from confcom.errors import CollateralFormatError
from confcom.quote.certificates import Certificate, CertificateError, RevocationList, split_chain
from confcom.quote.collateral import Collateral
from confcom.quote.qe_identity import QEIdentity
from confcom.quote.tcb import TCBInfo
from confcom.quote.times import Window


@dataclass(frozen=True, kw_only=True, slots=True)
class PartSummary:
    """One part. `number` is the evaluation number of the two documents, None elsewhere."""

    name: str
    window: Window
    issuer: str
    number: int | None = None


def summarise(collateral: Collateral) -> tuple[PartSummary, ...]:
    """The two CRLs, the two signed documents, and each certificate of the chains once.

    Raises:
        CollateralFormatError: a part cannot be read; the path names it.
    """
    return tuple(_parts(collateral))


def earliest_end(collateral: Collateral) -> datetime:
    """When the first part ends.

    Raises:
        CollateralFormatError: a part cannot be read; the path names it.
    """
    return min(part.window.end for part in _parts(collateral))


def _parts(collateral: Collateral) -> Iterator[PartSummary]:
    for name, words in (("root_ca_crl", "root CA CRL"), ("pck_crl", "PCK CRL")):
        crl = _crl(getattr(collateral, name), name, words)
        yield PartSummary(name=words, window=crl.window, issuer=crl.issuer_name)
    chains = {
        name: _chain(getattr(collateral, name), name)
        for name in ("pck_crl_issuer_chain", "tcb_info_issuer_chain", "qe_identity_issuer_chain")
    }
    for document, signer in (
        (TCBInfo.from_json(collateral.tcb_info), chains["tcb_info_issuer_chain"][0]),
        (QEIdentity.from_json(collateral.qe_identity), chains["qe_identity_issuer_chain"][0]),
    ):
        number = document.evaluation_number
        yield PartSummary(name=document.window.name, window=document.window, issuer=signer.common_name, number=number)
    for certificate in dict.fromkeys(found for chain in chains.values() for found in chain):
        yield _certificate(certificate, chains)


def _certificate(certificate: Certificate, chains: dict[str, tuple[Certificate, ...]]) -> PartSummary:
    """The issuer's common name where the issuer is in one of the chains."""
    names = {found.subject: found.common_name for chain in chains.values() for found in chain}
    issuer = names.get(certificate.issuer, "not in the chains")
    return PartSummary(name=certificate.window.name, window=certificate.window, issuer=issuer)


def _crl(data: bytes, name: str, words: str) -> RevocationList:
    try:
        return RevocationList.from_bytes(data, words)
    except CertificateError as error:
        raise CollateralFormatError(name, str(error)) from error


def _chain(text: bytes, name: str) -> tuple[Certificate, ...]:
    try:
        chain = tuple(Certificate.from_der(encoded) for encoded in split_chain(text))
    except CertificateError as error:
        raise CollateralFormatError(name, str(error)) from error
    if not chain:
        raise CollateralFormatError(name, "holds no certificate")
    return chain
