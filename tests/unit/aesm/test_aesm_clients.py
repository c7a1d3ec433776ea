"""Both AESM clients against odd servers on real sockets: which family of error, and exactly what it says."""

import asyncio
import errno
import socket
import threading
import time
from pathlib import Path

import pytest
from odd_server import OddServer, read_frame

from confcom import codes
from confcom.aesm import AsyncClient, Client
from confcom.aesm import messages as m
from confcom.errors import AESMError, AESMProtocolError, AESMUnavailableError
from confcom.sgx import DEFAULT_KEY_ID, QEReportInfo, TargetInfo

REPORT = bytes(range(256)) + bytes(176)
QUOTE = b"q" * 4600
TARGET = TargetInfo(mr_enclave=b"m" * 32)
PUB_KEY_ID = b"p" * 32
SECONDS = 0.4
# Of calls that are answered.
PATIENCE_SECONDS = 30.0


class Blocking:
    """Calls of the blocking client."""

    @staticmethod
    def call(path, name, *arguments, seconds=PATIENCE_SECONDS):
        return getattr(Client(path, timeout=seconds), name)(*arguments)


class Asyncio:
    """The same calls of the asyncio client."""

    @staticmethod
    def call(path, name, *arguments, seconds=PATIENCE_SECONDS):
        async def run():
            return await getattr(AsyncClient(path, timeout=seconds), name)(*arguments)

        return asyncio.run(run())


@pytest.fixture(params=[Blocking, Asyncio], ids=["blocking", "asyncio"])
def client(request):
    return request.param


@pytest.fixture
def path(short_dir):
    return str(short_dir / "aesm.socket")


def framed(body):
    return len(body).to_bytes(4, "little") + body


def answering(*bodies):
    """A server that reads each request and sends the next of the answers."""
    waiting = list(bodies)

    def behave(connection):
        read_frame(connection)
        connection.sendall(framed(waiting.pop(0) if len(waiting) > 1 else waiting[0]))

    return behave


def sending(data):
    """A server that reads the request, sends raw bytes and closes."""

    def behave(connection):
        read_frame(connection)
        connection.sendall(data)

    return behave


NUM_OK = m.GetSupportedAttKeyIDNumResponse(error_code=0, att_key_id_num=1).envelope()
NUM = "get_supported_att_key_id_num"
CLOSED = (
    "{path}: the server closed the connection after {what}: it could not make sense of the request, or was stopped; "
    "look at the quote helper's log"
)


