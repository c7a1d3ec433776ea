"""The backend of hardware: quotes of Intel's QE and PCE, and the self-check of a helper without collateral."""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from confcom.codes import AESM
from confcom.errors import PlatformError, QuotingError
from confcom.quoting.backend import KeyReport
from confcom.quoting.dcap_library import LibraryPaths, QuotingLibrary
from confcom.quoting.dcap_presence import missing_device
from confcom.quoting.dcap_probe import PROBE_ENCLAVE, Probe
from confcom.quoting.outcome import CheckOutcome
from confcom.runtime.logs import event
from confcom.sgx import DEFAULT_KEY_ID, Quote, QuoteHeader, ReportBody
from confcom.sgx.quote import CERT_TYPE_PCK_CHAIN

logger = logging.getLogger(__name__)

# The QE pads nothing and takes any buffer that is large enough; Gramine has always passed it this much.
QUOTE_ROOM_BYTES = 8192
# A key is made and certified in well under a second. Intel's quote provider tries an unreachable service for a minute,
# by default, and says nothing meanwhile.
SLOW_SECONDS = 10.0
_KEY_ID = DEFAULT_KEY_ID.to_bytes()
# Failures behind which a device may stand that is missing or may not be opened. The last is how Intel's service shows
# it; our clients' keys are checked before they come here.
_ASK_DEVICES = frozenset((
    AESM.NO_DEVICE, AESM.SERVICE_UNAVAILABLE, AESM.ENCLAVE_LOAD, AESM.UNSUPPORTED_ATT_KEY_ID,
))  # fmt: skip


class DcapBackend:
    """One QE and PCE of this machine."""

    name = "dcap"

    def __init__(
        self, paths: LibraryPaths, *, dev_root: Path = Path("/dev"), probe_enclave: Path | None = None
    ) -> None:
        self._dev_root = dev_root
        self._library = QuotingLibrary(paths)
        # The key as it is, and as clients know it: the front keeps what it was told and answers with it.
        self._key = self._told = KeyReport(target_info=b"", pub_key_id=b"", quote_size=0)
        self._probe = Probe(probe_enclave or Path(PROBE_ENCLAVE))
        self._last_quote: bytes | None = None
        self._certified = True

    def init_quote(self, *, refresh: bool) -> KeyReport:
        """Loads QE and PCE, makes the attestation key and has it certified; with `refresh` once more."""
        self._told = self._certify(refresh=refresh)
        return self._told

    def _certify(self, *, refresh: bool) -> KeyReport:
        try:
            with told_if_slow("sgx_ql_init_quote"):
                target_info, pub_key_id = self._library.init_quote(_KEY_ID, refresh=refresh)
                size = self.get_quote_size()
        except QuotingError as error:
            raise self._with_device(error) from error
        self._key = KeyReport(target_info=target_info, pub_key_id=pub_key_id, quote_size=size)
        return self._key

    def get_quote_size(self) -> int:
        """Bytes of a quote without padding, asked from the library."""
        return self._library.get_quote_size(_KEY_ID)

    def get_quote(self, report: bytes, att_key_id: bytes, qe_report_info: bytes | None) -> tuple[bytes, bytes | None]:
        """The quote and the filled qe_report_info; the quote is kept for the next self-check.

        A key whose certificate is no longer the platform's (42) is certified anew at once, since each worker has its
        own. The client hears of it only where what it was told has changed.
        """
        quote, info = self._certified_quote(report, att_key_id, qe_report_info)
        told = self._told
        if len(quote) > told.quote_size:
            # Clients made room for the size that they were told.
            self._certify(refresh=False)
            problem = f"the quote has {len(quote)} bytes, but sgx_ql_get_quote_size said {told.quote_size}"
        elif self._key != told:
            problem = "the key is another one than clients were told of, or the size of its quotes is"
        else:
            self._last_quote = quote
            return quote, info
        # The code has clients ask again, and the front forget what it has told them.
        self._told = self._key
        raise QuotingError(AESM.ATT_KEY_NOT_INITIALIZED, f"{problem}: the platform's certificates have changed since")

    def _certified_quote(self, report: bytes, att_key_id: bytes, info: bytes | None) -> tuple[bytes, bytes | None]:
        try:
            return self._quote(report, att_key_id, info)
        except QuotingError as error:
            if error.code != AESM.ATT_KEY_NOT_INITIALIZED:
                raise
            event(logger, logging.INFO, "key is certified anew", cause="certified-anew", problem=error.cause)
        self._certify(refresh=False)
        return self._quote(report, att_key_id, info)

    def _quote(self, report: bytes, att_key_id: bytes, info: bytes | None) -> tuple[bytes, bytes | None]:
        room = max(self._key.quote_size, QUOTE_ROOM_BYTES)
        buffer, info = self._library.get_quote(report, att_key_id, info, room)
        quote = trim(buffer, report)
        self._note_certification(quote)
        return quote, info

    def _note_certification(self, quote: bytes) -> None:
        certified = certification_type(quote) == CERT_TYPE_PCK_CHAIN
        if self._certified and not certified:
            event(
                logger, logging.WARNING, "quotes carry no certificates", cause="no-certificates",
                certification_data_type=certification_type(quote),
                next_step="verifiers cannot use them as they are; install a quote provider library",
            )  # fmt: skip
        self._certified = certified

    def _with_device(self, error: QuotingError) -> QuotingError:
        """The missing device behind a failure, where there is one."""
        if error.code not in _ASK_DEVICES or (lack := missing_device(self._dev_root)) is None:
            return error
        return QuotingError(lack.code, f"{lack.sentence}. {error.cause}")

    # --- the self-check -----------------------------------------------------------------------------------------------

    def check(self, _payload: bytes) -> bytes:
        """The outcome of a self-check, as JSON."""
        return msgspec.json.encode(self._check())

    def _check(self) -> CheckOutcome:
        # The QE and the certificate service answer, or this raises.
        self.get_quote_size()
        quote, no_probe = self._quote_to_check()
        if quote is None:
            message = f"{no_probe}, and no quote was served since the last check: the QE answers, but none was verified"
            return CheckOutcome(quoting=None, verified=False, reason="NoProbe", message=message)
        from confcom.quoting.dcap_check import check_quote  # noqa: PLC0415 - certificates, for the first check

        return msgspec.structs.replace(check_quote(quote, datetime.now(UTC)), quote=quote)

    def _quote_to_check(self) -> tuple[bytes | None, str]:
        """A quote of the probe enclave, else the last one served; and why it is not the former."""
        try:
            return self._probe_quote(), ""
        except PlatformError as error:
            # Each quote is judged once: a bad one must not be counted as several.
            quote, self._last_quote = self._last_quote, None
            return quote, str(error)

    def _probe_quote(self) -> bytes:
        try:
            return self._probe_quoted()
        except QuotingError as error:
            if error.code != AESM.INVALID_REPORT:
                raise
        # A machine that slept or was moved has other report keys.
        self._probe.forget()
        return self._probe_quoted()

    def _probe_quoted(self) -> bytes:
        return self._certified_quote(self._probe.report(self._key.target_info), _KEY_ID, None)[0]


