"""Intel's in-process quoting libraries through ctypes: libsgx_pce_logic and libsgx_qe3_logic.

Never libsgx_dcap_ql, which cannot tell the key's id nor fill qe_report_info, and which asks an AESM service where
`SGX_AESM_ADDR` is set. The libraries hold one lock over a whole call: parallel quotes need several processes.
Every call raises `QuotingError`. Facts: `sgx_ql_core_wrapper.h`, `sgx_pce.h`, `sgx_quote_provider.h`.
"""

import ctypes
import logging
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confcom.codes import AESM
from confcom.errors import QuotingError
from confcom.quoting.dcap_status import failure
from confcom.quoting.dcap_structures import (
    PubKeyID,
    SgxQlAttKeyID,
    SgxQlQEReportInfo,
    SgxReport,
    SgxTargetInfo,
)
from confcom.runtime.logs import event
from confcom.sgx import PUB_KEY_ID_SIZE, AttestationKeyID, QEReportInfo, Quote, Report

logger = logging.getLogger(__name__)

PCE_LOGIC = "libsgx_pce_logic.so.1"
QE_LOGIC = "libsgx_qe3_logic.so"
QUOTE_PROVIDERS = ("libdcap_quoteprov.so.1", "libdcap_quoteprov.so")
_PACKAGES = {PCE_LOGIC: "libsgx-pce-logic", QE_LOGIC: "libsgx-qe3-logic"}

# Enclaves are loaded once and stay (SGX_QL_PERSISTENT): a worker lives for its quotes.
POLICY_PERSISTENT = 0
# SGX_QL_LOG_ERROR; the other level logs each request to the certificate service, with this machine's ids in it.
LOG_ERROR = 0
# The library takes certification data of 500 to 12,294 bytes, so no quote of its is larger than 14 KB. Twice that.
MAX_QUOTE_BYTES = 32 * 1024

_LogCallback = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p)
_Status = ctypes.c_uint32
_PATH = (ctypes.c_char_p,)
_KEY = ctypes.POINTER(SgxQlAttKeyID)
_REQUIRED: dict[str, tuple[Any, ...]] = {
    "sgx_ql_init_quote": (
        _KEY,
        ctypes.POINTER(SgxTargetInfo),
        ctypes.c_bool,
        ctypes.POINTER(ctypes.c_size_t),
        ctypes.POINTER(PubKeyID),
    ),
    "sgx_ql_get_quote_size": (_KEY, ctypes.POINTER(ctypes.c_uint32)),
    "sgx_ql_get_quote": (
        ctypes.POINTER(SgxReport),
        _KEY,
        ctypes.POINTER(SgxQlQEReportInfo),
        ctypes.c_void_p,
        ctypes.c_uint32,
    ),
}
# Long runs of hex in the libraries' log are ids of this machine.
_IDS = re.compile(r"\b([0-9a-fA-F]{8})[0-9a-fA-F]{24,}\b")


@dataclass(frozen=True, kw_only=True, slots=True)
class LibraryPaths:
    """Which enclaves and which quote provider the libraries use; empty: those that they find by themselves."""

    qe: str = ""
    pce: str = ""
    quote_provider: str = ""