class TestUnavailable:
    """No answer can be had: AESMUnavailableError, exit code 3."""

    def refused(self, client, path, seconds=PATIENCE_SECONDS):
        with pytest.raises(AESMUnavailableError) as caught:
            client.call(path, NUM, seconds=seconds)
        assert caught.value.exit_code == 3
        return str(caught.value)

    @pytest.mark.parametrize(
        ("data", "what"),
        [
            (b"", "0 of 4 header bytes"),
            (b"\x06", "1 of 4 header bytes"),
            (framed(NUM_OK)[:4], "0 of 7 bytes"),
            (framed(NUM_OK)[:-1], "6 of 7 bytes"),
        ],
        ids=["without-answer", "in-the-header", "header-only", "short-body"],
    )
    def test_server_closes_early(self, client, path, data, what):
        with OddServer(path, sending(data)):
            assert self.refused(client, path) == CLOSED.format(path=path, what=what)

    def test_server_closes_without_reading(self, client, path):
        """The kernel reports it as a reset or a broken pipe; to the user it is the same closed connection."""
        with OddServer(path, lambda connection: connection.recv(1)):
            assert self.refused(client, path) == CLOSED.format(path=path, what="a part of the request")

    def test_there_is_no_socket(self, client, path):
        folder = Path(path).parent
        assert self.refused(client, path) == (
            f"{path}: there is no socket: {folder} holds none; is the quote helper enabled on this node, and its "
            "directory mounted (the directory, not the file)?"
        )

    def test_there_is_no_folder(self, client, short_dir):
        path = str(short_dir / "absent" / "aesm.socket")
        assert f"{short_dir}/absent does not exist; is the quote helper enabled" in self.refused(client, path)

    def test_nobody_listens(self, client, path):
        with socket.socket(socket.AF_UNIX) as left_over:
            left_over.bind(path)
        assert self.refused(client, path) == (
            f"{path}: nobody listens on this socket; the helper has stopped, or the socket file was mounted instead "
            "of its directory"
        )

    def test_path_is_longer_than_a_socket_s_can_be(self, client, short_dir):
        path = str(short_dir / ("x" * 120))
        assert self.refused(client, path) == f"{path}: AF_UNIX path too long; name the quote helper's socket"

    def test_socket_is_of_another_kind(self, client, path):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind(path)
            assert self.refused(client, path) == (
                f"{path}: Protocol wrong type for socket; name the quote helper's socket"
            )

    def test_socket_that_the_user_may_not_open(self, client, path, monkeypatch):
        def connect(_, address):
            raise PermissionError(errno.EACCES, "Permission denied")

        # The superuser, as whom tests may run, is never refused.
        monkeypatch.setattr(socket.socket, "connect", connect)
        assert self.refused(client, path) == (
            f"{path}: this user may not open it, or a folder on the way to it; the quote helper's own socket is open "
            "to everybody: look at the folders, SELinux and AppArmor"
        )

    def test_silence_ends_at_the_deadline(self, client, path):
        with OddServer(path, lambda connection: server.released.wait()) as server:
            sentence = self.refused(client, path, SECONDS)
            assert sentence == f"{path}: no answer within 0.4 s; the helper is overloaded or hangs"

    def test_an_answer_that_trickles_does_not_outlive_the_deadline(self, client, path):
        """The deadline is the transaction's, not each read's as in Intel's client."""

        def behave(connection):
            read_frame(connection)
            for at in range(1000):
                connection.sendall(framed(bytes(1000))[at : at + 1])
                if server.released.wait(0.05):
                    return

        with OddServer(path, behave) as server:
            assert self.refused(client, path, SECONDS).endswith(
                "no answer within 0.4 s; the helper is overloaded or hangs"
            )

    def test_a_full_backlog_is_waited_for_until_the_deadline(self, client, path):
        with OddServer(path, accepting=False):
            waiting = []
            try:
                while True:
                    sock = socket.socket(socket.AF_UNIX)
                    waiting.append(sock)
                    sock.setblocking(False)
                    sock.connect(path)
            except BlockingIOError:
                pass
            assert "no answer within 0.4 s" in self.refused(client, path, SECONDS)
            for sock in waiting:
                sock.close()


