"""What a verifier answers: the quote3_error_t of verification, and the results 0xA0nn (`sgx_qve_header.h`)."""

from functools import partial

from confcom.codes.entry import Code, Family, Who, entry

_FETCH_AGAIN = "Fetch fresh collateral for the quote's FMSPC and verify again; the quote itself need not be made anew."
_EXPIRED_CAUSES = (
    "The collateral is older than its window: a cache that was not refreshed, or an air-gapped bundle.",
    "The quote is verified long after it was made.",
    "Azure serves TCB info past its end on purpose.",
)
_RENEW_EXPIRED = (
    "Fetch it again from Intel PCS or a PCCS, or accept some days of grace; the quote itself is fine. To judge a quote "
    "as of the time it was made, name that time."
)
_TD_ONLY = ("It concerns TDX quotes; an SGX quote never gets it.",)
_NOT_SGX = "Check that the quote is an SGX quote: this add-on verifies no TDX quotes."
_QVE_ONLY = ("Only a verifier that uses Intel's quote verification enclave (QvE) reports it.",)
_UPDATE_QVE = (
    "Update the verifier's libsgx-dcap-quote-verify and libsgx-ae-qve together, or verify without the enclave."
)
_PLATFORM_BEHIND = (
    "Microcode or BIOS of the node is behind Intel's list.",
    "The list moved on: `early` collateral names levels weeks or months before `standard` does.",
)
_UPDATE_PLATFORM = (
    "Look which of the 16 TCB components are behind and update BIOS or microcode; on AKS update the node image, the "
    "host is Azure's. Until then decide by the advisories whether you accept it."
)
_HARDENING = (
    "It is the best verdict that many CPU families can get, all SGX families of AKS among them: the weakness is met in "
    "the enclave's own code."
)
_ACCEPT_HARDENING = (
    "Build the enclave with the LVI mitigations, read the advisories listed, and accept the status (our default does)."
)
_CONFIGURATION = "A BIOS setting keeps a weakness open, usually hyper-threading or the integrated graphics."
_CHANGE_BIOS = "Change the BIOS setting, or accept the status; on AKS the host's owner, Azure, decides."

