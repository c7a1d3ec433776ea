"""Machines for the tests of the simulated platform; time is pinned, since it is an input."""

from datetime import UTC, datetime

import pytest

from confcom.simulation.platform import SimulatedPlatform

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def now():
    return NOW


@pytest.fixture(scope="session")
def machine(tmp_path_factory):
    return SimulatedPlatform.create(tmp_path_factory.mktemp("machine") / "processor", now=NOW)


@pytest.fixture(scope="session")
def other_machine(tmp_path_factory):
    return SimulatedPlatform.create(tmp_path_factory.mktemp("machine") / "platform", ca="platform", now=NOW)
