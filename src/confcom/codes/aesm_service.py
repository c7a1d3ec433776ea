"""What each AESM errorCode means to the client that received it, and to the operator of the service."""

from functools import partial

from confcom.codes import sentences as say
from confcom.codes.aesm_number import AESM
from confcom.codes.entry import Code, Family, Who, entry

# Intel ended its EPID attestation and platform services; their codes stay in the protocol.
_EPID_ONLY = ("Only Intel's own aesmd with its EPID or platform-service parts sends it; this quote helper never does.",)
_USE_ECDSA = "Ask for an ECDSA quote instead: EPID attestation has ended."
_NO_PLATFORM_SERVICES = "Do without the platform services (trusted time, monotonic counters): Intel removed them."
_RENEW_KEY = "Restart the quote helper on that node: it makes and certifies its attestation key anew."
_READ_LOG = "Read the last error in the quote helper's /status or its log on that node: it names the cause in words."

_code = partial(entry, Family.AESM)


def _ended(number: AESM, name: str, meaning: str, next_step: str) -> Code:
    return _code(number, name, who=Who.YOU, meaning=meaning, causes=_EPID_ONLY, next_step=next_step)


_ECDSA: tuple[Code, ...] = (
    _code(
        AESM.SUCCESS,
        "AESM_SUCCESS",
        who=Who.NOBODY,
        meaning="The request was carried out.",
        causes=("Nothing went wrong.",),
        next_step="Nothing to do.",
    ),
    _code(
        AESM.UNEXPECTED,
        "AESM_UNEXPECTED_ERROR",
        who=Who.HELPER_OPERATOR,
        meaning="The service failed for a reason that the protocol has no better number for.",
        causes=(
            (
                "Intel's aesmd answers so for every quote library error above 0xE01A: certificate service busy, its "
                "TLS certificate untrusted, a broken qcnl configuration."
            ),
            "A request lacked a required field.",
        ),
        next_step="Read the log of the AESM service on that node: the real cause stands only there.",
    ),
    _code(
        AESM.NO_DEVICE,
        "AESM_NO_DEVICE_ERROR",
        who=Who.NODE_OWNER,
        meaning="The service found no SGX device.",
        causes=(
            "SGX is off in the BIOS or the kernel has no SGX driver (5.11 or newer brings one).",
            "The service's container was not given /dev/sgx_enclave.",
        ),
        next_step="Check on the node that /dev/sgx_enclave exists and that the service's container has it.",
    ),
    _code(
        AESM.PARAMETER,
        "AESM_PARAMETER_ERROR",
        who=Who.YOU,
        meaning="A field of the request has a wrong size or value.",
        causes=(
            "The report is not 432 bytes, qe_report_info not 960, or the attestation key id not 256.",
            "The buffer announced for the quote is smaller than the quote.",
            "InitQuoteEx asked for a public key id with a buffer that is not 32 bytes.",
        ),
        next_step="Ask for the quote size again, then send a 432-byte REPORT and a buffer of that size.",
    ),
    _code(
        AESM.GET_LICENSETOKEN,
        "AESM_GET_LICENSETOKEN_ERROR",
        who=Who.NODE_OWNER,
        meaning="No launch token could be made for the enclave.",
        causes=(
            *_EPID_ONLY,
            "Launch tokens are needed by the old driver without flexible launch control only.",
        ),
        next_step="Use the in-kernel SGX driver (Linux 5.11 or newer): it needs no launch token.",
    ),
    _code(
        AESM.NETWORK,
        "AESM_NETWORK_ERROR",
        who=Who.HELPER_OPERATOR,
        meaning="The service could not reach the certificate service (PCCS, Azure THIM or Intel PCS).",
        causes=(
            "DNS, a proxy, a firewall or a network policy stands between the node's helper and the service.",
            "The service is down, or its TLS certificate is not trusted.",
            "The provider library's configuration is malformed, for example a missing comma.",
        ),
        next_step=say.TRY_URL,
    ),
    _code(
        AESM.NETWORK_BUSY,
        "AESM_NETWORK_BUSY_ERROR",
        who=Who.HELPER_OPERATOR,
        meaning="The network operation could not be done now.",
        causes=("Only Intel's own aesmd sends it; this quote helper never does.",),
        next_step="Ask again in a few seconds; if it stays, read the service's log.",
    ),
    _code(
        AESM.PROXY_SETTING_ASSIST,
        "AESM_PROXY_SETTING_ASSIST",
        who=Who.HELPER_OPERATOR,
        meaning="The service needs a proxy setting to reach the network.",
        causes=("Intel's own aesmd sends it when its configured proxy does not work; this quote helper never does.",),
        next_step="Set the proxy in aesmd's configuration (/etc/aesmd.conf) and restart it.",
    ),
    _code(
        AESM.FILE_ACCESS,
        "AESM_FILE_ACCESS_ERROR",
        who=Who.HELPER_OPERATOR,
        meaning="The file that keeps the attestation key could not be read or written.",
        causes=("The service's state directory is missing, full or read-only.",),
        next_step="Give the service a state directory that it can write, then restart it.",
    ),
    _code(
        AESM.SERVICE_STOPPED,
        "AESM_SERVICE_STOPPED",
        who=Who.HELPER_OPERATOR,
        meaning="The service is shutting down.",
        causes=("It is being restarted or updated.",),
        next_step="Ask again in a few seconds; if it stays, look whether the helper's pod runs on that node.",
    ),
    _code(
        AESM.BUSY,
        "AESM_BUSY",
        who=Who.YOU,
        meaning="The service has too much work and refused this request at once.",
        causes=(
            "The queue of this socket is full: many enclaves asked for quotes at the same moment.",
            "The request could not have been answered before the client's 15 seconds were over.",
        ),
        next_step=say.ASK_LATER,
    ),
    _code(
        AESM.OUT_OF_MEMORY,
        "AESM_OUT_OF_MEMORY_ERROR",
        who=Who.HELPER_OPERATOR,
        meaning="The service or its quoting enclave ran out of memory.",
        causes=(
            "The buffer asked for is larger than the quoting enclave's heap (about 140 kB).",
            "The service's container has too small a memory limit.",
        ),
        next_step=(
            "Ask with a buffer of the size that GetQuoteSizeEx gave; then look at the memory limit of the helper."
        ),
    ),
    _code(
        AESM.MSG,
        "AESM_MSG_ERROR",
        who=Who.HELPER_OPERATOR,
        meaning="The certificate service's answer could not be understood.",
        causes=("The service speaks another API version, or a proxy answered in its place.",),
        next_step="Check that the helper's certificate service speaks API v4 at the URL configured.",
    ),
    _code(
        AESM.THREAD,
        "AESM_THREAD_ERROR",
        who=Who.HELPER_OPERATOR,
        meaning="The service could not start a thread of its own.",
        causes=("Only Intel's own aesmd sends it; the container's limit of processes is too small.",),
        next_step="Raise the pids limit of the service's container and restart it.",
    ),
    _code(
        AESM.SGX_DEVICE_NOT_AVAILABLE,
        "AESM_SGX_DEVICE_NOT_AVAILABLE",
        who=Who.NODE_OWNER,
        meaning="SGX is not available on this machine.",
        causes=("Only Intel's own older aesmd sends it: SGX is off in the BIOS or the machine has none.",),
        next_step="Turn SGX on in the BIOS, or use a node that has SGX.",
    ),
    _code(
        AESM.ENABLE_SGX_DEVICE_FAILED,
        "AESM_ENABLE_SGX_DEVICE_FAILED",
        who=Who.NODE_OWNER,
        meaning="SGX could not be turned on by software.",
        causes=("Only Intel's own older aesmd sends it: the BIOS does not allow software to enable SGX.",),
        next_step="Turn SGX on in the BIOS and restart the machine.",
    ),
    _code(
        AESM.OUT_OF_EPC,
        "AESM_OUT_OF_EPC",
        who=Who.NODE_OWNER,
        meaning="There is not enough EPC left on the node to load the quoting enclaves.",
        causes=(
            (
                "Enclaves of applications fill the EPC, perhaps beyond what they asked for: the limit is a matter of "
                "scheduling, not of enforcement."
            ),
        ),
        next_step="Compare the enclaves on the node with its EPC, move one away, and keep the helper's share reserved.",
    ),
    _code(
        AESM.SERVICE_UNAVAILABLE,
        "AESM_SERVICE_UNAVAILABLE",
        who=Who.HELPER_OPERATOR,
        meaning="The service does not offer what was asked, or cannot offer it now.",
        causes=(
            "The request was for EPID quotes, launch tokens or a white list: an ECDSA quote helper has none of them.",
            "The certificate service or the quoting enclaves are not available yet.",
        ),
        next_step="Ask for an ECDSA quote; if you did, read the last error in the quote helper's /status on that node.",
    ),
    _code(
        AESM.ECDSA_ID_MISMATCH,
        "AESM_ECDSA_ID_MISMATCH",
        who=Who.HELPER_OPERATOR,
        meaning="The stored attestation key belongs to another QE id.",
        causes=("The key file was copied from another machine, or SGX was reset in the BIOS.",),
        next_step=_RENEW_KEY,
    ),
    _code(
        AESM.PATHNAME_BUFFER_OVERFLOW,
        "AESM_PATHNAME_BUFFER_OVERFLOW_ERROR",
        who=Who.HELPER_OPERATOR,
        meaning="The path of an enclave file or of the key file is too long.",
        causes=("The SGX libraries are installed under, or told to use, a very long path.",),
        next_step="Install the SGX libraries under a shorter path.",
    ),
    _code(
        AESM.STORED_KEY,
        "AESM_ERROR_STORED_KEY",
        who=Who.HELPER_OPERATOR,
        meaning="The stored attestation key is not valid.",
        causes=("The key file is damaged, or was sealed by another machine or another version of the QE.",),
        next_step=_RENEW_KEY,
    ),
    _code(
        AESM.PUB_KEY_ID_MISMATCH,
        "AESM_PUB_KEY_ID_MISMATCH",
        who=Who.YOU,
        meaning="The stored attestation key is not the one asked for.",
        causes=("The key was made anew since the client asked for the target info.",),
        next_step="Ask for the target info again, make a new report, and ask for the quote again.",
    ),
    _code(
        AESM.INVALID_PCE_SIG_SCHEME,
        "AESM_INVALID_PCE_SIG_SCHEME",
        who=Who.HELPER_OPERATOR,
        meaning="The PCE signs in a way that the QE does not know.",
        causes=("QE and PCE come from different releases.",),
        next_step="Update QE and PCE together: one image of the helper holds a matching pair.",
    ),
    _code(
        AESM.ATT_KEY_BLOB,
        "AESM_ATT_KEY_BLOB_ERROR",
        who=Who.HELPER_OPERATOR,
        meaning="The sealed attestation key cannot be used.",
        causes=("The key file is damaged, or was sealed by another machine or another version of the QE.",),
        next_step=_RENEW_KEY,
    ),
    _code(
        AESM.UNSUPPORTED_ATT_KEY_ID,
        "AESM_UNSUPPORTED_ATT_KEY_ID",
        who=Who.HELPER_OPERATOR,
        meaning="The service does not offer the attestation key that the client asked for.",
        causes=(
            "Intel's aesmd runs without its ECDSA plug-in (libsgx-aesm-ecdsa-plugin).",
            (
                "The QE could not be loaded, so no key is offered: most often the service has no access to "
                "/dev/sgx_provision (group sgx_prv)."
            ),
            "The client asked for an EPID key, or for a QE of another signer.",
        ),
        next_step="Check that the service has /dev/sgx_provision and its ECDSA part; ask it which key ids it offers.",
    ),
    _code(
        AESM.UNSUPPORTED_LOADING_POLICY,
        "AESM_UNSUPPORTED_LOADING_POLICY",
        who=Who.YOU,
        meaning="The service does not know the enclave load policy asked for.",
        causes=("The load policy can be set in-process only; out-of-process the service alone decides.",),
        next_step="Do not set an enclave load policy while SGX_AESM_ADDR is set.",
    ),
    _code(
        AESM.INTERFACE_UNAVAILABLE,
        "AESM_INTERFACE_UNAVAILABLE",
        who=Who.HELPER_OPERATOR,
        meaning="A library that the service needs could not be loaded, or lacks a function.",
        causes=("The quoting libraries in the service's image are incomplete or of different releases.",),
        next_step=_READ_LOG,
    ),
    _code(
        AESM.PLATFORM_LIB_UNAVAILABLE,
        "AESM_PLATFORM_LIB_UNAVAILABLE",
        who=Who.HELPER_OPERATOR,
        meaning="The quote provider library was not found, so no PCK certificate can be had.",
        causes=("libdcap_quoteprov.so.1 (Intel's or az-dcap-client) is not in the service's image.",),
        next_step="Install a quote provider library in the image of the helper.",
    ),
    _code(
        AESM.ATT_KEY_NOT_INITIALIZED,
        "AESM_ATT_KEY_NOT_INITIALIZED",
        who=Who.YOU,
        meaning="There is no certified attestation key, or the platform's TCB changed since it was certified.",
        causes=(
            "The client asked for a quote without InitQuoteEx first.",
            "The certificate service now gives a certificate of another TCB level.",
        ),
        next_step="Call InitQuoteEx (get_target_info) again, make a new report, and ask once more.",
    ),
    _code(
        AESM.ATT_KEY_CERT_DATA_INVALID,
        "AESM_ATT_KEY_CERT_DATA_INVALID",
        who=Who.HELPER_OPERATOR,
        meaning="The certification data that the provider library delivered is not usable.",
        causes=("The certificate chain from the certificate service is too short, too long or damaged.",),
        next_step="Compare what the certificate service delivers for this machine with what Intel PCS delivers.",
    ),
    _code(
        AESM.NO_PLATFORM_CERT_DATA,
        "AESM_NO_PLATFORM_CERT_DATA",
        who=Who.NODE_OWNER,
        meaning="The certificate service answered, but has no PCK certificate for this machine.",
        causes=(
            "The machine is not registered with Intel, or its registration ended with an SGX reset in the BIOS.",
            "The PCCS has an empty cache or a wrong API key.",
            say.ON_AKS,
        ),
        next_step=say.REGISTER,
    ),
    _code(
        AESM.ERROR_REPORT,
        "AESM_ERROR_REPORT",
        who=Who.HELPER_OPERATOR,
        meaning="A REPORT between the quoting enclaves could not be verified.",
        causes=("QE and PCE run on different key eras, for example after the machine slept or was migrated.",),
        next_step="Restart the quote helper on that node.",
    ),
    _code(
        AESM.ENCLAVE_LOST,
        "AESM_ENCLAVE_LOST",
        who=Who.HELPER_OPERATOR,
        meaning="The quoting enclave is gone.",
        causes=("The machine slept or was migrated, or the process forked after it had loaded the enclave.",),
        next_step="Ask again: the helper loads a new enclave. If it stays, restart the helper on that node.",
    ),
    _code(
        AESM.INVALID_REPORT,
        "AESM_INVALID_REPORT",
        who=Who.YOU,
        meaning="The QE refused the REPORT: it was not made on this node for this QE.",
        causes=(
            "The report was made on another node, or before this one restarted.",
            "The report targets another QE, for example the one of a replaced service.",
            "A byte of the report was changed on its way.",
        ),
        next_step=(say.REMAKE_REPORT),
    ),
    _code(
        AESM.ENCLAVE_LOAD,
        "AESM_ENCLAVE_LOAD_ERROR",
        who=Who.HELPER_OPERATOR,
        meaning="The QE or the PCE could not be loaded.",
        causes=(
            "The service has no access to /dev/sgx_enclave or /dev/sgx_provision.",
            "The enclave files are missing beside the libraries, or their folder is mounted noexec.",
            "The EPC is exhausted.",
        ),
        next_step=(
            "Check the device nodes, their groups and the enclave files in the helper's container; its log names the "
            "one."
        ),
    ),
    _code(
        AESM.UNABLE_TO_GENERATE_QE_REPORT,
        "AESM_UNABLE_TO_GENERATE_QE_REPORT",
        who=Who.YOU,
        meaning="The quote was made, but the QE could not report on itself to the application's enclave.",
        causes=("The target info in qe_report_info is not that of a running enclave.",),
        next_step="Send the application's own target info in qe_report_info, or leave qe_report_info out.",
    ),
    _code(
        AESM.KEY_CERTIFICATION,
        "AESM_KEY_CERTIFICATION_ERROR",
        who=Who.CERTIFICATE_SERVICE,
        meaning="The PCE could not certify the attestation key.",
        causes=("The certificate service delivered a TCB higher than the machine has.",),
        next_step=(
            "Compare the TCB in the PCK certificate with the machine's own; refresh the certificate service's cache."
        ),
    ),
)

