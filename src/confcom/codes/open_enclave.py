"""oe_result_t: what Open Enclave, and EGo on it, make of a failure to get or to verify evidence.

Sources: Open Enclave's `bits/result.h`, and `host/sgx/sgxquote.c`, which translates what Intel's libraries return. Only
the names are there: they are what programs and logs print, and their numbers have moved.
"""

from functools import partial

from confcom.codes import sentences as say
from confcom.codes.entry import Code, Family, Who, entry

_result = partial(entry, Family.OPEN_ENCLAVE, None)

_READ_ITS_LOG = "Set OE_LOG_LEVEL=INFO, and ask again with the name or number that the log has before this one."
_ASKS_ONCE = "Open Enclave asks once in the life of a process which keys there are, and keeps a failure for ever."

OPEN_ENCLAVE_CODES: tuple[Code, ...] = (
    _result(
        "OE_SERVICE_UNAVAILABLE",
        who=Who.YOU,
        meaning="No AESM service answered, or it has nobody to make quotes.",
        causes=("The application was started before the quote helper, or without its socket.", _ASKS_ONCE),
        next_step=(
            "Look for aesm.socket in the container's /var/run/aesmd, mount that folder or ask for a quote slot, and "
            "start the application's process again."
        ),
    ),
    _result(
        "OE_SGX_QUOTE_LIBRARY_ERROR",
        who=Who.YOU,
        meaning="libsgx_quote_ex, which asks the AESM service, returned an sgx_status_t other than 0x4001.",
        causes=("The log names the call and its SGX_ERROR_ status.", _ASKS_ONCE),
        next_step=(
            "Ask again with the SGX_ERROR_ name of that line; after a failure of sgx_get_supported_att_key_id_num or "
            "sgx_get_supported_att_key_ids start the application's process again."
        ),
    ),
    _result(
        "OE_QUOTE_LIBRARY_LOAD_ERROR",
        who=Who.YOU,
        meaning="The library that gets quotes cannot be loaded.",
        causes=(
            "SGX_AESM_ADDR is set, or libsgx_dcap_ql is not there, and the image lacks libsgx_quote_ex.so.1.",
            "libsgx_dcap_ql is older than Open Enclave needs.",
        ),
        next_step="Install the package libsgx-quote-ex in the application's image, for quotes of a helper.",
    ),
    _result(
        "OE_QUOTE_PROVIDER_LOAD_ERROR",
        who=Who.YOU,
        meaning="The quote provider library libdcap_quoteprov.so cannot be loaded into the application.",
        causes=(
            "A quote helper makes quotes; collateral to verify them is fetched in the application itself.",
            "Only libdcap_quoteprov.so.1 is there: Open Enclave opens the name without a number.",
        ),
        next_step=(
            "Install az-dcap-client in the application's image, or Intel's libsgx-dcap-default-qpl with a link of the "
            "plain name."
        ),
    ),
    _result(
        "OE_QUOTE_PROVIDER_CALL_ERROR",
        who=Who.CERTIFICATE_SERVICE,
        meaning="The quote provider library was loaded into the application and could not get collateral.",
        causes=("The application's own network: its service's URL, proxy, DNS or a network policy.",),
        next_step=(
            "Read the log's lines of dcap_quoteprov, and try the certificate service from the application's pod; the "
            "helper's network is another one."
        ),
    ),
    _result(
        "OE_TCB_LEVEL_INVALID",
        who=Who.VERIFIER,
        meaning="The quote verified, and its TCB status is neither UpToDate nor SWHardeningNeeded.",
        causes=(
            "Any other status, ConfigurationAndSWHardeningNeeded too; the claims that come with this result name it.",
            "Intel's own verifier (USE_SGX_QVL) found no TCB level for the platform.",
        ),
        next_step=(
            "Ask again with the status that the log or the claim tcb_status names, or verify the quote with `confcom "
            "quote verify`; then decide whether you accept it."
        ),
    ),
    _result(
        "OE_INVALID_ENDORSEMENT",
        who=Who.VERIFIER,
        meaning="The collateral does not fit the quote, or Intel's own verifier refused a part of it.",
        causes=(
            "A certificate chain, TCB info or QE identity is malformed, of another platform, or past its end.",
            "With Intel's own verifier (USE_SGX_QVL) OutOfDate of platform or QE ends here too.",
        ),
        next_step=f"{_READ_ITS_LOG} `confcom quote verify` names the part.",
    ),
    _result(
        "OE_VERIFY_CRL_EXPIRED",
        who=Who.VERIFIER,
        meaning="A certificate revocation list of the collateral has passed its nextUpdate; the quote is fine.",
        causes=("The cache of the certificate service was not refreshed.",),
        next_step="Refresh the certificate service, or name another one to the verifier.",
    ),
    _result(
        "OE_VERIFY_FAILED_TO_FIND_VALIDITY_PERIOD",
        who=Who.VERIFIER,
        meaning="The time of the verification lies outside the time in which all parts of the collateral hold.",
        causes=(
            "The verifier's clock is wrong, or another time was given as its policy.",
            "Parts of different times were put together.",
        ),
        next_step="Compare the clock, then the times in the log with those that `confcom quote verify` lists.",
    ),
    _result(
        "OE_VERIFY_REVOKED",
        who=Who.NODE_OWNER,
        meaning="The platform's PCK certificate or its TCB level is revoked.",
        causes=("Intel revoked it: keys of the machine are known to have leaked.",),
        next_step=say.TRUST_NOTHING,
    ),
    _result(
        "OE_QUOTE_VERIFICATION_ERROR",
        who=Who.VERIFIER,
        meaning="The quote is damaged, or of a form that the verifier does not read.",
        causes=("It was cut or changed on its way, or carries no certificates (no quote provider at the helper).",),
        next_step=f"{say.GET_ANOTHER} `confcom quote inspect` says what the bytes are.",
    ),
    _result(
        "OE_PLATFORM_ERROR",
        who=Who.YOU,
        meaning="A library of Intel's is missing or failed; Open Enclave has no better name for it.",
        causes=(
            "libsgx_dcap_ql, or libsgx_dcap_quoteverify where USE_SGX_QVL asks for it, is not in the image.",
            "Older versions of Open Enclave answer this for every failure of the quote libraries.",
        ),
        next_step=_READ_ITS_LOG,
    ),
    _result(
        "OE_UNEXPECTED",
        who=Who.YOU,
        meaning="A failure without a name of its own.",
        causes=("In-process: most codes 0xE0nn of the quote library, 0xE011 and 0xE019 among them, end here.",),
        next_step=_READ_ITS_LOG,
    ),
)
