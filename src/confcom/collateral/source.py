"""What every source of collateral has in common: what it is asked, what it answers, and whether the answer fits."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, Self, get_args

from confcom.errors import CollateralError, CollateralFormatError, InputError
from confcom.quote.certificates import Certificate, CertificateError, split_chain
from confcom.quote.collateral import Collateral
from confcom.quote.origin import PCKCAKind, PCKOrigin, ca_kind, pck_origin
from confcom.quote.tcb import TCBInfo

# Intel publishes a new evaluation number to `early` first; `standard` takes it over weeks to months later.
UpdateChannel = Literal["standard", "early"]

FMSPC_SIZE = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Which collateral: `fmspc` of 6 bytes, the kind of PCK CA, and the update channel."""

    fmspc: bytes
    ca: PCKCAKind
    update: UpdateChannel = "standard"

    def __post_init__(self) -> None:
        if len(self.fmspc) != FMSPC_SIZE:
            raise InputError(f"FMSPC: has {len(self.fmspc)} bytes; it must have exactly {FMSPC_SIZE}")
        if self.ca not in get_args(PCKCAKind):
            raise InputError(f"PCK CA: '{self.ca}' is none; use processor or platform")
        if self.update not in get_args(UpdateChannel):
            raise InputError(f"update channel: '{self.update}' is none; use standard or early")

    @classmethod
    def for_quote(cls, quote: bytes, update: UpdateChannel = "standard") -> Self:
        """What the PCK certificate of a quote asks for.

        Raises:
            InputError: the bytes are no quote, or carry no PCK certificate that can be read.
        """
        origin = pck_origin(quote)
        return cls(fmspc=origin.fmspc, ca=origin.ca, update=update)

    @property
    def origin(self) -> PCKOrigin:
        """The part that collateral itself states; the channel is known to the service alone."""
        return PCKOrigin(fmspc=self.fmspc, ca=self.ca)

    def __str__(self) -> str:
        return f"FMSPC {self.fmspc.hex()}, {self.ca} CA, {self.update}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Obtained:
    """Collateral and where it came from.

    Attributes:
        collateral: well-formed and of the FMSPC and CA that were asked for; genuine and fresh is for verification.
        wanted: what was asked for.
        origin: the service's address or the file, without credentials.
        fetched: when it left the service; None where nobody knows, as for a file of others.
        notes: what the person who relies on it should know, for example that the service is away.
    """

    collateral: Collateral
    wanted: Wanted
    origin: str
    fetched: datetime | None = None
    notes: tuple[str, ...] = ()


class Source(Protocol):
    """Where collateral comes from."""

    @property
    def name(self) -> str:
        """The address or file, without credentials; of two sources with one name each may answer for the other."""
        ...

    def obtain(self, wanted: Wanted, now: datetime) -> Obtained:
        """The collateral for `wanted` at the time `now`.

        Raises:
            CollateralError: it cannot be had; the sentence names the host or file and what to do.
            InputError: a file of the user's is malformed.
        """
        ...


def origin_of(collateral: Collateral) -> PCKOrigin:
    """For which CPU family and kind of CA a collateral is made, by its own word.

    Raises:
        CollateralFormatError: its TCB info or PCK CRL issuer chain cannot be read.
    """
    try:
        issuer = Certificate.from_der(split_chain(collateral.pck_crl_issuer_chain)[0])
    except (CertificateError, IndexError) as error:
        raise CollateralFormatError("pck_crl_issuer_chain", str(error) or "holds no certificate") from error
    if (kind := ca_kind(issuer.common_name)) is None:
        problem = f"begins with '{issuer.common_name}', which is neither the Processor nor the Platform CA"
        raise CollateralFormatError("pck_crl_issuer_chain", problem)
    return PCKOrigin(fmspc=TCBInfo.from_json(collateral.tcb_info).fmspc, ca=kind)


def require_fit(collateral: Collateral, wanted: Wanted, where: str) -> None:
    """That an answer is of the CPU family and the CA that were asked for.

    Raises:
        CollateralError: it is of others, or cannot be read; `where` begins the sentence.
    """
    try:
        found = origin_of(collateral)
    except CollateralFormatError as error:
        raise CollateralError(f"{where}: {error.path}: {error.problem}") from error
    if found.fmspc != wanted.fmspc:
        raise CollateralError(
            f"{where}: the TCB info is of FMSPC {found.fmspc.hex()}, asked for was {wanted.fmspc.hex()}: "
            "the service or a proxy before it answers with another's data; refresh it, or name another service"
        )
    if found.ca != wanted.ca:
        raise CollateralError(
            f"{where}: the PCK CRL is of the {found.ca} CA, asked for was the {wanted.ca} CA; "
            "the service mixes them up: refresh it, or name another service"
        )
