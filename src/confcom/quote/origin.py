"""Which collateral a quote needs: the CPU family and the kind of CA that its PCK certificate names.

Nothing is verified here: a wrong answer leads to collateral that does not fit, which verification then says.
"""

from dataclasses import dataclass
from typing import Literal, cast

from confcom.errors import InputError
from confcom.quote.certificates import Certificate, CertificateError, split_chain
from confcom.quote.chain import MAX_CERTIFICATION_DATA
from confcom.quote.pck import PCKExtension
from confcom.quote.reading import other_certification_data, read_quote
from confcom.sgx.quote import CERT_TYPE_PCK_CHAIN

# Machines of one socket have their PCK certificate from the Processor CA, those of several from the Platform CA.
PCKCAKind = Literal["processor", "platform"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PCKOrigin:
    """What a certificate service is asked by. `fmspc` has 6 bytes."""

    fmspc: bytes
    ca: PCKCAKind


def pck_origin(quote: bytes) -> PCKOrigin:
    """The FMSPC of a quote's PCK certificate, and the kind of the CA that issued it.

    Raises:
        InputError: the bytes are no quote, or carry no PCK certificate that can be read.
    """
    found, problems = read_quote(quote)
    if found is None:
        raise InputError(f"the quote cannot be read: {problems[0]}")
    if found.certification_data_type != CERT_TYPE_PCK_CHAIN:
        raise InputError(f"certification data: {other_certification_data(found.certification_data_type)}")
    if len(found.certification_data) > MAX_CERTIFICATION_DATA:
        size = len(found.certification_data)
        raise InputError(f"certification data: it has {size} bytes; at most {MAX_CERTIFICATION_DATA} are read")
    try:
        return _of_leaf(Certificate.from_der(split_chain(found.certification_data)[0]))
    except IndexError as error:
        raise InputError("certification data: it holds no certificate") from error
    except CertificateError as error:
        raise InputError(f"certification data: its PCK certificate {error}") from error


def ca_kind(common_name: str) -> PCKCAKind | None:
    """The kind of CA that a name like `Intel SGX PCK Platform CA` stands for, or None."""
    found = [kind for kind in ("processor", "platform") if kind in common_name.lower()]
    return cast("PCKCAKind", found[0]) if len(found) == 1 else None


def _of_leaf(leaf: Certificate) -> PCKOrigin:
    if leaf.sgx_extension is None:
        raise CertificateError(f"'{leaf.common_name}' has no SGX extension")
    extension = PCKExtension.from_der(leaf.sgx_extension)
    # Only the Platform CA writes the two members of a platform of several sockets.
    return PCKOrigin(fmspc=extension.fmspc, ca="platform" if extension.is_platform else "processor")