_ENDED: tuple[Code, ...] = (
    _ended(AESM.EPIDBLOB, "AESM_EPIDBLOB_ERROR", "The stored EPID key could not be read.", _USE_ECDSA),
    _ended(AESM.EPID_REVOKED, "AESM_EPID_REVOKED_ERROR", "The EPID group of this machine is revoked.", _USE_ECDSA),
    _ended(
        AESM.SESSION_INVALID,
        "AESM_SESSION_INVALID",
        "The platform-service session is not valid any more.",
        _NO_PLATFORM_SERVICES,
    ),
    _ended(
        AESM.MAX_NUM_SESSION,
        "AESM_MAX_NUM_SESSION_REACHED",
        "No further platform-service session can be opened.",
        _NO_PLATFORM_SERVICES,
    ),
    _ended(
        AESM.PSDA_UNAVAILABLE,
        "AESM_PSDA_UNAVAILABLE",
        "The platform-service applet of the management engine cannot be reached.",
        _NO_PLATFORM_SERVICES,
    ),
    _ended(
        AESM.EPH_SESSION,
        "AESM_EPH_SESSION_FAILED",
        "The short-lived session with the platform services could not be made.",
        _NO_PLATFORM_SERVICES,
    ),
    _ended(
        AESM.LONG_TERM_PAIRING,
        "AESM_LONG_TERM_PAIRING_FAILED",
        "The lasting pairing with the platform services could not be made.",
        _NO_PLATFORM_SERVICES,
    ),
    _ended(AESM.SGX_PROVISION_FAILED, "AESM_SGX_PROVISION_FAILED", "EPID provisioning failed.", _USE_ECDSA),
    _ended(AESM.BACKEND_SERVER_BUSY, "AESM_BACKEND_SERVER_BUSY", "Intel's EPID server was busy.", _USE_ECDSA),
    _ended(
        AESM.UPDATE_AVAILABLE,
        "AESM_UPDATE_AVAILABLE",
        "The platform software or microcode must be updated first.",
        _USE_ECDSA,
    ),
    _ended(
        AESM.PLATFORM_INFO_BLOB_INVALID_SIG,
        "AESM_PLATFORM_INFO_BLOB_INVALID_SIG",
        "The platform info blob of an EPID attestation has a wrong signature.",
        _USE_ECDSA,
    ),
    _ended(
        AESM.KDF_MISMATCH,
        "AESM_KDF_MISMATCH",
        "Two sides derived keys in different ways during a platform-service session.",
        _NO_PLATFORM_SERVICES,
    ),
    _ended(
        AESM.UNRECOGNIZED_PLATFORM,
        "AESM_UNRECOGNIZED_PLATFORM",
        "Intel's EPID provisioning server does not know this machine.",
        _USE_ECDSA,
    ),
    _ended(
        AESM.CONFIG_UNSUPPORTED,
        "AESM_CONFIG_UNSUPPORTED",
        "The update check was asked with a configuration that the service does not know.",
        _USE_ECDSA,
    ),
)

AESM_CODES: tuple[Code, ...] = tuple(sorted(_ECDSA + _ENDED, key=lambda code: code.number or 0))

_BY_NUMBER = {code.number: code for code in AESM_CODES}


def aesm(number: int) -> Code:
    """The entry of an errorCode; a number that Intel has not given away gets an entry that says so."""
    return _BY_NUMBER.get(number) or _code(
        number,
        f"unknown AESM code {number}",
        meaning="No AESM service is known to send this number; Intel's client reads it as an unexpected error.",
        causes=("The service is newer than this table, or the bytes come from something that is no AESM service.",),
        next_step="Check what listens on the AESM socket, and its log.",
        who=Who.HELPER_OPERATOR,
    )
