"""The three kinds of certificate service: Intel PCS, a PCCS, and Azure's THIM. All speak Intel's API v4, nearly.

Sources: Intel's PCS API v4; the PCCS of Intel's DCAP; Azure's DCAP client for the URLs of THIM.
"""

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from confcom.collateral import answers
from confcom.collateral.address import host_of, service_base
from confcom.collateral.network import Network
from confcom.collateral.source import Obtained, Wanted, require_fit
from confcom.collateral.summary import earliest_end
from confcom.errors import CollateralError, CollateralFormatError
from confcom.quote.collateral import Collateral
from confcom.quote.times import format_time

if TYPE_CHECKING:
    from confcom.collateral.session import Reply, Session

INTEL_PCS = "https://api.trustedservices.intel.com/sgx/certification/v4"
# The distribution point in Intel's root certificate. A constant, because one taken from a chain that nobody has
# verified yet could point anywhere.
INTEL_ROOT_CRL = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"
# The metadata service of an Azure machine, and the cache that all of the world can reach.
THIM_PRIMARY = "http://169.254.169.254/metadata/THIM/sgx/certification/v4"
THIM_SECONDARY = "https://global.acccache.azure.net/sgx/certification/v4"
_THIM_QUERY = {"clientid": "production_client", "api-version": "2018-10-01-preview"}

# Verifiers allow for clocks that differ by this much.
MAX_CLOCK_DIFFERENCE = timedelta(minutes=5)

_PCK_CRL, _ROOT_CRL, _TCB_INFO, _QE_IDENTITY = "PCK CRL", "root CA CRL", "TCB info", "QE identity"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Request:
    """Where one part is asked for."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


class CertificateService(abc.ABC):
    """A service that speaks the API v4; the kinds differ in the URLs of the four parts."""

    # What to do about collateral that has ended.
    _advice = "refresh the service"

    def __init__(self, base: str, network: Network) -> None:
        """`base` is the URL without a slash at its end."""
        self.base = base
        self._network = network

    @property
    def name(self) -> str:
        """The base URL without credentials."""
        scheme, _, rest = self.base.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"

    def obtain(self, wanted: Wanted, now: datetime) -> Obtained:
        """Asks for the four parts over one connection; see `Source`.

        Raises:
            CollateralError: a part cannot be had, cannot be read, or is another platform's.
        """
        with _open_session(self._network, self.base) as session:
            replies = {part: self._reply(session, part, request) for part, request in self._requests(wanted).items()}
        collateral = self._assembled(replies)
        require_fit(collateral, wanted, host_of(self.base))
        notes = _clock_notes(replies[_TCB_INFO], now, host_of(self.base)) + self._age_notes(collateral, now)
        return Obtained(collateral=collateral, wanted=wanted, origin=self.name, fetched=now, notes=notes)

    def _age_notes(self, collateral: Collateral, now: datetime) -> tuple[str, ...]:
        """What is to be said of collateral that has ended already; every part is read for it."""
        try:
            end = earliest_end(collateral)
        except CollateralFormatError as error:
            raise CollateralError(f"{host_of(self.base)}: {error.path}: {error.problem}") from error
        if end >= now:
            return ()
        return (f"{host_of(self.base)} serves collateral that ended at {format_time(end)}: {self._advice}",)

    @abc.abstractmethod
    def _requests(self, wanted: Wanted) -> dict[str, _Request]:
        """Where each of the four parts is asked for."""

    def _reply(self, session: "Session", part: str, request: _Request) -> "Reply":
        return session.get(request.url, part, request.headers)

    def _assembled(self, replies: Mapping[str, "Reply"]) -> Collateral:
        at = {part: f"{host_of(self.base)}: {part}" for part in replies}
        tcb_info, tcb_info_signature = answers.tcb_info(replies[_TCB_INFO].body, at[_TCB_INFO])
        qe_identity, qe_identity_signature = answers.qe_identity(replies[_QE_IDENTITY].body, at[_QE_IDENTITY])
        chains = {
            part: answers.issuer_chain(replies[part].headers, header, at[part])
            for part, header in (
                (_PCK_CRL, answers.PCK_CRL_CHAIN),
                (_TCB_INFO, answers.TCB_INFO_CHAIN),
                (_QE_IDENTITY, answers.QE_IDENTITY_CHAIN),
            )
        }
        return Collateral(
            pck_crl_issuer_chain=chains[_PCK_CRL],
            root_ca_crl=answers.revocation_list(replies[_ROOT_CRL].body, at[_ROOT_CRL]),
            pck_crl=answers.revocation_list(replies[_PCK_CRL].body, at[_PCK_CRL]),
            tcb_info_issuer_chain=chains[_TCB_INFO],
            tcb_info=tcb_info,
            tcb_info_signature=tcb_info_signature,
            qe_identity_issuer_chain=chains[_QE_IDENTITY],
            qe_identity=qe_identity,
            qe_identity_signature=qe_identity_signature,
        )

    def _usual(self, wanted: Wanted) -> dict[str, _Request]:
        """The three parts that Intel PCS and a PCCS have under the same paths."""
        fmspc = wanted.fmspc.hex().upper()
        return {
            _PCK_CRL: _Request(url=_url(f"{self.base}/pckcrl", ca=wanted.ca, encoding="der")),
            _TCB_INFO: _Request(url=_url(f"{self.base}/tcb", fmspc=fmspc, update=wanted.update)),
            _QE_IDENTITY: _Request(url=_url(f"{self.base}/qe/identity", update=wanted.update)),
        }


class PCCS(CertificateService):
    """A provisioning certificate caching service, as data centres run it beside their machines."""

    def __init__(self, url: str, network: Network | None = None, *, allow_http: bool = False) -> None:
        """`url` may lack the path.

        Raises:
            InputError: it is no URL, or names another API version, or plain HTTP to a distant host.
        """
        super().__init__(service_base(url, "--pccs", allow_http=allow_http), network or Network())

    def _requests(self, wanted: Wanted) -> dict[str, _Request]:
        return {**self._usual(wanted), _ROOT_CRL: _Request(url=f"{self.base}/rootcacrl")}


class IntelPCS(CertificateService):
    """Intel's provisioning certification service; collateral needs no subscription key."""

    def __init__(
        self, network: Network | None = None, *, base: str = INTEL_PCS, root_crl_url: str = INTEL_ROOT_CRL
    ) -> None:
        super().__init__(base, network or Network())
        self._root_crl_url = root_crl_url

    def _requests(self, wanted: Wanted) -> dict[str, _Request]:
        return {**self._usual(wanted), _ROOT_CRL: _Request(url=self._root_crl_url)}


