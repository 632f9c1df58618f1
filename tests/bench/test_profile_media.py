import cProfile

import numpy as np
import pytest

from bridge.plane.g711 import encode_ulaw
from tests.bench.profile_media import Rig, by_stage
from tests.bench.stages import stage_set


@pytest.mark.parametrize("shared", [False, True])
def test_every_call_of_the_rig_sends_and_is_heard_in_every_slot(shared: bool) -> None:
    rig = Rig(20, stage_set("basic"), shared=shared)
    try:
        rig.run(10)
        rig.split.clear()
        taken_ns = rig.run(10)
    finally:
        rig.close()

    assert rig.split.packets["send calls"] == rig.split.packets["plane.build"] == 200
    assert rig.split.packets["receive calls"] == rig.split.packets["plane.receive"] == 200
    assert 0 < sum(rig.split.taken_ns.values()) < taken_ns


def test_own_time_is_told_by_module_and_by_function_of_ours_only() -> None:
    profile = cProfile.Profile(builtins=False)
    profile.enable()
    encode_ulaw(np.zeros(160, np.int16))
    np.median(np.arange(100))
    profile.disable()

    modules, functions = by_stage(profile)

    assert set(modules) == {"plane.g711"}
    assert set(functions) == {"plane.g711.encode_ulaw"}
    assert functions["plane.g711.encode_ulaw"].own_s == modules["plane.g711"].own_s > 0