@contextlib.contextmanager
def told_if_slow(call: str, seconds: float = SLOW_SECONDS) -> Iterator[None]:
    """Logs what a call may be waiting for that takes longer than `seconds`; it cannot be broken off."""
    start = time.monotonic()

    def tell() -> None:
        event(
            logger, logging.WARNING, "the quoting library takes long", cause="slow", call=call,
            seconds=round(time.monotonic() - start, 1),
            next_step="it may be waiting for the certificate service: look at its URL, proxy and retry settings",
        )  # fmt: skip

    timer = threading.Timer(seconds, tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def trim(buffer: bytes, report: bytes) -> bytes:
    """The quote at the start of a buffer that the library filled, without what is behind it.

    Raises:
        QuotingError: success was returned, but the buffer holds no quote of this report; the sentence says what.
    """
    version = int.from_bytes(buffer[:2], "little")
    if version != 3:
        raise _nonsense(f"a quote of version {version}, not 3")
    end = Quote.SIGNED_SIZE + 4 + int.from_bytes(buffer[Quote.SIGNED_SIZE : Quote.SIGNED_SIZE + 4], "little")
    if not Quote.MIN_SIZE <= end <= len(buffer):
        limits = f"{Quote.MIN_SIZE} to {len(buffer)}"
        raise _nonsense(f"a quote that says of itself that it has {end} bytes; {limits} are possible")
    if buffer[QuoteHeader.SIZE : Quote.SIGNED_SIZE] != report[: ReportBody.SIZE]:
        raise _nonsense("the quote of another report")
    return buffer[:end]


def _nonsense(what: str) -> QuotingError:
    return QuotingError(AESM.UNEXPECTED, f"sgx_ql_get_quote: returned success and {what}")


def certification_type(quote: bytes) -> int:
    """The type of the certification data, read without parsing the rest."""
    auth_data = Quote.AUTH_SIZE_AT + 2
    at = auth_data + int.from_bytes(quote[Quote.AUTH_SIZE_AT : auth_data], "little")
    return int.from_bytes(quote[at : at + 2], "little")
