"""The plugin's own Unix socket: an HTTP GET of /holders tells which pod and container holds what.

Root on the node may read it (`curl --unix-socket PATH http://node/holders`), tenants and the open HTTP port may not.
"""

import asyncio
import contextlib
import logging
import socket
from pathlib import Path

from confcom.device_plugin.holders import PodResources
from confcom.device_plugin.node import Node
from confcom.device_plugin.registration import identity
from confcom.kubelet.contract import MAX_SOCKET_PATH_BYTES
from confcom.runtime.http import Answer, HTTPPort
from confcom.runtime.logs import event

logger = logging.getLogger(__name__)

SOCKET_MODE = 0o600
# A report costs the kubelet up to a third of a second; nobody needs them faster, and waiting callers share one.
_BACKLOG = 16


class LocalSocket:
    """Serves `/holders` on one path, as long as `run` runs; where the path cannot be had, it says so once."""

    def __init__(self, path: Path, pod_resources: PodResources, node: Node) -> None:
        self._path = path
        self._pod_resources = pod_resources
        self._node = node
        self._one_at_a_time = asyncio.Lock()

    async def run(self) -> None:
        """Listens until it is cancelled."""
        try:
            listener = _listen(self._path)
        except OSError as error:
            why = error.strerror or str(error)
            event(logger, logging.WARNING, "nobody can be told who holds what", path=self._path, why=why)
            return
        ours = identity(self._path)
        port = HTTPPort({"/holders": self._holders}, listener=listener)
        try:
            await port.serve()
        finally:
            # A successor has put its own there where this pod's end was not waited for (a deletion by force).
            if identity(self._path) == ours:
                with contextlib.suppress(OSError):
                    self._path.unlink()

    async def _holders(self) -> Answer:
        async with self._one_at_a_time:
            late = [offering.offer.resource for offering in self._node.offerings if not offering.is_registered]
            return Answer.json(await self._pod_resources.read(unregistered=late))


def _listen(path: Path) -> socket.socket:
    """A listening socket at `path`, in the place of one that a former instance left."""
    if len(str(path).encode()) > MAX_SOCKET_PATH_BYTES:
        raise OSError(f"over {MAX_SOCKET_PATH_BYTES} bytes, too long for a Unix socket")
    path.parent.mkdir(parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    try:
        if path.is_socket():
            path.unlink()
        listener.bind(str(path))
        path.chmod(SOCKET_MODE)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener
