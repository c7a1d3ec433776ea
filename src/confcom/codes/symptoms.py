"""What people meet that carries no code: the sentence that they see, and what stands behind it."""

from functools import partial

from confcom.codes.entry import Code, Family, Who, entry

_symptom = partial(entry, Family.SYMPTOM, None)

SYMPTOM_CODES: tuple[Code, ...] = (
    _symptom(
        "no aesm.socket",
        who=Who.HELPER_OPERATOR,
        meaning="/var/run/aesmd is empty or missing in the container, or nothing answers on aesm.socket in it.",
        causes=(
            "No quote helper runs on that node: on AKS the add-on was enabled without --enable-sgxquotehelper.",
            "The folder is not mounted, or the socket file was mounted in its place and the helper restarted since.",
            "SGX_AESM_ADDR chooses out-of-process quoting only; its value is never an address.",
        ),
        next_step=(
            "Look whether the helper's pod runs on that node, mount the folder (not the file) or ask for a quote slot, "
            "and set SGX_AESM_ADDR=1."
        ),
    ),
    _symptom(
        "collateral is out of date",
        who=Who.VERIFIER,
        meaning="A part of the collateral (CRL, TCB info or QE identity) has passed its nextUpdate; the quote is fine.",
        causes=(
            "A cache was not refreshed, or an air-gapped bundle has grown old.",
            "Azure serves TCB info past its end on purpose; Azure Attestation and Open Enclave do not look at its end.",
        ),
        next_step=(
            "Fetch it from Intel PCS or a PCCS, or accept some days of grace; to judge the quote as of its own time, "
            "name that time (`confcom quote verify --at`)."
        ),
    ),
    _symptom(
        "issue date in the future",
        who=Who.VERIFIER,
        meaning="A certificate or a part of the collateral is not yet valid by the verifier's clock.",
        causes=("The verifier's clock is behind, or the wrong time was named.",),
        next_step="Compare the clock with the Date header of the certificate service, and set it by NTP.",
    ),
    _symptom(
        "untrusted root",
        who=Who.VERIFIER,
        meaning="The quote's certificates lead to a root that is not Intel's.",
        causes=(
            (
                "The root's name has Simulated in it: a simulated platform made the quote, which proves nothing about "
                "hardware."
            ),
            "The chain in the quote was replaced.",
        ),
        next_step=(
            "In a test, name the simulated root (`confcom quote verify --root`); otherwise do not trust the quote."
        ),
    ),
    _symptom(
        "another enclave",
        who=Who.YOU,
        meaning="The quote is of another enclave than the one expected; this alone says nothing against the platform.",
        causes=(
            "MRENCLAVE changes with every build of an enclave and with its settings (heap, threads, manifest).",
            "MRSIGNER is SHA-256 of the signing key's modulus: it was signed by another key, for example a test key.",
            "ISVPRODID and ISVSVN stand in the settings with which the enclave was signed; an old version is running.",
        ),
        next_step=(
            "Compare with what the signing tool prints of the enclave that you mean to run, then deploy that one or "
            "name the new values in the policy."
        ),
    ),
    _symptom(
        "debug enclave",
        who=Who.YOU,
        meaning="The enclave runs with the DEBUG attribute: its host can read and change its memory.",
        causes=("The enclave was built or started for debugging, as most samples are.",),
        next_step="Build and load it as a release enclave; let a policy allow debug enclaves in tests only.",
    ),
    _symptom(
        "report data mismatch",
        who=Who.YOU,
        meaning="The 64 bytes of report data in the quote are not what was expected.",
        causes=(
            "One side uses the raw 64 bytes, the other SHA-256 of the data and 32 zero bytes (MAA, RA-TLS).",
            "The quote answers another nonce: it is an old one.",
        ),
        next_step="Compare how both sides make the report data from nonce and data; `confcom quote inspect` shows it.",
    ),
    _symptom(
        "not a quote",
        who=Who.YOU,
        meaning="The bytes are not a bare quote.",
        causes=(
            "Open Enclave evidence: a header 0100000002000000 and a size stand in front.",
            "The quote is wrapped in hex, base64, JSON (QuoteHex) or an RA-TLS certificate.",
            "Raw quotes go to the path SgxEnclave of Azure Attestation, Open Enclave evidence to OpenEnclave.",
        ),
        next_step="`confcom quote inspect` says what the bytes are.",
    ),
    _symptom(
        "worked yesterday, fails today",
        who=Who.VERIFIER,
        meaning="The same quote, or the same platform, got another verdict without having changed.",
        causes=(
            "Intel published collateral with a new tcbEvaluationDataNumber, which names higher levels.",
            "A part of the collateral passed its end.",
            "`early` collateral is weeks to months ahead of `standard`.",
        ),
        next_step="Compare the tcbEvaluationDataNumber and the dates of both verdicts; then update the platform.",
    ),
)
