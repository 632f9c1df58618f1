"""The hall in which the floor is measured: what it returns as echo is what the plane sent."""

import numpy as np

from bridge.plane.g711 import decode_ulaw, encode_ulaw
from bridge.plane.spec import PlaneSettings
from tests.corpus.hall import Hall, Line

_SECOND = 8000


def test_a_line_returns_the_very_sound_that_was_sent() -> None:
    bot = np.random.default_rng(1).normal(0, 3000, 4 * _SECOND).astype(np.int16)
    silence = np.zeros((1, 2 * _SECOND), np.float32)
    no_path = Line(160, np.zeros(64, np.float32))
    hall = Hall(silence, [no_path], bot, settings=PlaneSettings(fades=False), network=None, seed=1)
    begin = int(hall._bot_at[0])
    hall.run()
    said = decode_ulaw(encode_ulaw(np.roll(bot, -begin))) / np.float32(32768)
    first = int(np.flatnonzero(hall.sent[0])[0])
    heard = hall.sent[0, first : first + _SECOND]
    assert np.array_equal(heard, said[:_SECOND])
