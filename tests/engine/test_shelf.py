import numpy as np
import pytest

from bridge.engine.shelf import BedShelf
from bridge.errors import EngineError


def loop(level: int, samples: int = 50) -> "np.ndarray[tuple[int], np.dtype[np.int16]]":
    return np.full(samples, level, np.int16)


def test_a_sound_is_kept_once_however_many_play_it() -> None:
    memory = np.zeros((2, 100), np.int16)
    shelf = BedShelf(memory)

    first = shelf.take("rain", loop(7))
    second = shelf.take("rain")

    assert first == second == (0, 50)
    assert memory[0, :50].tolist() == [7] * 50
    assert not memory[1].any()
    assert "rain" in shelf
    assert "wind" not in shelf


def test_what_nobody_plays_makes_room_the_oldest_first() -> None:
    shelf = BedShelf(np.zeros((2, 100), np.int16))
    rain, _ = shelf.take("rain", loop(1))
    wind, _ = shelf.take("wind", loop(2))
    shelf.give_back(wind)
    shelf.give_back(rain)

    assert shelf.take("sea", loop(3, 40)) == (wind, 40)

    assert "wind" not in shelf
    assert "rain" in shelf


def test_what_is_being_played_is_never_replaced() -> None:
    shelf = BedShelf(np.zeros((2, 100), np.int16))
    shelf.take("rain", loop(1))
    shelf.take("rain")
    shelf.give_back(0)
    shelf.take("wind", loop(2))

    with pytest.raises(EngineError, match="2 beds are playing"):
        shelf.take("sea", loop(3))

    assert "rain" in shelf


def test_a_sound_that_is_not_there_has_to_be_brought() -> None:
    with pytest.raises(KeyError):
        BedShelf(np.zeros((2, 100), np.int16)).take("rain")
