"""Verdicts on a platform: TCB statuses, the results 0xA0nn of Intel's verifier (`sgx_qve_header.h`), advisories."""

import enum
from functools import partial

from confcom.codes import sentences as say
from confcom.codes.entry import Code, Family, Who, entry


class TCBStatus(enum.StrEnum):
    """tcbStatus as TCB info and QE identity spell it (Intel PCS API v4), from the best to the worst."""

    UP_TO_DATE = "UpToDate"
    SW_HARDENING_NEEDED = "SWHardeningNeeded"
    CONFIGURATION_NEEDED = "ConfigurationNeeded"
    CONFIGURATION_AND_SW_HARDENING_NEEDED = "ConfigurationAndSWHardeningNeeded"
    OUT_OF_DATE = "OutOfDate"
    OUT_OF_DATE_CONFIGURATION_NEEDED = "OutOfDateConfigurationNeeded"
    REVOKED = "Revoked"


_result = partial(entry, Family.VERIFICATION)
_status = partial(entry, Family.TCB_STATUS, None)

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
        causes=(say.BEST_POSSIBLE,),
        next_step=say.HARDEN,
    ),
    _status(
        TCBStatus.CONFIGURATION_NEEDED,
        who=Who.NODE_OWNER,
        meaning="The platform is at the newest level, but its configuration leaves a weakness open.",
        causes=(say.BIOS_SETTING,),
        next_step=say.CHANGE_BIOS,
    ),
    _status(
        TCBStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED,
        who=Who.NODE_OWNER,
        meaning=(
            "The platform is at the newest level, but its configuration and the enclave's code leave a weakness open."
        ),
        causes=(say.BIOS_SETTING,),
        next_step=f"Build the enclave with the LVI mitigations. {say.CHANGE_BIOS}",
    ),
    _status(
        TCBStatus.OUT_OF_DATE,
        who=Who.NODE_OWNER,
        meaning="Part of the platform, or the QE, is behind the level that Intel asks for.",
        causes=(*say.BEHIND, say.OLD_QE),
        next_step=say.UPDATE_PLATFORM,
    ),
    _status(
        TCBStatus.OUT_OF_DATE_CONFIGURATION_NEEDED,
        who=Who.NODE_OWNER,
        meaning="Part of the platform, or the QE, is behind, and the configuration leaves a weakness open too.",
        causes=(*say.BEHIND, say.OLD_QE, say.BIOS_SETTING),
        next_step=say.UPDATE_PLATFORM,
    ),
    _status(
        TCBStatus.REVOKED,
        who=Who.NODE_OWNER,
        meaning="Keys of this level are known to have leaked: nothing that the machine signs can be trusted.",
        causes=("Intel revoked the TCB level of the platform or of the QE.",),
        next_step="Do not trust the quote, and do not override this. Update BIOS, microcode and quoting enclaves.",
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
        causes=(say.BIOS_SETTING,),
        next_step=say.CHANGE_BIOS,
    ),
    _result(
        0xA002,
        "SGX_QL_QV_RESULT_OUT_OF_DATE",
        who=Who.NODE_OWNER,
        meaning="The quote is genuine, but the platform's TCB or the QE is out of date.",
        causes=(*say.BEHIND, say.OLD_QE),
        next_step=say.UPDATE_PLATFORM,
    ),
    _result(
        0xA003,
        "SGX_QL_QV_RESULT_OUT_OF_DATE_CONFIG_NEEDED",
        who=Who.NODE_OWNER,
        meaning="The quote is genuine, but the TCB is out of date and the configuration leaves a weakness open.",
        causes=(*say.BEHIND, say.BIOS_SETTING),
        next_step=say.UPDATE_PLATFORM,
    ),
    _result(
        0xA004,
        "SGX_QL_QV_RESULT_INVALID_SIGNATURE",
        who=Who.YOU,
        meaning="The quote's signature does not hold.",
        causes=("The quote was changed on its way, cut, or padded in the middle.",),
        next_step=say.GET_ANOTHER,
    ),
    _result(
        0xA005,
        "SGX_QL_QV_RESULT_REVOKED",
        who=Who.NODE_OWNER,
        meaning="The platform's key or TCB level is revoked: such keys are known to have leaked.",
        causes=("The PCK certificate or the TCB level stands as revoked in Intel's collateral.",),
        next_step=say.TRUST_NOTHING,
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
        causes=(say.BEST_POSSIBLE,),
        next_step=say.HARDEN,
    ),
    _result(
        0xA008,
        "SGX_QL_QV_RESULT_CONFIG_AND_SW_HARDENING_NEEDED",
        who=Who.NODE_OWNER,
        meaning=(
            "The quote is genuine and the TCB up to date, but configuration and enclave code leave a weakness open."
        ),
        causes=(say.BIOS_SETTING, say.BEST_POSSIBLE),
        next_step=f"{say.CHANGE_BIOS} {say.HARDEN}",
    ),
    _result(
        0xA009,
        "SGX_QL_QV_RESULT_TD_RELAUNCH_ADVISED",
        who=Who.VERIFIER,
        meaning="The trust domain should be started anew on the updated TDX module.",
        causes=say.TD_ONLY,
        next_step=say.CHECK_FOR_SGX,
    ),
    _result(
        0xA00A,
        "SGX_QL_QV_RESULT_TD_RELAUNCH_ADVISED_CONFIG_NEEDED",
        who=Who.VERIFIER,
        meaning="The trust domain should be started anew, and the configuration leaves a weakness open.",
        causes=say.TD_ONLY,
        next_step=say.CHECK_FOR_SGX,
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
