"""The verdicts of Intel's TCB info and QE identity, and the advisories that they list."""

import enum
from functools import partial

from confcom.codes.entry import Code, Family, Who, entry


class TCBStatus(enum.StrEnum):
    """tcbStatus as TCB info and QE identity spell it (Intel PCS API v4)."""

    UP_TO_DATE = "UpToDate"
    SW_HARDENING_NEEDED = "SWHardeningNeeded"
    CONFIGURATION_NEEDED = "ConfigurationNeeded"
    CONFIGURATION_AND_SW_HARDENING_NEEDED = "ConfigurationAndSWHardeningNeeded"
    OUT_OF_DATE = "OutOfDate"
    OUT_OF_DATE_CONFIGURATION_NEEDED = "OutOfDateConfigurationNeeded"
    REVOKED = "Revoked"


_status = partial(entry, Family.TCB_STATUS, None)

_BIOS_SETTING = "A BIOS setting keeps a weakness open, usually hyper-threading or the integrated graphics."
_CHANGE_BIOS = (
    "Change the BIOS setting, or decide by the advisories that you accept the status; on AKS the host's owner, Azure, "
    "decides about the BIOS."
)
_BEST_POSSIBLE = (
    "For both SGX node families of AKS (DCsv2: FMSPC 00906ED50000, DCsv3: 00606A000000) and several others it is the "
    "best verdict there is: Intel lists no UpToDate level for them."
)
_BEHIND = (
    "Microcode or BIOS of the node is behind the level that Intel asks for.",
    "The QE that made the quote is older than Intel's QE identity asks for.",
    "The list moved on: a new tcbEvaluationDataNumber, which `early` collateral carries weeks before `standard`.",
)
_UPDATE = (
    "Look which of the 16 components are behind, and whether BIOS or OS/VMM sets them (`category`); update BIOS, "
    "microcode or the quoting enclaves. On AKS update the node image and wait for Azure's hosts; judge the risk by the "
    "advisories."
)

TCB_STATUS_CODES: tuple[Code, ...] = (
    _status(
        TCBStatus.UP_TO_DATE,
        who=Who.NOBODY,
        meaning="Everything is at the newest level that Intel lists.",
        causes=("Nothing is behind.",),
        next_step="Nothing to do.",
    ),
    _status(
        TCBStatus.SW_HARDENING_NEEDED,
        who=Who.YOU,
        meaning="The platform is at the newest level, but the enclave's own code must be hardened.",
        causes=(_BEST_POSSIBLE,),
        next_step=(
            "Build the enclave with the LVI mitigations and read the advisories listed; the default policy accepts it."
        ),
    ),
    _status(
        TCBStatus.CONFIGURATION_NEEDED,
        who=Who.NODE_OWNER,
        meaning="The platform is at the newest level, but its configuration leaves a weakness open.",
        causes=(_BIOS_SETTING,),
        next_step=_CHANGE_BIOS,
    ),
    _status(
        TCBStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED,
        who=Who.NODE_OWNER,
        meaning=(
            "The platform is at the newest level, but its configuration and the enclave's code leave a weakness open."
        ),
        causes=(_BIOS_SETTING,),
        next_step=f"Build the enclave with the LVI mitigations. {_CHANGE_BIOS}",
    ),
    _status(
        TCBStatus.OUT_OF_DATE,
        who=Who.NODE_OWNER,
        meaning="Part of the platform, or the QE, is behind the level that Intel asks for.",
        causes=_BEHIND,
        next_step=_UPDATE,
    ),
    _status(
        TCBStatus.OUT_OF_DATE_CONFIGURATION_NEEDED,
        who=Who.NODE_OWNER,
        meaning="Part of the platform, or the QE, is behind, and the configuration leaves a weakness open too.",
        causes=(*_BEHIND, _BIOS_SETTING),
        next_step=_UPDATE,
    ),
    _status(
        TCBStatus.REVOKED,
        who=Who.NODE_OWNER,
        meaning="Keys of this level are known to have leaked: nothing that the machine signs can be trusted.",
        causes=("Intel revoked the TCB level of the platform or of the QE.",),
        next_step="Do not trust the quote, and do not override this. Update BIOS, microcode and quoting enclaves.",
    ),
)

_BY_STATUS = {code.name: code for code in TCB_STATUS_CODES}


def tcb_status(status: TCBStatus) -> Code:
    """The entry of a TCB status."""
    return _BY_STATUS[status.value]


ADVISORY_CODE = entry(
    Family.ADVISORY,
    None,
    "INTEL-SA-nnnnn",
    who=Who.NODE_OWNER,
    meaning="An advisory of Intel's: a published weakness that this platform's level does not close, or not by itself.",
    causes=(
        "TCB info and QE identity list with each level the advisories that still concern it.",
        "With SWHardeningNeeded the enclave's own code is meant to meet it, with ConfigurationNeeded a BIOS setting.",
    ),
    next_step="Read it in Intel's Product Security Center Advisories and decide whether it touches your enclave.",
)


def advisory(number: int) -> Code:
    """The entry of the advisory INTEL-SA-`number`; what an advisory says stands at Intel and nowhere else."""
    name = f"INTEL-SA-{number:05d}"
    address = f"https://www.intel.com/content/www/us/en/security-center/advisory/{name.lower()}.html"
    return entry(
        Family.ADVISORY,
        None,
        name,
        who=ADVISORY_CODE.who,
        meaning=ADVISORY_CODE.meaning,
        causes=ADVISORY_CODE.causes,
        next_step=f"Read {address} and decide whether it touches your enclave.",
    )
