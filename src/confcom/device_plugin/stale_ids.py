"""Makes the kubelet forget the ids of deleted pods before a long list joins its books.

Stale ids cost as live ones do in the stand-still that `freeze` estimates, and one PodResources List clears them. After
a restart the kubelet must have read its pods first, so the call comes some seconds late; that is done only where the
estimate is large, since being early matters to every pod of the node.
"""

import asyncio
import logging

from confcom.device_plugin.freeze import LARGE_SECONDS, freeze_seconds
from confcom.device_plugin.holders import PodResources
from confcom.device_plugin.offering import Offering
from confcom.device_plugin.registration import Identity
from confcom.errors import KubeletError
from confcom.runtime.logs import event

logger = logging.getLogger(__name__)

# A kubelet of 1.36.2 had read its pods by then.
PODS_READ_SECONDS = 4.0


class StaleIDs:
    """Decides before each registration of the EPC list whether the kubelet is asked first."""

    def __init__(self, pod_resources: PodResources, offering: Offering) -> None:
        self._pod_resources = pod_resources
        self._offering = offering
        self._kubelet: Identity | None = None
        self._allocated_at_last_answer = 0

    @property
    def allocated(self) -> int:
        """The most ids that may count as allocated now: the last answer's, and all given out since."""
        units = self._offering.offer.units
        if self._pod_resources.epc_held is None:
            return units
        since = self._offering.allocated_units - self._allocated_at_last_answer
        return min(units, self._pod_resources.epc_held + since)

    async def clear(self, kubelet: Identity) -> None:
        """Asks once at the start of the plugin, whose list may have grown, and after a restart where it is worth it."""
        before, self._kubelet = self._kubelet, kubelet
        if before == kubelet or not self._pod_resources.mounted:
            return
        if before is not None:
            if freeze_seconds(self._offering.offer.units, self.allocated) < LARGE_SECONDS:
                return
            await asyncio.sleep(max(0.0, PODS_READ_SECONDS - (self._pod_resources.kubelet_age() or 0.0)))
        try:
            await self._pod_resources.list()
        except KubeletError as error:
            event(logger, logging.WARNING, "stale ids not cleared", cause="stale ids", why=error)
            return
        self._allocated_at_last_answer = self._offering.allocated_units