def test_place_in_a_full_backlog_is_taken_when_it_comes_free(client, path):
    """A server that accepts late serves late; the client neither fails nor hangs."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(0)
    first = socket.socket(socket.AF_UNIX)
    first.connect(path)

    def accept_late():
        time.sleep(0.2)
        listener.accept()[0].close()
        connection, _ = listener.accept()
        with connection:
            read_frame(connection)
            connection.sendall(framed(NUM_OK))

    thread = threading.Thread(target=accept_late)
    thread.start()
    try:
        assert client.call(path, NUM) == 1
    finally:
        thread.join(30)
        listener.close()
        first.close()


INIT_OK = {"error_code": 0, "target_info": TARGET.to_bytes(), "pub_key_id_size": 32, "pub_key_id": PUB_KEY_ID}


def told(path, sentence):
    return (
        f"{path}: what answers there breaks the AESM protocol: {sentence}; name the quote helper's socket, or read "
        "its log"
    )


class TestNotTheProtocol:
    """The server answers with other bytes: AESMProtocolError."""

    @pytest.mark.parametrize(
        ("data", "sentence"),
        [
            pytest.param(bytes.fromhex("00000040"), "frame claims 1073741824 bytes, the limit is 1048576", id="1-GiB"),
            pytest.param(b"HTTP/1.1 400 Bad Request\r\n", "frame claims 1347703880 bytes, the limit is 1048576", id="http"),
            pytest.param(framed(b""), "the answer is no GetSupportedAttKeyIDNumResponse: it holds the fields []",
                         id="empty"),
            pytest.param(framed(m.GetQuoteExResponse(error_code=0).envelope()),
                         "the answer is no GetSupportedAttKeyIDNumResponse: it holds the fields [17]", id="other-type"),
            pytest.param(framed(b"\xaa\x01\x05\x08\x00"), "message ends inside field 21 at offset 0", id="truncated"),
            pytest.param(framed(b"\xff" * 12), "integer at offset 0 has over 10 bytes", id="no-protobuf"),
            pytest.param(framed(m.GetSupportedAttKeyIDNumResponse(error_code=0).envelope()),
                         "the answer has nothing for att_key_id_num", id="number-absent"),
            pytest.param(framed(m.GetSupportedAttKeyIDNumResponse(error_code=0, att_key_id_num=65).envelope()),
                         "the answer claims 65 keys, over 64", id="too-many-keys"),
        ],
    )  # fmt: skip
    def test_answer_is_refused(self, client, path, data, sentence):
        with OddServer(path, sending(data)), pytest.raises(AESMProtocolError) as caught:
            client.call(path, NUM)
        assert str(caught.value) == told(path, sentence)

    @pytest.mark.parametrize(
        ("call", "answer", "sentence"),
        [
            ("init_quote", {"target_info": None}, "the answer has nothing for target_info, not 512 bytes"),
            ("init_quote", {"target_info": bytes(511)}, "the answer has 511 bytes for target_info, not 512 bytes"),
            ("init_quote", {"pub_key_id": None}, "the answer has nothing for pub_key_id, not 32 bytes"),
            ("init_quote", {"pub_key_id": bytes(33)}, "the answer has 33 bytes for pub_key_id, not 32 bytes"),
            ("get_pub_key_id_size", {"pub_key_id_size": None}, "the answer has nothing for pub_key_id_size"),
        ],
    )
    def test_init_answer_with_a_field_of_another_size(self, client, path, call, answer, sentence):
        response = m.InitQuoteExResponse(**{**INIT_OK, **answer})
        with OddServer(path, answering(response.envelope())), pytest.raises(AESMProtocolError) as caught:
            client.call(path, call)
        assert str(caught.value) == told(path, sentence)

    @pytest.mark.parametrize(
        ("call", "arguments", "response", "sentence"),
        [
            ("get_quote_size", (), m.GetQuoteSizeExResponse(error_code=0), "the answer has nothing for quote_size"),
            ("select_att_key_id", (), m.SelectAttKeyIDResponse(error_code=0, selected_att_key_id=bytes(255)),
             "the answer has 255 bytes for selected_att_key_id, not 256 bytes"),
            ("get_quote_ex", (REPORT, 4600), m.GetQuoteExResponse(error_code=0, quote=QUOTE[:-1]),
             "the answer has 4599 bytes for quote, not 4600 bytes"),
            ("get_quote_ex", (REPORT, 4600), m.GetQuoteExResponse(error_code=0),
             "the answer has nothing for quote, not 4600 bytes"),
            ("get_quote_ex", (REPORT, 4600, QEReportInfo()), m.GetQuoteExResponse(error_code=0, quote=QUOTE),
             "the answer has nothing for qe_report_info, not 960 bytes"),
        ],
    )  # fmt: skip
    def test_answer_with_a_field_of_another_size(self, client, path, call, arguments, response, sentence):
        with OddServer(path, answering(response.envelope())), pytest.raises(AESMProtocolError) as caught:
            client.call(path, call, *arguments)
        assert str(caught.value) == told(path, sentence)


CALLS = {
    "GetSupportedAttKeyIDNum": (NUM, (), m.GetSupportedAttKeyIDNumResponse),
    "SelectAttKeyID": ("select_att_key_id", (), m.SelectAttKeyIDResponse),
    "InitQuoteEx": ("init_quote", (), m.InitQuoteExResponse),
    "GetQuoteSizeEx": ("get_quote_size", (), m.GetQuoteSizeExResponse),
    "GetQuoteEx": ("get_quote_ex", (REPORT, 4600), m.GetQuoteExResponse),
}


class TestServiceSaysNo:
    """An error code: AESMError with the code's name, meaning and next step."""

    @pytest.mark.parametrize("name", CALLS)
    @pytest.mark.parametrize("code", [1, 3, 18, 30, 38, 47, 9999])
    def test_code_is_told_with_its_meaning_and_what_to_do(self, client, path, name, code):
        call, arguments, response = CALLS[name]
        with OddServer(path, answering(response(error_code=code).envelope())), pytest.raises(AESMError) as caught:
            client.call(path, call, *arguments)
        entry = codes.aesm(code)
        assert caught.value.code == code
        assert str(caught.value) == f"{name}: {entry.name} ({code}): {entry.meaning} {entry.next_step}"

    def test_answer_without_its_code_means_unexpected(self, client, path):
        with OddServer(path, answering(bytes.fromhex("aa0100"))), pytest.raises(AESMError) as caught:
            client.call(path, NUM)
        assert caught.value.code == 1

    def test_key_that_is_not_initialised_is_initialised_once_more(self, client, path):
        init = m.InitQuoteExResponse(
            error_code=0, target_info=TARGET.to_bytes(), pub_key_id_size=32, pub_key_id=PUB_KEY_ID
        ).envelope()
        size = m.GetQuoteSizeExResponse(error_code=0, quote_size=4600).envelope()
        no = m.GetQuoteExResponse(error_code=42).envelope()
        yes = m.GetQuoteExResponse(error_code=0, quote=QUOTE).envelope()
        with OddServer(path, answering(init, size, no, init, size, yes)):
            assert client.call(path, "get_quote", REPORT) == QUOTE

    def test_key_that_stays_uninitialised_is_an_error_after_the_second_time(self, client, path):
        init = m.InitQuoteExResponse(
            error_code=0, target_info=TARGET.to_bytes(), pub_key_id_size=32, pub_key_id=PUB_KEY_ID
        ).envelope()
        size = m.GetQuoteSizeExResponse(error_code=0, quote_size=4600).envelope()
        no = m.GetQuoteExResponse(error_code=42).envelope()
        with OddServer(path, answering(init, size, no, init, size, no)), pytest.raises(AESMError) as caught:
            client.call(path, "get_quote", REPORT)
        assert caught.value.code == 42


