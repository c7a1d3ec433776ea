"""quote3_error_t (`sgx_ql_lib_common.h`), the part that concerns making quotes and fetching PCK certificates."""

from functools import partial

from confcom.codes import sentences as say
from confcom.codes.entry import Code, Family, Who, entry

_RENEW_KEY = "Restart the process that holds the QE (the quote helper on that node): it makes and certifies a new key."

_code = partial(entry, Family.QUOTE3)

GENERATION_CODES: tuple[Code, ...] = (
    _code(
        0x0000,
        "SGX_QL_SUCCESS",
        who=Who.NOBODY,
        meaning="The call succeeded.",
        causes=("Nothing went wrong.",),
        next_step="Nothing to do.",
    ),
    _code(
        0xE001,
        "SGX_QL_ERROR_UNEXPECTED",
        who=Who.HELPER_OPERATOR,
        meaning="The quote library failed for a reason that it has no better number for.",
        causes=(
            "Out-of-process: the AESM service answered with a code that the client library does not tell apart.",
            "Out-of-process: the service closed the connection without an answer.",
            "In-process: a failure inside the QE or the PCE.",
        ),
        next_step=(
            "Read the log of the AESM service on that node, or in-process the library's own log: the cause is there."
        ),
    ),
    _code(
        0xE002,
        "SGX_QL_ERROR_INVALID_PARAMETER",
        who=Who.YOU,
        meaning="An argument of the call has a wrong size or value.",
        causes=(
            "The report is not 432 bytes, or the quote buffer is smaller than the size that was given.",
            "A nonce, target info and QE report did not come together.",
        ),
        next_step="Ask for the quote size again and pass a 432-byte REPORT with a buffer of exactly that size.",
    ),
    _code(
        0xE003,
        "SGX_QL_ERROR_OUT_OF_MEMORY",
        who=Who.HELPER_OPERATOR,
        meaning="The library or the QE ran out of memory.",
        causes=("The quote buffer is larger than the QE's heap.", "The container's memory limit is too small."),
        next_step="Pass a buffer of the size that get_quote_size gave; then raise the container's memory limit.",
    ),
    _code(
        0xE004,
        "SGX_QL_ERROR_ECDSA_ID_MISMATCH",
        who=Who.HELPER_OPERATOR,
        meaning="The stored attestation key belongs to another QE id.",
        causes=("The key file was copied from another machine, or SGX was reset in the BIOS.",),
        next_step=_RENEW_KEY,
    ),
    _code(
        0xE005,
        "SGX_QL_PATHNAME_BUFFER_OVERFLOW_ERROR",
        who=Who.HELPER_OPERATOR,
        meaning="The path of the stored attestation key is too long.",
        causes=("The SGX libraries are installed under, or told to use, a very long path.",),
        next_step="Install the SGX libraries under a shorter path.",
    ),
    _code(
        0xE006,
        "SGX_QL_FILE_ACCESS_ERROR",
        who=Who.HELPER_OPERATOR,
        meaning="The file that keeps the attestation key could not be read or written.",
        causes=("Its folder is missing, full or read-only.",),
        next_step="Give the process that holds the QE a folder that it can write, then restart it.",
    ),
    _code(
        0xE007,
        "SGX_QL_ERROR_STORED_KEY",
        who=Who.HELPER_OPERATOR,
        meaning="The stored attestation key is not valid.",
        causes=("The file is damaged, or was sealed by another machine or another version of the QE.",),
        next_step=_RENEW_KEY,
    ),
    _code(
        0xE008,
        "SGX_QL_ERROR_PUB_KEY_ID_MISMATCH",
        who=Who.YOU,
        meaning="The stored attestation key is not the one asked for.",
        causes=("The key was made anew since the target info was asked for.",),
        next_step="Ask for the target info again, make a new report, and ask for the quote again.",
    ),
    _code(
        0xE009,
        "SGX_QL_ERROR_INVALID_PCE_SIG_SCHEME",
        who=Who.HELPER_OPERATOR,
        meaning="The PCE signs in a way that the QE does not know.",
        causes=("QE and PCE come from different releases.",),
        next_step="Update QE and PCE together.",
    ),
    _code(
        0xE00A,
        "SGX_QL_ATT_KEY_BLOB_ERROR",
        who=Who.HELPER_OPERATOR,
        meaning="The sealed attestation key cannot be used.",
        causes=("The file is damaged, or was sealed by another machine or another version of the QE.",),
        next_step=_RENEW_KEY,
    ),
    _code(
        0xE00B,
        "SGX_QL_UNSUPPORTED_ATT_KEY_ID",
        who=Who.HELPER_OPERATOR,
        meaning="The service does not offer the attestation key that was asked for.",
        causes=(
            (
                "The AESM service runs without its ECDSA plug-in (libsgx-aesm-ecdsa-plugin; default quoting type "
                "ecdsa_256)."
            ),
            "The QE could not be loaded, so no key is offered: no access to /dev/sgx_provision (group sgx_prv).",
        ),
        next_step="Check that the service has /dev/sgx_provision and its ECDSA part; ask it which key ids it offers.",
    ),
    _code(
        0xE00C,
        "SGX_QL_UNSUPPORTED_LOADING_POLICY",
        who=Who.YOU,
        meaning="The enclave load policy asked for is not known.",
        causes=("The policy is neither persistent (0) nor ephemeral (1).",),
        next_step="Set the load policy to persistent, or leave it alone: that is the default.",
    ),
    _code(
        0xE00D,
        "SGX_QL_INTERFACE_UNAVAILABLE",
        who=Who.HELPER_OPERATOR,
        meaning="A library or enclave that the quote library needs could not be loaded.",
        causes=("libsgx_pce_logic, libsgx_qe3_logic or libsgx_urts is missing or of another release.",),
        next_step="Install the libraries of one DCAP release together and look at the dynamic loader's message.",
    ),
    _code(
        0xE00E,
        "SGX_QL_PLATFORM_LIB_UNAVAILABLE",
        who=Who.HELPER_OPERATOR,
        meaning="No quote provider library was found, so no PCK certificate can be fetched.",
        causes=("libdcap_quoteprov.so.1 (Intel's or az-dcap-client) is not installed.",),
        next_step=(
            "Install a quote provider library; without it quotes carry an encrypted PPID in place of certificates."
        ),
    ),
    _code(
        0xE00F,
        "SGX_QL_ATT_KEY_NOT_INITIALIZED",
        who=Who.YOU,
        meaning="There is no certified attestation key, or the platform's TCB changed since it was certified.",
        causes=(
            "A quote was asked for before the target info.",
            "The certificate service now gives a certificate of another TCB level.",
        ),
        next_step="Call get_target_info again, make a new report, and ask once more.",
    ),
    _code(
        0xE010,
        "SGX_QL_ATT_KEY_CERT_DATA_INVALID",
        who=Who.CERTIFICATE_SERVICE,
        meaning="The certification data from the provider library is not usable.",
        causes=("The certificate chain delivered is too short, too long or damaged.",),
        next_step="Compare what the certificate service delivers for this machine with what Intel PCS delivers.",
    ),
    _code(
        0xE011,
        "SGX_QL_NO_PLATFORM_CERT_DATA",
        who=Who.NODE_OWNER,
        meaning="The certificate service answered, but has no PCK certificate for this machine.",
        causes=(
            "The machine is not registered with Intel, or an SGX or BIOS reset changed its QE ID since.",
            'The log says "Encrypted ppid is all zeros": registration must be repeated.',
            "The PCCS has an empty cache or a wrong API key.",
            say.ON_AKS,
            "The API version configured has ended (v2 and v3 on 2026-04-30).",
        ),
        next_step=("Ask the certificate service for this machine's certificate by hand. " + say.REGISTER),
    ),
    _code(
        0xE012,
        "SGX_QL_OUT_OF_EPC",
        who=Who.NODE_OWNER,
        meaning="There is not enough EPC left to load the QE or the PCE.",
        causes=("Enclaves of applications fill the node's EPC.",),
        next_step="Compare the enclaves on the node with its EPC, move one away, and keep the helper's share reserved.",
    ),
    _code(
        0xE013,
        "SGX_QL_ERROR_REPORT",
        who=Who.HELPER_OPERATOR,
        meaning="A REPORT between QE and PCE could not be verified.",
        causes=("The two enclaves run on different key eras, for example after the machine slept.",),
        next_step="Restart the process that holds the QE (the quote helper on that node).",
    ),
    _code(
        0xE014,
        "SGX_QL_ENCLAVE_LOST",
        who=Who.HELPER_OPERATOR,
        meaning="The quoting enclave is gone.",
        causes=("The machine slept or was migrated, or the process forked after it had loaded the enclave.",),
        next_step="Load the enclaves anew: restart the process, or set the load policy to ephemeral and back.",
    ),
    _code(
        0xE015,
        "SGX_QL_INVALID_REPORT",
        who=Who.YOU,
        meaning="The QE refused the REPORT: it was not made on this node for this QE.",
        causes=(
            "The report was made on another node, or before this one restarted.",
            "The report targets another QE, or a byte of it was changed on its way.",
        ),
        next_step=say.REMAKE_REPORT,
    ),
    _code(
        0xE016,
        "SGX_QL_ENCLAVE_LOAD_ERROR",
        who=Who.HELPER_OPERATOR,
        meaning="The QE or the PCE could not be loaded.",
        causes=(
            "No access to /dev/sgx_enclave.",
            "The enclave files are missing beside the libraries, or their folder is mounted noexec.",
        ),
        next_step="Check the device nodes, their groups, and the .signed.so.1 files beside the SGX libraries.",
    ),
    _code(
        0xE017,
        "SGX_QL_UNABLE_TO_GENERATE_QE_REPORT",
        who=Who.YOU,
        meaning="The quote was made, but the QE could not report on itself to the application's enclave.",
        causes=("The target info in qe_report_info is not that of a running enclave.",),
        next_step="Send the application's own target info in qe_report_info, or leave qe_report_info out.",
    ),
    _code(
        0xE018,
        # The spelling is the header's.
        "SGX_QL_KEY_CERTIFCATION_ERROR",
        who=Who.CERTIFICATE_SERVICE,
        meaning="The PCE could not certify the attestation key.",
        causes=("The certificate service delivered a TCB higher than the machine has.",),
        next_step="Refresh the certificate service's cache; compare its PCK certificate's TCB with the machine's own.",
    ),
    _code(
        0xE019,
        "SGX_QL_NETWORK_ERROR",
        who=Who.HELPER_OPERATOR,
        meaning="The certificate service (PCCS, Azure THIM or Intel PCS) could not be reached.",
        causes=(
            "Name resolution, a proxy, a firewall or a network policy stands between.",
            "The service's TLS certificate is self-signed.",
            "/etc/sgx_default_qcnl.conf is malformed, most often by a missing comma.",
        ),
        next_step=f"{say.TRY_URL} {say.TRUST_PCCS}",
    ),
    _code(
        0xE01A,
        "SGX_QL_MESSAGE_ERROR",
        who=Who.HELPER_OPERATOR,
        meaning="The certificate service's answer could not be understood.",
        causes=("The service speaks another API version, or a proxy answered in its place.",),
        next_step=say.USE_V4,
    ),
    _code(
        0xE035,
        "SGX_QL_ERROR_INVALID_PRIVILEGE",
        who=Who.HELPER_OPERATOR,
        meaning="The process has no right to run the quoting enclaves.",
        causes=(
            "/dev/sgx_provision is missing in the container, or its group (sgx_prv) is not among the process's groups.",
        ),
        next_step="Give the process that holds QE and PCE access to /dev/sgx_provision; applications do not need it.",
    ),
    _code(
        0xE03E,
        "SGX_QL_UNSUPPORTED_MODE",
        who=Who.YOU,
        meaning="The call makes sense in-process only, but SGX_AESM_ADDR chose out-of-process quoting.",
        causes=("A load policy, an enclave path or a clean-up was asked for while SGX_AESM_ADDR is set.",),
        next_step="Leave that call out in out-of-process mode, or unset SGX_AESM_ADDR before the library is loaded.",
    ),
    _code(
        0xE03F,
        "SGX_QL_NO_DEVICE",
        who=Who.NODE_OWNER,
        meaning="No SGX device was found.",
        causes=(
            "SGX is off in the BIOS, or the kernel has no SGX driver.",
            "The container was not given /dev/sgx_enclave: it asked for no EPC.",
        ),
        next_step="Check /dev/sgx_enclave on the node, then whether the container asks for the EPC resource.",
    ),
    _code(
        0xE040,
        "SGX_QL_SERVICE_UNAVAILABLE",
        who=Who.HELPER_OPERATOR,
        meaning="The service needed for the quote is not there.",
        causes=(
            (
                "Out-of-process: nothing listens on /var/run/aesmd/aesm.socket, or libsgx_quote_ex.so.1 is not in the "
                "image."
            ),
            "In-process: the certificate service answered that it is unavailable.",
        ),
        next_step=(
            "Look for aesm.socket in the container and for libsgx-quote-ex in its image; then whether the quote helper "
            "runs on that node. If both hold, the certificate service is down."
        ),
    ),
    _code(
        0xE041,
        "SGX_QL_NETWORK_FAILURE",
        who=Who.HELPER_OPERATOR,
        meaning="The AESM service reports that it cannot reach the certificate service.",
        causes=("Name resolution, a proxy, a firewall or a network policy stands between.",),
        next_step=say.TRY_URL,
    ),
    _code(
        0xE042,
        "SGX_QL_SERVICE_TIMEOUT",
        who=Who.HELPER_OPERATOR,
        meaning="The AESM service did not answer within 15 seconds.",
        causes=(
            "The service waits for a slow certificate service, or for another client that holds it up.",
            "More quotes were asked for than the node can make.",
        ),
        next_step=(
            "Ask again after a random wait; if it stays, read the service's queue and its certificate service's times."
        ),
    ),
    _code(
        0xE043,
        "SGX_QL_ERROR_BUSY",
        who=Who.YOU,
        meaning="The AESM service has too much work and refused this request at once.",
        causes=("Many enclaves asked for quotes at the same moment.",),
        next_step=say.ASK_LATER,
    ),
    _code(
        0xE044,
        "SGX_QL_UNKNOWN_MESSAGE_RESPONSE",
        who=Who.CERTIFICATE_SERVICE,
        meaning="The certificate service answered with a status that was not expected.",
        causes=(
            "An HTTP status that the provider library has no name for, for example 410 of an ended API or 500.",
            "A proxy answered in the service's place.",
        ),
        next_step=f"Ask the URL by hand and explain the HTTP status. {say.USE_V4}",
    ),
    _code(
        0xE045,
        "SGX_QL_PERSISTENT_STORAGE_ERROR",
        who=Who.HELPER_OPERATOR,
        meaning="What was fetched could not be kept on disk.",
        causes=("The provider library's cache folder is missing, full or read-only.",),
        next_step="Give the process a cache folder that it can write ($AZDCAP_CACHE, $XDG_CACHE_HOME or $HOME).",
    ),
    _code(
        0xE046,
        "SGX_QL_ERROR_MESSAGE_PARSING_ERROR",
        who=Who.CERTIFICATE_SERVICE,
        meaning="The answer of the certificate service could not be parsed.",
        causes=("The service speaks another API version, or a proxy answered in its place.",),
        next_step=say.USE_V4,
    ),
    _code(
        0xE047,
        "SGX_QL_PLATFORM_UNKNOWN",
        who=Who.NODE_OWNER,
        meaning="The certificate service does not know this machine (HTTP 461).",
        causes=("The machine was never registered there, or an SGX reset changed its QE ID.", say.ON_AKS),
        next_step=say.REGISTER,
    ),
    _code(
        0xE048,
        "SGX_QL_UNKNOWN_API_VERSION",
        who=Who.HELPER_OPERATOR,
        meaning="The API version configured for the certificate service is not known.",
        causes=("The version in the URL or configuration is neither v3 nor v4.",),
        next_step=say.USE_V4,
    ),
    _code(
        0xE049,
        "SGX_QL_CERTS_UNAVAILABLE",
        who=Who.INTEL,
        meaning="There is no certificate for this machine's TCB (HTTP 462).",
        causes=say.NO_CERTIFICATE,
        next_step=say.REFRESH,
    ),
    _code(
        0xE052,
        "SGX_QL_PSW_NOT_AVAILABLE",
        who=Who.VERIFIER,
        meaning="The SGX runtime (libsgx_urts) could not be loaded.",
        causes=("It is not installed where the quote is verified with Intel's verification enclave.",),
        next_step="Install libsgx-urts, or verify without the enclave (QVL).",
    ),
    _code(
        0xE063,
        "SGX_QL_INTERNAL_SERVER_ERROR",
        who=Who.CERTIFICATE_SERVICE,
        meaning="The certificate service failed inside (HTTP 500).",
        causes=("A fault in the PCCS, often in its database or in its own way to Intel PCS.",),
        next_step="Read the log of the certificate service at that time.",
    ),
    _code(
        0xE065,
        "SGX_QL_ROOT_CA_UNTRUSTED",
        who=Who.HELPER_OPERATOR,
        meaning="The TLS certificate of the certificate service is not trusted.",
        causes=("The PCCS has a self-signed certificate, or one of a private CA.",),
        next_step=say.TRUST_PCCS,
    ),
    _code(
        0xE067,
        "SGX_QL_CONFIG_INVALID_JSON",
        who=Who.HELPER_OPERATOR,
        meaning="The configuration of the provider library is not valid JSON.",
        causes=("/etc/sgx_default_qcnl.conf lacks a comma or a quotation mark; // comments are allowed there.",),
        next_step="Correct the file that QCNL_CONF_PATH names, or /etc/sgx_default_qcnl.conf, and restart the process.",
    ),
)
