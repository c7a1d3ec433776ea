"""sgx_status_t (`sgx_error.h` of Intel's SDK), as far as quoting and loading enclaves are concerned."""

from functools import partial

from confcom.codes import sentences as say
from confcom.codes.entry import Code, Family, Who, entry

_code = partial(entry, Family.SGX_STATUS)

_REBUILD = "Build and sign the enclave anew with the SDK release that matches the runtime, for hardware mode."
_EPID_ONLY = ("It comes from EPID attestation, which has ended.",)
_USE_ECDSA = "Ask for an ECDSA quote instead."
_LOOK_FOR_SOCKET = (
    "Look for /var/run/aesmd/aesm.socket in the container, then whether the quote helper runs on that node; if it "
    "does, read the last error in its /status."
)

SGX_STATUS_CODES: tuple[Code, ...] = (
    _code(
        0x0,
        "SGX_SUCCESS",
        who=Who.NOBODY,
        meaning="The call succeeded.",
        causes=("Nothing went wrong.",),
        next_step="Nothing to do.",
    ),
    _code(
        0x1,
        "SGX_ERROR_UNEXPECTED",
        who=Who.HELPER_OPERATOR,
        meaning="Something failed that the library has no better number for.",
        causes=(
            "The AESM service answered with a code that the client library does not tell apart for this call.",
            "The service closed the connection without an answer, or sent a field of a wrong size.",
        ),
        next_step="Read the log of the AESM service on that node: the real cause stands only there.",
    ),
    _code(
        0x2,
        "SGX_ERROR_INVALID_PARAMETER",
        who=Who.YOU,
        meaning="An argument of the call has a wrong size or value.",
        causes=("The report is not 432 bytes, or the quote buffer is smaller than the quote.",),
        next_step="Ask for the quote size again and pass a 432-byte REPORT with a buffer of exactly that size.",
    ),
    _code(
        0x3,
        "SGX_ERROR_OUT_OF_MEMORY",
        who=Who.HELPER_OPERATOR,
        meaning="There is not enough memory.",
        causes=("The quote buffer is larger than the QE's heap, or a memory limit is too small.",),
        next_step="Pass a buffer of the size that was given; then raise the container's memory limit.",
    ),
    _code(
        0x4,
        "SGX_ERROR_ENCLAVE_LOST",
        who=Who.YOU,
        meaning="The enclave is gone.",
        causes=("The machine slept or was migrated.", "The process forked: an enclave does not survive fork()."),
        next_step="Load the enclave anew; load enclaves after forking, or start processes afresh.",
    ),
    _code(
        0x2001,
        "SGX_ERROR_INVALID_ENCLAVE",
        who=Who.YOU,
        meaning="The enclave file is not correct.",
        causes=("It is damaged, not signed, or not an enclave.",),
        next_step=_REBUILD,
    ),
    _code(
        0x2003,
        "SGX_ERROR_INVALID_SIGNATURE",
        who=Who.YOU,
        meaning="The enclave's signature does not hold.",
        causes=("The enclave was changed after it had been signed.",),
        next_step="Sign the enclave again.",
    ),
    _code(
        0x2005,
        "SGX_ERROR_OUT_OF_EPC",
        who=Who.NODE_OWNER,
        meaning="There is not enough EPC left to load the enclave.",
        causes=("Enclaves of applications fill the node's EPC.",),
        next_step="Compare the enclaves on the node with its EPC, and move one away.",
    ),
    _code(
        0x2006,
        "SGX_ERROR_NO_DEVICE",
        who=Who.NODE_OWNER,
        meaning="The SGX device cannot be opened.",
        causes=(
            "SGX is off in the BIOS, or the kernel has no SGX driver.",
            "The container was not given /dev/sgx_enclave: it asked for no EPC.",
            "The image's old SGX runtime looks for /dev/sgx/enclave, the name of the old driver.",
        ),
        next_step="Check /dev/sgx_enclave on the node, then whether the container asks for the EPC resource.",
    ),
    _code(
        0x200C,
        "SGX_ERROR_DEVICE_BUSY",
        who=Who.YOU,
        meaning="The SGX device was busy; most often the enclave could not be initialised.",
        causes=("Too many interruptions while the enclave was being started.",),
        next_step="Try again; if it stays, look at the kernel's log of the node.",
    ),
    _code(
        0x200D,
        "SGX_ERROR_INVALID_VERSION",
        who=Who.YOU,
        meaning="Enclave and SGX runtime are of releases that do not fit.",
        causes=("The enclave was signed by a newer SDK than the runtime in the image.",),
        next_step=_REBUILD,
    ),
    _code(
        0x200E,
        "SGX_ERROR_MODE_INCOMPATIBLE",
        who=Who.YOU,
        meaning="Enclave and runtime are of different modes.",
        causes=("One is built for simulation (SGX_MODE=SIM), the other for hardware; or one has 32 bits.",),
        next_step=_REBUILD,
    ),
    _code(
        0x200F,
        "SGX_ERROR_ENCLAVE_FILE_ACCESS",
        who=Who.YOU,
        meaning="The enclave file cannot be opened.",
        causes=("It is not where the program looks for it, or must not be read by the program's user.",),
        next_step="Check the path of the .signed.so file inside the container and its permissions.",
    ),
    _code(
        0x3001,
        "SGX_ERROR_MAC_MISMATCH",
        who=Who.YOU,
        meaning="A report or sealed data could not be verified.",
        causes=(
            "The report was made on another node, before this one restarted, or for another QE.",
            "Sealed data were moved to another machine or another enclave.",
        ),
        next_step=say.REMAKE_REPORT,
    ),
    _code(
        0x4001,
        "SGX_ERROR_SERVICE_UNAVAILABLE",
        who=Who.HELPER_OPERATOR,
        meaning="The AESM service cannot be reached, or does not offer what was asked.",
        causes=(
            "Nothing listens on /var/run/aesmd/aesm.socket: no helper on the node, or the folder is not mounted.",
            "The socket file alone was mounted and the service restarted since: mount the folder.",
            "The service is stopping, has lost its enclave, or could not load it.",
            "An EPID quote or a launch token was asked for.",
        ),
        next_step=_LOOK_FOR_SOCKET,
    ),
    _code(
        0x4002,
        "SGX_ERROR_SERVICE_TIMEOUT",
        who=Who.HELPER_OPERATOR,
        meaning="The AESM service did not answer within 15 seconds.",
        causes=(
            "The service waits for a slow certificate service, or for another client that holds it up.",
            "More quotes were asked for than the node can make.",
        ),
        next_step=(
            "Ask again after a random wait. An application on Open Enclave must be restarted if this hit its first "
            "request: it remembers the failure."
        ),
    ),
    _code(
        0x4003,
        "SGX_ERROR_AE_INVALID_EPIDBLOB",
        who=Who.YOU,
        meaning="The stored EPID key could not be verified.",
        causes=_EPID_ONLY,
        next_step=_USE_ECDSA,
    ),
    _code(
        0x4004,
        "SGX_ERROR_SERVICE_INVALID_PRIVILEGE",
        who=Who.HELPER_OPERATOR,
        meaning="The enclave is not authorised to run: the process has no access to the provision device.",
        causes=(
            (
                "QE or PCE is loaded where /dev/sgx_provision is missing or its group (sgx_prv) is not the process's; "
                "being root does not help."
            ),
            "The application quotes in-process without having been given the provision device.",
        ),
        next_step=(
            "Give /dev/sgx_provision to the process that holds QE and PCE; an application needs it in-process only, "
            "and does without it out-of-process (SGX_AESM_ADDR=1)."
        ),
    ),
    _code(
        0x4005,
        "SGX_ERROR_EPID_MEMBER_REVOKED",
        who=Who.YOU,
        meaning="The EPID membership of this machine is revoked.",
        causes=_EPID_ONLY,
        next_step=_USE_ECDSA,
    ),
    _code(
        0x4006,
        "SGX_ERROR_UPDATE_NEEDED",
        who=Who.NODE_OWNER,
        meaning="SGX on this machine must be updated first.",
        causes=("AESM answered 20: an EPID service asks for newer platform software or microcode.",),
        next_step="Update BIOS, microcode and platform software of the node.",
    ),
    _code(
        0x4007,
        "SGX_ERROR_NETWORK_FAILURE",
        who=Who.HELPER_OPERATOR,
        meaning="The AESM service reports that it cannot reach the certificate service.",
        causes=("Name resolution, a proxy, a firewall or a network policy stands between.",),
        next_step=say.TRY_URL,
    ),
    _code(
        0x400A,
        "SGX_ERROR_BUSY",
        who=Who.YOU,
        meaning="The AESM service has too much work and refused this request at once.",
        causes=("Many enclaves asked for quotes at the same moment.",),
        next_step=say.ASK_LATER,
    ),
    _code(
        0x4012,
        "SGX_ERROR_UNRECOGNIZED_PLATFORM",
        who=Who.YOU,
        meaning="Intel's EPID provisioning server does not know this machine.",
        causes=_EPID_ONLY,
        next_step=_USE_ECDSA,
    ),
    _code(
        0x8001,
        "SGX_ERROR_UNSUPPORTED_ATT_KEY_ID",
        who=Who.HELPER_OPERATOR,
        meaning="The service does not offer the attestation key that was asked for.",
        causes=(
            "Intel's aesmd runs without its ECDSA plug-in.",
            "The QE could not be loaded: most often no access to /dev/sgx_provision.",
        ),
        next_step="Check that the service has /dev/sgx_provision and its ECDSA part; ask it which key ids it offers.",
    ),
    _code(
        0x8002,
        "SGX_ERROR_ATT_KEY_CERTIFICATION_FAILURE",
        who=Who.CERTIFICATE_SERVICE,
        meaning="The attestation key could not be made or certified.",
        causes=("The certificate service delivered a TCB higher than the machine has.",),
        next_step="Refresh the certificate service's cache; compare its PCK certificate's TCB with the machine's own.",
    ),
    _code(
        0x8003,
        "SGX_ERROR_ATT_KEY_UNINITIALIZED",
        who=Who.YOU,
        meaning="There is no certified attestation key, or the platform's TCB changed since it was certified.",
        causes=("A quote was asked for before sgx_init_quote_ex.", "The certificate service changed its certificate."),
        next_step="Call sgx_init_quote_ex again, make a new report, and ask once more.",
    ),
    _code(
        0x8004,
        "SGX_ERROR_INVALID_ATT_KEY_CERT_DATA",
        who=Who.CERTIFICATE_SERVICE,
        meaning="The certification data from the provider library is not usable.",
        causes=("The certificate chain delivered is too short, too long or damaged.",),
        next_step="Compare what the certificate service delivers for this machine with what Intel PCS delivers.",
    ),
    _code(
        0x8005,
        "SGX_ERROR_PLATFORM_CERT_UNAVAILABLE",
        who=Who.NODE_OWNER,
        meaning="There is no PCK certificate for this machine.",
        causes=(
            "The machine is not registered, or an SGX reset changed its QE ID.",
            say.ON_AKS,
        ),
        next_step=say.REGISTER,
    ),
)