_error = partial(entry, Family.QUOTE3)
_result = partial(entry, Family.VERIFICATION)

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
        next_step="Do not trust this quote; get a new one and compare how it travels.",
    ),
    _error(
        0xE020,
        "SGX_QL_QE_REPORT_UNSUPPORTED_FORMAT",
        who=Who.YOU,
        meaning="The QE's report in the quote cannot be read.",
        causes=("The quote was cut or changed on its way.",),
        next_step="Do not trust this quote; get a new one and compare how it travels.",
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
            "`confcom quote verify` says which of the three certificates fails and takes all CRL encodings; with "
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
        causes=_PLATFORM_BEHIND,
        next_step=_UPDATE_PLATFORM,
    ),
    _error(
        0xE028,
        "SGX_QL_TCB_OUT_OF_DATE_CONFIGURATION_NEEDED",
        who=Who.NODE_OWNER,
        meaning="The platform's TCB is out of date, and its configuration leaves a weakness open too.",
        causes=(*_PLATFORM_BEHIND, _CONFIGURATION),
        next_step=_UPDATE_PLATFORM,
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
        causes=("The QE that made the quote is older than Intel's QE identity asks for.",),
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
        next_step="Do not trust quotes of this machine, and do not override this; use another machine.",
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
        causes=(_CONFIGURATION,),
        next_step=_CHANGE_BIOS,
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
        causes=(_HARDENING,),
        next_step=_ACCEPT_HARDENING,
    ),
    _error(
        0xE03D,
        "SGX_QL_TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED",
        who=Who.NODE_OWNER,
        meaning="The TCB is up to date, but configuration and enclave code leave a weakness open.",
        causes=(_CONFIGURATION, _HARDENING),
        next_step=f"{_CHANGE_BIOS} {_ACCEPT_HARDENING}",
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
        causes=_TD_ONLY,
        next_step=_NOT_SGX,
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

RESULT_CODES: tuple[Code, ...] = (
    _result(
        0x0000,
        "SGX_QL_QV_RESULT_OK",
        who=Who.NOBODY,
        meaning="The quote is genuine and the platform is up to date.",
        causes=("Nothing is behind.",),
        next_step="Compare the identity in the quote (MRENCLAVE, MRSIGNER, report data) with what you expect.",
    ),
    _result(
        0xA001,
        "SGX_QL_QV_RESULT_CONFIG_NEEDED",
        who=Who.NODE_OWNER,
        meaning="The quote is genuine and the TCB up to date, but the platform's configuration leaves a weakness open.",
        causes=(_CONFIGURATION,),
        next_step=_CHANGE_BIOS,
    ),
    _result(
        0xA002,
        "SGX_QL_QV_RESULT_OUT_OF_DATE",
        who=Who.NODE_OWNER,
        meaning="The quote is genuine, but the platform's TCB or the QE is out of date.",
        causes=(*_PLATFORM_BEHIND, "The QE that made the quote is older than Intel's QE identity asks for."),
        next_step=_UPDATE_PLATFORM,
    ),
    _result(
        0xA003,
        "SGX_QL_QV_RESULT_OUT_OF_DATE_CONFIG_NEEDED",
        who=Who.NODE_OWNER,
        meaning="The quote is genuine, but the TCB is out of date and the configuration leaves a weakness open.",
        causes=(*_PLATFORM_BEHIND, _CONFIGURATION),
        next_step=_UPDATE_PLATFORM,
    ),
    _result(
        0xA004,
        "SGX_QL_QV_RESULT_INVALID_SIGNATURE",
        who=Who.YOU,
        meaning="The quote's signature does not hold.",
        causes=("The quote was changed on its way, cut, or padded in the middle.",),
        next_step="Do not trust this quote; get a new one and compare how it travels.",
    ),
    _result(
        0xA005,
        "SGX_QL_QV_RESULT_REVOKED",
        who=Who.NODE_OWNER,
        meaning="The platform's key or TCB level is revoked: such keys are known to have leaked.",
        causes=("The PCK certificate or the TCB level stands as revoked in Intel's collateral.",),
        next_step="Do not trust quotes of this machine, and do not override this.",
    ),
    _result(
        0xA006,
        "SGX_QL_QV_RESULT_UNSPECIFIED",
        who=Who.VERIFIER,
        meaning="The verifier could not come to a result.",
        causes=("Collateral or quote could not be read; the error code beside the result says more.",),
        next_step="Explain the error code of the same call; `confcom quote verify` names each step.",
    ),
    _result(
        0xA007,
        "SGX_QL_QV_RESULT_SW_HARDENING_NEEDED",
        who=Who.YOU,
        meaning="The quote is genuine and the TCB up to date, but the enclave's own code must be hardened.",
        causes=(_HARDENING,),
        next_step=_ACCEPT_HARDENING,
    ),
    _result(
        0xA008,
        "SGX_QL_QV_RESULT_CONFIG_AND_SW_HARDENING_NEEDED",
        who=Who.NODE_OWNER,
        meaning=(
            "The quote is genuine and the TCB up to date, but configuration and enclave code leave a weakness open."
        ),
        causes=(_CONFIGURATION, _HARDENING),
        next_step=f"{_CHANGE_BIOS} {_ACCEPT_HARDENING}",
    ),
    _result(
        0xA009,
        "SGX_QL_QV_RESULT_TD_RELAUNCH_ADVISED",
        who=Who.VERIFIER,
        meaning="The trust domain should be started anew on the updated TDX module.",
        causes=_TD_ONLY,
        next_step=_NOT_SGX,
    ),
    _result(
        0xA00A,
        "SGX_QL_QV_RESULT_TD_RELAUNCH_ADVISED_CONFIG_NEEDED",
        who=Who.VERIFIER,
        meaning="The trust domain should be started anew, and the configuration leaves a weakness open.",
        causes=_TD_ONLY,
        next_step=_NOT_SGX,
    ),
)