class TestAnswers:
    @pytest.mark.parametrize("size", [1, 3, 100, 4096])
    def test_answer_in_pieces_of_any_size_is_put_together(self, client, path, size):
        data = framed(m.GetQuoteExResponse(error_code=0, quote=QUOTE).envelope())

        def behave(connection):
            read_frame(connection)
            for at in range(0, len(data), size):
                connection.sendall(data[at : at + size])

        with OddServer(path, behave):
            assert client.call(path, "get_quote_ex", REPORT, 4600).quote == QUOTE

    def test_bytes_behind_the_answer_are_ignored(self, client, path):
        with OddServer(path, sending(framed(NUM_OK) + b"more")):
            assert client.call(path, NUM) == 1

    def test_server_that_keeps_the_connection_open_is_not_waited_for(self, client, path):
        def behave(connection):
            read_frame(connection)
            connection.sendall(framed(NUM_OK))
            server.released.wait()

        with OddServer(path, behave) as server:
            assert client.call(path, NUM) == 1

    def test_request_is_one_frame_as_the_real_client_sends_it(self, client, path):
        seen = []

        def behave(connection):
            seen.append(read_frame(connection))
            connection.sendall(framed(NUM_OK))

        with OddServer(path, behave):
            client.call(path, NUM)
        assert seen == [bytes.fromhex("aa0103489875")]

    def test_keys_are_asked_for_by_number(self, client, path):
        ids = m.GetSupportedAttKeyIDsResponse(error_code=0, att_key_ids=DEFAULT_KEY_ID.to_bytes()).envelope()
        with OddServer(path, answering(NUM_OK, ids)):
            assert client.call(path, "get_supported_att_key_ids") == (DEFAULT_KEY_ID,)

    def test_qe_report_info_comes_back(self, client, path):
        info = QEReportInfo(nonce=b"n" * 16)
        answer = m.GetQuoteExResponse(error_code=0, quote=QUOTE, qe_report_info=info.to_bytes())
        with OddServer(path, answering(answer.envelope())):
            assert client.call(path, "get_quote_ex", REPORT, 4600, QEReportInfo()).qe_report_info == info
