import numpy as np
import pytest

from tests.plane.rig import Rig, hiss


def test_levels_rise_at_once_and_fall_slowly() -> None:
    rig = Rig()
    rig.wait(100)

    rig.tick(hiss(level_db=-20))
    rig.tick(hiss(level_db=-60))

    heard_db, sent_db = rig.columns.level_db[rig.row]
    assert heard_db == pytest.approx(-21, abs=2)
    assert sent_db == -100


def test_what_we_send_is_metered_too() -> None:
    rig = Rig()
    rig.say(np.tile(np.array([16384, -16384], np.int16), 800))

    rig.wait(100)

    assert rig.columns.level_db[rig.row, 1] == pytest.approx(-6, abs=0.5)
