"""Causes and next steps that several families share, so that they are said in one way."""

TRY_URL = (
    "Try the URL of the certificate service from the same network (the helper's pod): name resolution, proxy, port "
    "8081, TLS. An empty log at the service means that nothing arrived."
)
USE_V4 = "Set API version v4 everywhere; a PCCS must be of DCAP 1.27 or newer: older ones call v3 even when set to v4."
TRUST_PCCS = "Install the CA of the PCCS in the image or on the node; do not set use_secure_cert to false."
ON_AKS = "On AKS: Azure's THIM does not know the node, or the pod cannot reach 169.254.169.254."
REGISTER = (
    "Register the machine (PCKIDRetrievalTool; mpa_registration on machines of several sockets), then ask again. On "
    "AKS registration is Azure's business: check that a network policy or proxy does not keep the pod from "
    "169.254.169.254, then ask Azure support."
)
NO_CERTIFICATE = ("Its microcode is newer than Intel's list, or its keys are revoked.",)
REFRESH = "Refresh the certificate service; if it stays, compare the machine's microcode with Intel's release notes."

REMAKE_REPORT = "Ask the same service for its target info, make a new report for it, and ask for the quote at once."
ASK_LATER = "Ask again after a short, random wait; if it stays, ask for a quote slot or for more workers."

BIOS_SETTING = "A BIOS setting keeps a weakness open, usually hyper-threading or the integrated graphics."
CHANGE_BIOS = (
    "Change the BIOS setting, or decide by the advisories that you accept the status; on AKS the host's owner, Azure, "
    "decides about the BIOS."
)
BEST_POSSIBLE = (
    "For both SGX node families of AKS (DCsv2: FMSPC 00906ED50000, DCsv3: 00606A000000) and several others it is the "
    "best verdict there is: Intel lists no UpToDate level for them."
)
HARDEN = "Build the enclave with the LVI mitigations and read the advisories listed; the default policy accepts it."
BEHIND = (
    "Microcode or BIOS of the node is behind the level that Intel asks for.",
    "The list moved on: a new tcbEvaluationDataNumber, which `early` collateral carries weeks before `standard`.",
)
OLD_QE = "The QE that made the quote is older than Intel's QE identity asks for."
UPDATE_PLATFORM = (
    "Look which of the 16 components are behind, and whether BIOS or OS/VMM sets them (`category`); update BIOS, "
    "microcode or the quoting enclaves. On AKS update the node image and wait for Azure's hosts; judge the risk by the "
    "advisories."
)
TRUST_NOTHING = "Do not trust quotes of this machine, and do not override this."
GET_ANOTHER = "Do not trust this quote; get a new one and compare how it travels."

TD_ONLY = ("It concerns TDX quotes; an SGX quote never gets it.",)
CHECK_FOR_SGX = "Check that the quote is an SGX quote: this add-on verifies no TDX quotes."
