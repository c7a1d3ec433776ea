"""The least that a Python server of AESM quotes can be: asyncio's streams, canned bytes and one signature a request.

    python bare_streams.py SOCKET QUOTE_BYTES

No parsing, no queue, no worker: what `quote_helper.py` compares the helper with.
"""

import asyncio
import contextlib
import os
import sys

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256


async def main(path: str, size: int) -> None:
    key, algorithm = generate_private_key(SECP256R1()), ECDSA(SHA256())
    length = size + 5
    body = b"\x8a\x01" + bytes([length & 0x7F | 0x80, length >> 7]) + b"\x08\x00\x12"
    body += bytes([size & 0x7F | 0x80, size >> 7]) + bytes(size)
    answer = len(body).to_bytes(4, "little") + body

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            header = await reader.readexactly(4)
            request = await reader.readexactly(int.from_bytes(header, "little"))
            key.sign(request[:432], algorithm)
            writer.write(answer)
        writer.close()

    async with await asyncio.start_unix_server(serve, path, backlog=4096) as server:
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(FileNotFoundError):
        os.unlink(sys.argv[1])  # noqa: PTH108
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