class QuotingLibrary:
    """The two libraries, loaded and set up; used by one thread.

    Attributes:
        quote_provider: file name of the quote provider that is held, or None where there is none.
    """

    def __init__(self, paths: LibraryPaths) -> None:
        self._said: str | None = None
        self._pce, self._qe = load()
        self._functions = {name: _function(self._qe, QE_LOGIC, name, types) for name, types in _REQUIRED.items()}
        self._set_path(self._pce, PCE_LOGIC, "sgx_set_pce_path", paths.pce)
        self._set_path(self._qe, QE_LOGIC, "sgx_set_qe3_path", paths.qe)
        self._set_path(self._qe, QE_LOGIC, "sgx_set_qpl_path", paths.quote_provider)
        self._log_callback = _LogCallback(self._hear)
        self.quote_provider: str | None = None
        # The library opens and closes the provider around every call. One handle of our own keeps it loaded, and with
        # it the certificates in its memory.
        self._provider = self._hold_provider(paths.quote_provider)
        self._listen(self._qe, "sgx_ql_set_trace_callback")
        self._use_policy()

    # --- calls --------------------------------------------------------------------------------------------------------

    def init_quote(self, att_key_id: bytes, *, refresh: bool) -> tuple[bytes, bytes]:
        """Makes and certifies the key: the QE's TARGETINFO (512 bytes) and the key's id (32 bytes)."""
        key = _base(att_key_id)
        target, pub_key_id, size = SgxTargetInfo(), PubKeyID(), ctypes.c_size_t(0)
        # Without a buffer the library says how large it must be; it does nothing else then.
        for buffer in (None, ctypes.byref(pub_key_id)):
            self._call(
                "sgx_ql_init_quote", ctypes.byref(key), ctypes.byref(target), refresh, ctypes.byref(size), buffer
            )
            if size.value != PUB_KEY_ID_SIZE:
                raise QuotingError(
                    AESM.UNEXPECTED,
                    f"sgx_ql_init_quote: says that the key's id has {size.value} bytes, but it has {PUB_KEY_ID_SIZE}: "
                    "this library is not one that the helper knows",
                )
        return bytes(target), bytes(pub_key_id)

    def get_quote_size(self, att_key_id: bytes) -> int:
        """Bytes of a quote without padding."""
        size = ctypes.c_uint32(0)
        self._call("sgx_ql_get_quote_size", ctypes.byref(_base(att_key_id)), ctypes.byref(size))
        if not Quote.MIN_SIZE <= size.value <= MAX_QUOTE_BYTES:
            raise QuotingError(
                AESM.UNEXPECTED,
                f"sgx_ql_get_quote_size: says {size.value} bytes; a quote has {Quote.MIN_SIZE} to {MAX_QUOTE_BYTES}",
            )
        return size.value

    def get_quote(
        self, report: bytes, att_key_id: bytes, qe_report_info: bytes | None, room: int
    ) -> tuple[bytes, bytes | None]:
        """A buffer of `room` bytes with the quote at its start, and the filled qe_report_info.

        Takes a REPORT of 432 bytes, a key id of at least 158, and qe_report_info of 960 bytes or None.
        """
        if len(report) != Report.SIZE:
            raise QuotingError(AESM.PARAMETER, f"report: needs {Report.SIZE} bytes, not {len(report)}")
        if qe_report_info is not None and len(qe_report_info) != QEReportInfo.SIZE:
            raise QuotingError(
                AESM.PARAMETER, f"qe_report_info: needs {QEReportInfo.SIZE} bytes, not {len(qe_report_info)}"
            )
        info = None if qe_report_info is None else SgxQlQEReportInfo.from_buffer_copy(qe_report_info)
        quote = (ctypes.c_uint8 * room)()
        self._call(
            "sgx_ql_get_quote",
            ctypes.byref(SgxReport.from_buffer_copy(report)),
            ctypes.byref(_base(att_key_id)),
            None if info is None else ctypes.byref(info),
            ctypes.byref(quote),
            room,
        )
        return bytes(quote), None if info is None else bytes(info)

    def _call(self, name: str, *arguments: Any) -> None:
        self._said = None
        if status := self._functions[name](*arguments):
            raise failure(name, status, self._said)

    # --- setting up ---------------------------------------------------------------------------------------------------

    def _set_path(self, library: ctypes.CDLL, file: str, name: str, path: str) -> None:
        if not path:
            return
        if not Path(path).is_file():
            raise QuotingError(AESM.FILE_ACCESS, f"{path}: there is no such file, which {name} was to be given")
        if status := _function(library, file, name, _PATH)(os.fsencode(path)):
            raise QuotingError(AESM.FILE_ACCESS, f"{path}: {name} refused it with 0x{status:04X}")

    def _hold_provider(self, path: str) -> ctypes.CDLL | None:
        problems = []
        for name in (path,) if path else QUOTE_PROVIDERS:
            try:
                provider = ctypes.CDLL(name)
            except OSError as error:
                problems.append(str(error))
                continue
            self.quote_provider = Path(name).name
            self._listen(provider, "sgx_ql_set_logging_callback")
            event(logger, logging.INFO, "quote provider loaded", library=name)
            return provider
        if path:
            raise QuotingError(
                AESM.PLATFORM_LIB_UNAVAILABLE,
                f"the quote provider library cannot be loaded ({'; '.join(problems)}): check "
                "--quote-provider-library and what that file itself needs",
            )
        event(
            logger, logging.WARNING, "no quote provider library: quotes carry no certificates", problem=problems[0],
            next_step="install libsgx-dcap-default-qpl or az-dcap-client, or name one with --quote-provider-library",
        )  # fmt: skip
        return None

    def _listen(self, library: ctypes.CDLL, name: str) -> None:
        """Takes a library's log, where it offers it: there stands the cause behind its number."""
        function = _optional(library, name, (_LogCallback, ctypes.c_int))
        if function is not None:
            function(self._log_callback, LOG_ERROR)

    def _hear(self, _level: int, message: bytes | None) -> None:
        text = _IDS.sub(r"\1...", (message or b"").decode(errors="replace").strip())
        if text:
            self._said = text
            event(logger, logging.WARNING, "quoting library", cause="quoting-library", said=text[:1000])

    def _use_policy(self) -> None:
        set_policy = _optional(self._qe, "sgx_ql_set_enclave_load_policy", (ctypes.c_int,))
        if set_policy is not None and (status := set_policy(POLICY_PERSISTENT)):
            raise failure("sgx_ql_set_enclave_load_policy", status, self._said)


