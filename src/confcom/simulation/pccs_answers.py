"""The answers of a simulated certificate service, endpoint by endpoint, in the shape of a PCCS or of Azure's THIM."""

import base64
import json
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from confcom.simulation.pccs_faults import FaultName
from confcom.simulation.platform import SimulatedPlatform

# A PCCS says these few words with its statuses.
WORDS = {
    400: "Invalid request parameters.",
    404: "No cache data for this platform.",
    405: "Only GET is served.",
    410: "This API version has ended.",
    429: "Too many requests.",
    461: "The platform was not found in the cache.",
    462: "Certificates are not available for certain TCBs.",
    500: "Internal server error occurred.",
    502: "Unable to retrieve the collateral from the Intel SGX PCS.",
    503: "Server is currently unable to process the request.",
}
PEM_TYPE, TEXT_TYPE, JSON_TYPE, CRL_TYPE = (
    "application/x-pem-file",
    "text/plain",
    "application/json",
    "application/pkix-crl",
)

_END = b"-----END CERTIFICATE-----\n"
# What the metadata service allows clients to keep an answer for, in seconds.
_CACHE_MAX_AGE = "86400"
_SIZES = {"qeid": 32, "cpusvn": 32, "pcesvn": 4, "pceid": 4}
_HEX = re.compile(r"[0-9A-Fa-f]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What was asked; header names are lower case."""

    path: str
    method: str = "GET"
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What is answered, and the faults that concern the way it is sent."""

    status: int = 200
    body: bytes = b""
    content_type: str = TEXT_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)
    faults: frozenset[FaultName] = frozenset()


def refusal(status: int, **headers: str) -> Answer:
    """An answer that is none, in the words of a PCCS."""
    return Answer(status=status, body=WORDS[status].encode(), headers=headers)


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One request with what it is answered from. `thim` tells Azure's shape from a PCCS's."""

    query: Mapping[str, str]
    machine: SimulatedPlatform
    collateral: Mapping[str, str]
    met: frozenset[FaultName]
    thim: bool


def pck_crl(case: Case) -> Answer:
    """`/pckcrl?ca=&encoding=`, or THIM's `/pckcrl?uri=`, which names either CRL by the place where Intel has it."""
    if uri := case.query.get("uri"):
        if uri.endswith("IntelSGXRootCA.der"):
            return Answer(body=_crl(case, "root_ca_crl", "pem"), content_type=CRL_TYPE)
        asked = next((kind for kind in ("processor", "platform") if f"ca={kind}" in uri), None)
    else:
        asked = case.query.get("ca")
    if asked not in {"processor", "platform"}:
        return refusal(400)
    if asked != case.machine.identity.ca:
        return refusal(404)
    usual = "pem" if case.thim else "der" if case.query.get("encoding", "").lower() == "der" else "hex"
    headers = _chain("SGX-PCK-CRL-Issuer-Chain", case.collateral["pck_crl_issuer_chain"])
    return Answer(body=_crl(case, "pck_crl", usual), content_type=CRL_TYPE, headers=headers)


def root_ca_crl(case: Case) -> Answer:
    """`/rootcacrl`: hex of DER under the type of DER, as every PCCS answers for the sake of its oldest clients."""
    return Answer(body=_crl(case, "root_ca_crl", "hex"), content_type=CRL_TYPE)


def tcb_info(case: Case) -> Answer:
    """`/tcb?fmspc=`."""
    asked = case.query.get("fmspc", "")
    if len(asked) != 12 or not _HEX.fullmatch(asked):
        return refusal(400)
    # Under `wrong-fmspc` whatever is asked for is answered with another.
    if FaultName.WRONG_FMSPC not in case.met and asked.lower() != case.machine.identity.fmspc.hex():
        return refusal(404)
    old = {FaultName.V3_HEADER, FaultName.V3_ONLY} & case.met
    name = "SGX-TCB-Info-Issuer-Chain" if old else "TCB-Info-Issuer-Chain"
    return _signed(case, "tcbInfo", "tcb_info", name)


def qe_identity(case: Case) -> Answer:
    """`/qe/identity`."""
    return _signed(case, "enclaveIdentity", "qe_identity", "SGX-Enclave-Identity-Issuer-Chain")


def pck_certificate(case: Case) -> Answer:
    """`/pckcert`: PEM with its chain in headers, or THIM's JSON.

    Any raw CPUSVN gets the machine's one certificate, since a simulated machine's stands in no order to it.
    """
    given = {name: case.query.get(name, "") for name in _SIZES}
    if any(len(given[name]) != size or not _HEX.fullmatch(given[name]) for name, size in _SIZES.items()):
        return refusal(400)
    identity = case.machine.identity
    if given["qeid"].lower() != identity.qe_id.hex() or identity.pce_id not in _readings(given["pceid"], case.thim):
        return refusal(461)
    if max(int.from_bytes(value, "little") for value in _readings(given["pcesvn"], case.thim)) < identity.pce_svn:
        return refusal(462)
    leaf, _, rest = case.machine.certificate_chain.partition(_END)
    tcbm = (identity.tcb_components + identity.pce_svn.to_bytes(2, "little")).hex().upper()
    chain = quote(rest.decode(), safe="")
    if case.thim:
        return _thim_certificate((leaf + _END).decode(), chain, tcbm)
    headers = {
        "SGX-PCK-Certificate-Issuer-Chain": chain,
        "SGX-TCBm": tcbm,
        "SGX-FMSPC": identity.fmspc.hex().upper(),
        "SGX-PCK-Certificate-CA-Type": identity.ca,
    }
    return Answer(body=leaf + _END, content_type=PEM_TYPE, headers=headers)


def _thim_certificate(leaf: str, chain: str, tcbm: str) -> Answer:
    document = {
        "pckCert": leaf,
        "sgx-Pck-Certificate-Issuer-Chain": chain,
        "sgx-Tcbm": tcbm,
        "cacheMaxAge": _CACHE_MAX_AGE,
        "version": "v4",
    }
    return Answer(body=json.dumps(document).encode(), content_type=JSON_TYPE)


def _readings(text: str, thim: bool) -> tuple[bytes, ...]:
    """Two bytes of hex as they travel. What order Azure's client sends is disputed, so THIM takes both."""
    value = bytes.fromhex(text)
    return (value, value[::-1]) if thim else (value,)


def _signed(case: Case, member: str, part: str, header: str) -> Answer:
    """The exact signed text inside an object of two members."""
    text, signature = case.collateral[part], case.collateral[f"{part}_signature"]
    body = f'{{"{member}":{text},"signature":"{signature}"}}'.encode()
    return Answer(body=body, content_type=JSON_TYPE, headers=_chain(header, case.collateral[f"{part}_issuer_chain"]))


def _chain(name: str, pem: str) -> dict[str, str]:
    return {name: quote(pem, safe="")}


def _crl(case: Case, part: str, usual: str) -> bytes:
    forced = {FaultName.CRL_PEM: "pem", FaultName.CRL_HEX: "hex", FaultName.CRL_DER: "der"}
    encoding = next((form for fault, form in forced.items() if fault in case.met), usual)
    text = case.collateral[part]
    if encoding == "hex":
        return text.encode()
    der = bytes.fromhex(text)
    return der if encoding == "der" else _pem(der)


def _pem(der: bytes) -> bytes:
    lines = "\n".join(textwrap.wrap(base64.b64encode(der).decode(), 64))
    return f"-----BEGIN X509 CRL-----\n{lines}\n-----END X509 CRL-----\n".encode()
