"""quote3_error_t (`sgx_ql_lib_common.h`), the part that concerns verifying quotes."""

from functools import partial

from confcom.codes import sentences as say
from confcom.codes.entry import Code, Family, Who, entry

_FETCH_AGAIN = "Fetch fresh collateral for the quote's FMSPC and verify again; the quote itself need not be made anew."
_EXPIRED_CAUSES = (
    "The collateral is older than its window: a cache that was not refreshed, or an air-gapped bundle.",
    "The quote is verified long after it was made.",
    "Azure serves TCB info past its end on purpose.",
)
_RENEW_EXPIRED = (
    "Fetch it again (`confcom quote verify --intel` or `--pccs URL`), or accept some days of grace (`--grace DAYS`): "
    "the quote itself is fine. To judge a quote as of the time it was made, name that time (`--at`)."
)
_QVE_ONLY = ("Only a verifier that uses Intel's quote verification enclave (QvE) reports it.",)
_UPDATE_QVE = (
    "Update the verifier's libsgx-dcap-quote-verify and libsgx-ae-qve together, or verify without the enclave."
)

_error = partial(entry, Family.QUOTE3)

VERIFICATION_ERROR_CODES: tuple[Code, ...] = (
    _error(
        0xE01B,
        "SGX_QL_NO_QUOTE_COLLATERAL_DATA",
        who=Who.VERIFIER,
        meaning="The service has no collateral (TCB info, QE identity or CRL) for this quote.",
        causes=("Its cache lacks the quote's FMSPC, or the FMSPC is unknown to Intel (HTTP 404).",),
        next_step="Fetch the collateral for the quote's FMSPC from Intel PCS, or refresh the PCCS.",
    ),
    _error(
        0xE01C,
        "SGX_QL_QUOTE_CERTIFICATION_DATA_UNSUPPORTED",
        who=Who.HELPER_OPERATOR,
        meaning="The quote carries no PCK certificate chain but another kind of certification data.",
        causes=("The quote was made without a quote provider library: it carries an encrypted PPID (type 3).",),
        next_step="Install a quote provider library where the quote is made, and make it again.",
    ),
    _error(
        0xE01D,
        "SGX_QL_QUOTE_FORMAT_UNSUPPORTED",
        who=Who.YOU,
        meaning="The bytes are not a quote that this verifier reads.",
        causes=(
            "The quote came wrapped: hex, base64, JSON, or behind an Open Enclave header (0100000002000000).",
            "It is a TDX quote, or of another version.",
        ),
        next_step="Pass the bare bytes of the quote; `confcom quote inspect` says what they are.",
    ),
    _error(
        0xE01E,
        "SGX_QL_UNABLE_TO_GENERATE_REPORT",
        who=Who.VERIFIER,
        meaning="The verification enclave could not report to the application's enclave.",
        causes=_QVE_ONLY,
        next_step=_UPDATE_QVE,
    ),
    _error(
        0xE01F,
        "SGX_QL_QE_REPORT_INVALID_SIGNATURE",
        who=Who.YOU,
        meaning="The QE's report in the quote is not signed by the PCK key in the quote.",
        causes=("The quote was changed on its way, or its certificates belong to another machine.",),
        next_step=say.GET_ANOTHER,
    ),
    _error(
        0xE020,
        "SGX_QL_QE_REPORT_UNSUPPORTED_FORMAT",
        who=Who.YOU,
        meaning="The QE's report in the quote cannot be read.",
        causes=("The quote was cut or changed on its way.",),
        next_step=say.GET_ANOTHER,
    ),
    _error(
        0xE021,
        "SGX_QL_PCK_CERT_UNSUPPORTED_FORMAT",
        who=Who.YOU,
        meaning="A certificate in the quote cannot be read, or lacks what a PCK certificate must have.",
        causes=("The chain in the quote is damaged or cut.", "The quote carries no PEM chain at all."),
        next_step="`confcom quote inspect` shows the chain in the quote; have the quote made again if it is damaged.",
    ),
    _error(
        0xE022,
        "SGX_QL_PCK_CERT_CHAIN_ERROR",
        who=Who.VERIFIER,
        meaning="The PCK certificate chain or its CRLs do not hold together up to the trusted root.",
        causes=(
            (
                "The CRLs come in another encoding than the verifier expects (PEM, hex or DER): quote and collateral "
                "were fetched through different API versions."
            ),
            "The quote carries the older of Intel's two root certificates, which have the same key.",
            "The quote was made by a simulated platform: its root is not Intel's.",
        ),
        next_step=(
            "Look in steps 4 to 6 of `confcom quote verify` which certificate or CRL fails; fetch the CRL of the CA "
            "(processor or platform) that issued the quote's PCK certificate. CRLs may be PEM, hex or DER here; with "
            "Intel's library use one API version (v4) for quotes and collateral."
        ),
    ),
    _error(
        0xE023,
        "SGX_QL_TCBINFO_UNSUPPORTED_FORMAT",
        who=Who.VERIFIER,
        meaning="The TCB info cannot be read.",
        causes=("It is of another version than the verifier knows, was re-serialised, or was cut.",),
        next_step=_FETCH_AGAIN,
    ),
    _error(
        0xE024,
        "SGX_QL_TCBINFO_MISMATCH",
        who=Who.VERIFIER,
        meaning="The TCB info is for another CPU family or PCE than the quote.",
        causes=("FMSPC or PCEID of the TCB info differ from those in the quote's PCK certificate.",),
        next_step=_FETCH_AGAIN,
    ),
    _error(
        0xE025,
        "SGX_QL_QEIDENTITY_UNSUPPORTED_FORMAT",
        who=Who.VERIFIER,
        meaning="The QE identity cannot be read.",
        causes=("It is of another version than the verifier knows, was re-serialised, or was cut.",),
        next_step=_FETCH_AGAIN,
    ),
    _error(
        0xE026,
        "SGX_QL_QEIDENTITY_MISMATCH",
        who=Who.VERIFIER,
        meaning="The quote was not made by the QE that the QE identity describes.",
        causes=(
            "A simulated quote was checked against Intel's QE identity.",
            "The identity of another enclave was given, for example TD_QE for an SGX quote.",
        ),
        next_step="Use the QE identity of the same root and of id QE; a simulated platform exports its own.",
    ),
    _error(
        0xE027,
        "SGX_QL_TCB_OUT_OF_DATE",
        who=Who.NODE_OWNER,
        meaning="The platform's TCB is out of date.",
        causes=say.BEHIND,
        next_step=say.UPDATE_PLATFORM,
    ),
    _error(
        0xE028,
        "SGX_QL_TCB_OUT_OF_DATE_CONFIGURATION_NEEDED",
        who=Who.NODE_OWNER,
        meaning="The platform's TCB is out of date, and its configuration leaves a weakness open too.",
        causes=(*say.BEHIND, say.BIOS_SETTING),
        next_step=say.UPDATE_PLATFORM,
    ),
    _error(
        0xE029,
        "SGX_QL_SGX_ENCLAVE_IDENTITY_OUT_OF_DATE",
        who=Who.HELPER_OPERATOR,
        meaning="The enclave identity puts this enclave's version among those out of date.",
        causes=("QE or QvE is older than Intel's identity asks for.",),
        next_step="Update the quoting enclaves in the quote helper's image.",
    ),
    _error(
        0xE02A,
        "SGX_QL_SGX_ENCLAVE_REPORT_ISVSVN_OUT_OF_DATE",
        who=Who.HELPER_OPERATOR,
        meaning="The enclave's ISVSVN is below what the enclave identity asks for.",
        causes=(say.OLD_QE,),
        next_step="Update the quoting enclaves in the quote helper's image.",
    ),
    _error(
        0xE02B,
        "SGX_QL_QE_IDENTITY_OUT_OF_DATE",
        who=Who.VERIFIER,
        meaning="The QE identity is out of date.",
        causes=_EXPIRED_CAUSES,
        next_step=_RENEW_EXPIRED,
    ),
    _error(
        0xE02C,
        "SGX_QL_SGX_TCB_INFO_EXPIRED",
        who=Who.VERIFIER,
        meaning="The TCB info has expired: its nextUpdate has passed.",
        causes=_EXPIRED_CAUSES,
        next_step=_RENEW_EXPIRED,
    ),
    _error(
        0xE02D,
        "SGX_QL_SGX_PCK_CERT_CHAIN_EXPIRED",
        who=Who.NODE_OWNER,
        meaning="A certificate of the quote's PCK chain has expired.",
        causes=("The PCK certificate is seven years old, or the verifier's clock is wrong.",),
        next_step="Check the verifier's clock; then have the certificate service fetch a new PCK certificate.",
    ),
    _error(
        0xE02E,
        "SGX_QL_SGX_CRL_EXPIRED",
        who=Who.VERIFIER,
        meaning="A certificate revocation list has expired: its nextUpdate has passed.",
        causes=_EXPIRED_CAUSES,
        next_step=_RENEW_EXPIRED,
    ),
    _error(
        0xE02F,
        "SGX_QL_SGX_SIGNING_CERT_CHAIN_EXPIRED",
        who=Who.VERIFIER,
        meaning="The certificate that signed TCB info or QE identity has expired.",
        causes=("The collateral is from before the signer was renewed (the older one ended on 2025-05-21).",),
        next_step=_RENEW_EXPIRED,
    ),
    _error(
        0xE030,
        "SGX_QL_SGX_ENCLAVE_IDENTITY_EXPIRED",
        who=Who.VERIFIER,
        meaning="The QE identity has expired: its nextUpdate has passed.",
        causes=_EXPIRED_CAUSES,
        next_step=_RENEW_EXPIRED,
    ),
    _error(
        0xE031,
        "SGX_QL_PCK_REVOKED",
        who=Who.NODE_OWNER,
        meaning="The machine's PCK certificate is revoked: its key is known to have leaked.",
        causes=("The certificate stands in Intel's CRL.",),
        next_step=say.TRUST_NOTHING,
    ),
    _error(
        0xE032,
        "SGX_QL_TCB_REVOKED",
        who=Who.NODE_OWNER,
        meaning="The platform's TCB level is revoked: keys of that level are known to have leaked.",
        causes=("Microcode or PCE of the node is of a level that Intel has revoked.",),
        next_step="Do not trust this quote. Update BIOS and microcode, then have the PCK certificate fetched again.",
    ),
    _error(
        0xE033,
        "SGX_QL_TCB_CONFIGURATION_NEEDED",
        who=Who.NODE_OWNER,
        meaning="The TCB is up to date, but the platform's configuration leaves a weakness open.",
        causes=(say.BIOS_SETTING,),
        next_step=say.CHANGE_BIOS,
    ),
    _error(
        0xE034,
        "SGX_QL_UNABLE_TO_GET_COLLATERAL",
        who=Who.VERIFIER,
        meaning="The collateral could not be fetched.",
        causes=("The provider library's service was not reached, or has none for this quote.",),
        next_step="Try the service's URL from the verifier's network, or hand the collateral over as a file.",
    ),
    _error(
        0xE037,
        "SGX_QL_NO_QVE_IDENTITY_DATA",
        who=Who.VERIFIER,
        meaning="The service has no identity of the verification enclave.",
        causes=_QVE_ONLY,
        next_step=_UPDATE_QVE,
    ),
    _error(
        0xE038,
        "SGX_QL_CRL_UNSUPPORTED_FORMAT",
        who=Who.VERIFIER,
        meaning="A certificate revocation list cannot be read.",
        causes=("It comes in another encoding than the verifier expects: PEM, hex or DER.",),
        next_step="Set the API version (3.0: hex, 3.1: DER) that the verifier expects; confcom takes all three.",
    ),
    _error(
        0xE039,
        "SGX_QL_QEIDENTITY_CHAIN_ERROR",
        who=Who.VERIFIER,
        meaning="The chain that signed the QE identity does not lead to the trusted root.",
        causes=("The collateral comes from another root, for example a simulated platform, or is damaged.",),
        next_step=_FETCH_AGAIN,
    ),
    _error(
        0xE03A,
        "SGX_QL_TCBINFO_CHAIN_ERROR",
        who=Who.VERIFIER,
        meaning="The chain that signed the TCB info does not lead to the trusted root.",
        causes=("The collateral comes from another root, for example a simulated platform, or is damaged.",),
        next_step=_FETCH_AGAIN,
    ),
    _error(
        0xE03B,
        "SGX_QL_ERROR_QVL_QVE_MISMATCH",
        who=Who.VERIFIER,
        meaning="Verification library and verification enclave are of different releases.",
        causes=_QVE_ONLY,
        next_step=_UPDATE_QVE,
    ),
    _error(
        0xE03C,
        "SGX_QL_TCB_SW_HARDENING_NEEDED",
        who=Who.YOU,
        meaning="The TCB is up to date, but the enclave's own code must be hardened.",
        causes=(say.BEST_POSSIBLE,),
        next_step=say.HARDEN,
    ),
    _error(
        0xE03D,
        "SGX_QL_TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED",
        who=Who.NODE_OWNER,
        meaning="The TCB is up to date, but configuration and enclave code leave a weakness open.",
        causes=(say.BIOS_SETTING, say.BEST_POSSIBLE),
        next_step=f"{say.CHANGE_BIOS} {say.HARDEN}",
    ),
    _error(
        0xE050,
        "SGX_QL_QVEIDENTITY_MISMATCH",
        who=Who.VERIFIER,
        meaning="The verification enclave is not the one that Intel's identity describes.",
        causes=_QVE_ONLY,
        next_step=_UPDATE_QVE,
    ),
    _error(
        0xE051,
        "SGX_QL_QVE_OUT_OF_DATE",
        who=Who.VERIFIER,
        meaning="The verification enclave is older than asked for.",
        causes=_QVE_ONLY,
        next_step=_UPDATE_QVE,
    ),
    _error(
        0xE053,
        "SGX_QL_COLLATERAL_VERSION_NOT_SUPPORTED",
        who=Who.VERIFIER,
        meaning="The collateral's version is not known to the verifier.",
        causes=("Collateral 3.0 (CRLs as hex) and 3.1 (CRLs as DER) were mixed up.",),
        next_step="Fetch with the API version that the verifier expects, or update the verifier.",
    ),
    _error(
        0xE060,
        "SGX_QL_TDX_MODULE_MISMATCH",
        who=Who.VERIFIER,
        meaning="The TDX module is not the one that Intel's identity describes.",
        causes=say.TD_ONLY,
        next_step=say.CHECK_FOR_SGX,
    ),
    _error(
        0xE061,
        "SGX_QL_QEIDENTITY_NOT_FOUND",
        who=Who.VERIFIER,
        meaning="The collateral holds no QE identity.",
        causes=("The collateral was put together without it, or the service had none.",),
        next_step=_FETCH_AGAIN,
    ),
    _error(
        0xE062,
        "SGX_QL_TCBINFO_NOT_FOUND",
        who=Who.VERIFIER,
        meaning="The collateral holds no TCB info.",
        causes=("The collateral was put together without it, or the service had none for the FMSPC.",),
        next_step=_FETCH_AGAIN,
    ),
    _error(
        0xE064,
        "SGX_QL_SUPPLEMENTAL_DATA_VERSION_NOT_SUPPORTED",
        who=Who.VERIFIER,
        meaning="The version of the supplemental data asked for is not known.",
        causes=("Program and verification library are of different releases.",),
        next_step="Build the verifying program against the headers of the library that it runs with.",
    ),
    _error(
        0xE066,
        "SGX_QL_TCB_NOT_SUPPORTED",
        who=Who.NODE_OWNER,
        meaning="No TCB level of Intel's list fits this platform.",
        causes=(
            "The platform is older than everything in the list.",
            "The TCB info is of another CPU family.",
        ),
        next_step="Compare the FMSPC of quote and TCB info; if they agree, update BIOS and microcode of the node.",
    ),
    _error(
        0xE068,
        "SGX_QL_RESULT_INVALID_SIGNATURE",
        who=Who.YOU,
        meaning="A signature did not hold during verification.",
        causes=("The quote or the collateral was changed on its way.",),
        next_step="Do not trust this quote; `confcom quote verify` names the step that fails.",
    ),
)
