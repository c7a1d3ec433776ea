"""What every code of the field has in common: its family, its number and name, what it means, and whose move it is."""

import enum
from dataclasses import dataclass


class Family(enum.StrEnum):
    """Where a code comes from; the same number means different things in different families."""

    AESM = "aesm"
    SGX_STATUS = "sgx_status"
    QUOTE3 = "quote3"
    VERIFICATION = "verification"
    QCNL = "qcnl"
    HTTP = "http"
    TCB_STATUS = "tcb_status"
    ADVISORY = "advisory"
    OPEN_ENCLAVE = "open_enclave"
    SYMPTOM = "symptom"

    @property
    def heading(self) -> str:
        """The family in words, for headings."""
        return _TITLES[self]


_TITLES = {
    Family.AESM: "AESM error code",
    Family.SGX_STATUS: "SGX status (sgx_status_t)",
    Family.QUOTE3: "quote library error (SGX_QL, quote3_error_t)",
    Family.VERIFICATION: "verification result (sgx_ql_qv_result_t)",
    Family.QCNL: "network layer of the quote provider library (SGX_QCNL)",
    Family.HTTP: "HTTP status of a certificate service (Intel PCS, PCCS, THIM)",
    Family.TCB_STATUS: "TCB status",
    Family.ADVISORY: "Intel security advisory",
    Family.OPEN_ENCLAVE: "Open Enclave result (oe_result_t)",
    Family.SYMPTOM: "symptom without a code",
}


class Who(enum.StrEnum):
    """Whose move it is."""

    YOU = "you, who run the application"
    VERIFIER = "whoever verifies the quote"
    HELPER_OPERATOR = "the operator of the quote helper"
    CERTIFICATE_SERVICE = "whoever runs the certificate service"
    NODE_OWNER = "the owner of the node"
    INTEL = "Intel"
    NOBODY = "nobody"


@dataclass(frozen=True, kw_only=True, slots=True)
class Code:
    """One code of the field.

    `number` is the value on the wire or in the C enumeration, None where there is only a name. `name` is spelled as in
    the header or document that defines it. `meaning`, each of `causes` and `next_step` are sentences for a person.
    """

    family: Family
    number: int | None
    name: str
    meaning: str
    causes: tuple[str, ...]
    next_step: str
    who: Who

    @property
    def label(self) -> str:
        """The number as people write it: `AESM 44`, `0xE011`, `HTTP 461`; the name where there is none."""
        if self.number is None:
            return self.name
        if self.family is Family.AESM:
            return f"AESM {self.number}"
        if self.family is Family.HTTP:
            return f"HTTP {self.number}"
        return f"0x{self.number:04X}"

    @property
    def sentence(self) -> str:
        """Label, name, meaning and next step in one line, for errors and logs."""
        # An unknown code says its number in its name.
        named = self.name if self.number is None or self.name.startswith("unknown ") else f"{self.label} {self.name}"
        return f"{named}: {self.meaning} {self.next_step}"


def entry(
    family: Family, number: int | None, name: str, *, who: Who, meaning: str, causes: tuple[str, ...], next_step: str
) -> Code:
    """A row of one of the tables: who acts comes first, because that is what the reader looks for."""
    return Code(
        family=family,
        number=None if number is None else int(number),
        name=str(name),
        meaning=meaning,
        causes=causes,
        next_step=next_step,
        who=who,
    )
