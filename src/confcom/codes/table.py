"""The whole table, and the entry behind a number of each family."""

from confcom.codes.aesm_service import AESM_CODES
from confcom.codes.certificate_service import HTTP_CODES, QCNL_CODES
from confcom.codes.entry import Code, Family, Who
from confcom.codes.open_enclave import OPEN_ENCLAVE_CODES
from confcom.codes.quote_generation import GENERATION_CODES
from confcom.codes.quote_verification import VERIFICATION_ERROR_CODES
from confcom.codes.sgx_status import SGX_STATUS_CODES
from confcom.codes.symptoms import SYMPTOM_CODES
from confcom.codes.verdicts import ADVISORY_CODE, RESULT_CODES, TCB_STATUS_CODES


def _by_number(code: Code) -> int:
    return code.number or 0


# Families in the order in which a reader meets them, each by number where it has numbers.
CODES: dict[Family, tuple[Code, ...]] = {
    Family.TCB_STATUS: TCB_STATUS_CODES,
    Family.AESM: AESM_CODES,
    Family.QUOTE3: tuple(sorted(GENERATION_CODES + VERIFICATION_ERROR_CODES, key=_by_number)),
    Family.SGX_STATUS: SGX_STATUS_CODES,
    Family.VERIFICATION: RESULT_CODES,
    Family.QCNL: QCNL_CODES,
    Family.HTTP: HTTP_CODES,
    Family.ADVISORY: (ADVISORY_CODE,),
    Family.OPEN_ENCLAVE: OPEN_ENCLAVE_CODES,
    Family.SYMPTOM: SYMPTOM_CODES,
}

ALL_CODES: tuple[Code, ...] = tuple(code for codes in CODES.values() for code in codes)

_SYMPTOMS = {code.name: code for code in SYMPTOM_CODES}
_BY_NUMBER = {(code.family, code.number): code for code in ALL_CODES if code.number is not None}


def lookup(family: Family, number: int) -> Code | None:
    """The entry of `number` in `family`, or None."""
    return _BY_NUMBER.get((family, number))


def symptom(name: str) -> Code:
    """The entry of a symptom, by its name.

    Raises:
        KeyError: there is none of that name.
    """
    return _SYMPTOMS[name]


def quote3(number: int) -> Code:
    """The entry of a quote3_error_t; a number without a known name gets an entry that says so."""
    return lookup(Family.QUOTE3, number) or Code(
        family=Family.QUOTE3,
        number=number,
        name=f"unknown quote library code 0x{number:04X}",
        meaning="This number has no name in the table; clients of an AESM service see it as an unexpected error.",
        causes=("The quote library is newer than this table, or the number is of another family.",),
        next_step="Look for it in sgx_ql_lib_common.h of the installed DCAP release, and read the library's log.",
        who=Who.HELPER_OPERATOR,
    )
