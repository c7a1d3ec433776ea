"""Every code of the field in one table: what it means, why it appears, and whose move it is. Standard library only."""

from confcom.codes.aesm_number import AESM
from confcom.codes.aesm_service import AESM_CODES, aesm
from confcom.codes.entry import Code, Family, Who
from confcom.codes.translation import AESMCall, ClientView, aesm_from_quote3, client_view, quote3_from_sgx_status
from confcom.codes.verdicts import TCBStatus, advisory, tcb_status

__all__ = [
    "AESM",
    "AESM_CODES",
    "AESMCall",
    "ClientView",
    "Code",
    "Family",
    "TCBStatus",
    "Who",
    "advisory",
    "aesm",
    "aesm_from_quote3",
    "client_view",
    "quote3_from_sgx_status",
    "tcb_status",
]