def load() -> tuple[ctypes.CDLL, ctypes.CDLL]:
    """The PCE's and the QE's library, in the order and the way that the second finds the first.

    Raises:
        QuotingError: 30, one of them cannot be loaded.
    """
    # Its constructor reads the variable: a helper that is told to ask a helper would ask itself.
    os.environ.pop("SGX_AESM_ADDR", None)
    # The QE's library does not name the PCE's as one that it needs, but calls it: its symbols must be global.
    return _open(PCE_LOGIC, ctypes.RTLD_GLOBAL), _open(QE_LOGIC, ctypes.DEFAULT_MODE)


def _open(name: str, mode: int) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(name, mode=mode)
    except OSError as error:
        raise QuotingError(
            AESM.SERVICE_UNAVAILABLE,
            f"the quoting library {name} cannot be loaded ({error}): install {_PACKAGES[name]} and what it needs",
        ) from error


def _function(library: ctypes.CDLL, file: str, name: str, types: tuple[Any, ...]) -> Callable[..., int]:
    function = _optional(library, name, types)
    if function is None:
        raise QuotingError(
            AESM.INTERFACE_UNAVAILABLE,
            f"{file} has no function {name}: it is older than this helper can use, or not of Intel's DCAP; update "
            f"{_PACKAGES[file]}",
        )
    return function


def _optional(library: ctypes.CDLL, name: str, types: tuple[Any, ...]) -> Callable[..., int] | None:
    try:
        function = getattr(library, name)
    except AttributeError:
        return None
    function.argtypes = types
    function.restype = _Status
    return function  # type: ignore[no-any-return]


def _base(att_key_id: bytes) -> SgxQlAttKeyID:
    if len(att_key_id) < AttestationKeyID.BASE_SIZE:
        raise QuotingError(
            AESM.PARAMETER,
            f"attestation key id: needs {AttestationKeyID.BASE_SIZE} bytes or more, not {len(att_key_id)}",
        )
    return SgxQlAttKeyID.from_buffer_copy(att_key_id[: AttestationKeyID.BASE_SIZE])


if __name__ == "__main__":
    # `dcap_presence` asks in this way whether the libraries are there.
    try:
        load()
    except QuotingError as error:
        sys.exit(error.cause)