class _THIMAt(CertificateService):
    """THIM at one address; it asks for CRLs by the URL under which Intel has them."""

    _advice = "Azure does so on purpose; ask Intel (--intel) or a PCCS, or accept some days of grace"

    def _requests(self, wanted: Wanted) -> dict[str, _Request]:
        pck_crl = _url(f"{INTEL_PCS}/pckcrl", ca=wanted.ca, encoding="der")
        return {
            _PCK_CRL: self._request("pckcrl", uri=pck_crl),
            _TCB_INFO: self._request("tcb", fmspc=wanted.fmspc.hex()),
            _QE_IDENTITY: self._request("qe/identity"),
            _ROOT_CRL: self._request("pckcrl", uri=INTEL_ROOT_CRL),
        }

    def _request(self, path: str, **query: str) -> _Request:
        # The metadata service answers nobody who does not say that he means it.
        headers = {"metadata": "true"} if "/metadata/" in self.base else {}
        return _Request(url=_url(f"{self.base}/{path}", **query, **_THIM_QUERY), headers=headers)


class THIM:
    """Azure's Trusted Hardware Identity Management: the machine's own metadata service, else the world's cache."""

    def __init__(
        self, network: Network | None = None, *, primary: str = THIM_PRIMARY, secondary: str | None = THIM_SECONDARY
    ) -> None:
        self._network = network or Network()
        self.primary = primary
        self.secondary = secondary

    @property
    def name(self) -> str:
        """The address of the metadata service."""
        return _THIMAt(self.primary, self._network).name

    def obtain(self, wanted: Wanted, now: datetime) -> Obtained:
        """Collateral of the first address that has it; see `Source`.

        Raises:
            CollateralError: neither address has it, with the sentences of both; or the channel is `early`.
        """
        if wanted.update != "standard":
            raise CollateralError("Azure THIM has no update channel: ask Intel PCS or a PCCS for 'early'")
        try:
            return _THIMAt(self.primary, self._network).obtain(wanted, now)
        except CollateralError as error:
            if self.secondary is None:
                raise
            return self._from_secondary(self.secondary, wanted, now, error)

    def _from_secondary(self, address: str, wanted: Wanted, now: datetime, first: CollateralError) -> Obtained:
        try:
            found = _THIMAt(address, self._network).obtain(wanted, now)
        except CollateralError as second:
            raise CollateralError(f"{first} Then {second}", passing=first.passing or second.passing) from second
        return replace(found, notes=(*found.notes, f"the nearer address was passed over: {first}"))


def _open_session(network: Network, url: str) -> "Session":
    # The HTTP client takes a tenth of a second to load, which no verb that fetches nothing should pay.
    from confcom.collateral.session import Session  # noqa: PLC0415

    return Session(network, url)


def _url(base: str, **query: str) -> str:
    return f"{base}?{urlencode(query)}"


def _clock_notes(reply: "Reply", now: datetime, host: str) -> tuple[str, ...]:
    """A wrong clock makes fresh collateral look expired, or not valid yet."""
    if reply.date is None or abs(reply.date - now) <= MAX_CLOCK_DIFFERENCE:
        return ()
    note = (
        f"the clock here says {format_time(now)}, that of {host} {format_time(reply.date)}: "
        "windows are judged by the one here, so set it right first"
    )
    return (note,)
