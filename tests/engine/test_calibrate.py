import os

import pytest

from bridge.engine.calibrate import calibrate
from bridge.engine.mmsg import is_supported
from bridge.plane.spec import PlaneSettings


@pytest.mark.parametrize("ports_shared", [False, True])
@pytest.mark.parametrize("plain_sockets", [True, not is_supported()])
def test_this_machine_can_carry_calls_and_nothing_is_left_behind(
    ports_shared: bool, plain_sockets: bool
) -> None:
    before = len(os.listdir("/proc/self/fd"))

    costs = calibrate(PlaneSettings(), ports_shared=ports_shared, plain_sockets=plain_sockets)

    assert len(os.listdir("/proc/self/fd")) == before
    assert 500 < costs.pair_ns < 1_000_000
    assert 0 <= costs.tick_ns < 20_000_000
