"""Of which machine, and of what time, a simulated certificate service speaks: faults make it speak of others."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from confcom.codes import TCBStatus
from confcom.simulation import state
from confcom.simulation.collateral import EVALUATION_NUMBER, CollateralOptions
from confcom.simulation.creation import make_files
from confcom.simulation.names import IDENTITY
from confcom.simulation.pccs_faults import FaultName
from confcom.simulation.platform import SimulatedPlatform

# The channel `early` is one evaluation number ahead.
CHANNEL_NUMBERS = {"standard": EVALUATION_NUMBER, "early": EVALUATION_NUMBER + 1}

_EXPIRED = CollateralOptions(issued=timedelta(days=40), root_crl_lifetime=timedelta(days=30))
_NOT_YET_VALID = CollateralOptions(issued=timedelta(days=-1))
# In the place of the FMSPC's last byte, where no simulated machine has it.
_OTHER_FAMILY = b"\xee"


class Subject:
    """The machine, and the strangers that take its place under a fault.

    `early_status` is the verdict of the TCB info in the channel `early`; None gives the machine's own.
    """

    def __init__(self, machine: SimulatedPlatform, early_status: TCBStatus | None = None) -> None:
        self.own = machine
        self._early_status = early_status
        self._others: dict[FaultName, SimulatedPlatform] = {}

    def machine(self, met: frozenset[FaultName], now: datetime) -> SimulatedPlatform:
        """The machine that an answer is about."""
        for name, files in ((FaultName.OTHER_ROOT, self._stranger), (FaultName.WRONG_FMSPC, self._other_family)):
            if name in met:
                if name not in self._others:
                    self._others[name] = SimulatedPlatform(self.own.folder, files(now))
                return self._others[name]
        return self.own

    def collateral(self, met: frozenset[FaultName], channel: str, now: datetime) -> Mapping[str, str]:
        """The machine's collateral in a channel, in dcap-qvl's members."""
        options = _options(met)
        if channel == "early":
            options = replace(options, tcb_status=self._early_status)
        return self.machine(met, now).collateral(now, replace(options, evaluation_number=CHANNEL_NUMBERS[channel]))

    def _stranger(self, now: datetime) -> dict[str, bytes]:
        return make_files(self.own.identity.ca, self.own.identity.tcb_status, now)

    def _other_family(self, now: datetime) -> dict[str, bytes]:
        del now
        other = replace(self.own.identity, fmspc=self.own.identity.fmspc[:-1] + _OTHER_FAMILY)
        return {**(state.read_folder(self.own.folder) or {}), IDENTITY: other.to_json()}


def _options(met: frozenset[FaultName]) -> CollateralOptions:
    if FaultName.EXPIRED in met:
        return _EXPIRED
    return _NOT_YET_VALID if FaultName.NOT_YET_VALID in met else CollateralOptions()
