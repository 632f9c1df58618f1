"""What holds for the jitter ring whatever the network does."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bridge.plane.mend import Mender
from bridge.plane.spec import PlaneSettings
from tests.fakes import MS
from tests.plane.rig import Pcm
from tests.plane.test_arrival import LOUD, QUIET, ROWS, Ear, lag_ms, sound

PTIMES = st.sampled_from([80, 120, 160, 200, 240, 320, 480, 33])


class Blank(Mender):
    """Leaves what is missing silent: what is heard is then what came."""

    def mend(
        self,
        rows: NDArray[np.intp],
        frames: NDArray[np.int16],
        filled: NDArray[np.bool_],
        play: NDArray[np.int64],
    ) -> None:
        frames.reshape(len(rows), 4, 40)[~filled] = 0


def heard_of(ear: Ear, ways_ms: list[int | None], samples: int = 160) -> Pcm:
    """Let packets come on ways so long, None = never, and listen until all is over."""
    ms = samples / 8
    order = sorted((number * ms + way, number) for number, way in enumerate(ways_ms) if way is not None)
    heard, begin_ns = [], ear.now_ns
    for _ in range(int(len(ways_ms) * ms / 20) + 30):
        while order and begin_ns + int(order[0][0] * MS) <= ear.now_ns:
            at_ms, number = order.pop(0)
            ear.arrive(number, samples=samples, early_ms=(ear.now_ns - begin_ns) / MS - at_ms)
        heard.append(ear.hear())
    return np.concatenate(heard)


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(0, 150)), min_size=1, max_size=60), PTIMES)
def test_no_sample_is_heard_twice_or_before_an_older_one(ways_ms: list[int | None], samples: int) -> None:
    ear = Ear(PlaneSettings(late_share=1.0))
    ear.ring.mender = Blank(ear.columns, ear.ring._ring)

    heard = heard_of(ear, ways_ms, samples)

    assert (np.diff(heard[heard != 0].astype(int)) > 0).all()


@settings(deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=60), PTIMES)
def test_on_a_network_better_than_the_delay_every_sample_is_heard(ways_ms: list[int], samples: int) -> None:
    ear = Ear(PlaneSettings(depth_start_ms=100))

    heard = heard_of(ear, [*ways_ms], samples)

    real = sound(0, len(ways_ms) * samples)
    begin = int(np.argmax(heard == 1000))
    assert np.array_equal(heard[begin : begin + len(real)], real)
    assert ear.count("rx_late") == 0


@settings(deadline=None)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=80), st.booleans())
def test_the_delay_is_bounded(ways_ms: list[int], quiet: bool) -> None:
    ear = Ear(PlaneSettings(depth_max_ms=120))
    order = sorted((number * 20 + way, number) for number, way in enumerate(ways_ms))
    begin_ns = ear.now_ns

    for _ in range(len(ways_ms) + 30):
        while order and begin_ns + order[0][0] * MS <= ear.now_ns:
            at_ms, number = order.pop(0)
            ear.arrive(number, early_ms=(ear.now_ns - begin_ns) / MS - at_ms)
        ear.hear(quiet=quiet)

        assert ear.depth_ms <= 420
        assert lag_ms(ear) <= 420


PACKETS = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 2**32 - 1), st.integers(0, 4000)),
        PTIMES,
        st.integers(0, 300),
        st.sampled_from(["speech", "sid", "event", "nothing"]),
        st.booleans(),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(PACKETS)
def test_any_packets_at_any_time_raise_nothing(
    packets: list[tuple[int, int, int, str, bool]],
) -> None:
    ear = Ear()

    for timestamp, samples, wait_ms, kind, quiet in packets:
        if kind == "speech":
            pcm = sound(timestamp % 20000, samples)[None, :]
            ear.ring.place(ROWS, np.array([timestamp]), pcm, now_ns=ear.now_ns)
        elif kind == "sid":
            ear.ring.mender.describe_silence(1, timestamp.to_bytes(4, "big"))
        elif kind == "event":
            ear.ring.mender.hush(1)
        for _ in range(wait_ms // 20):
            frame = ear.ring.pop(ROWS, QUIET if quiet else LOUD, np.array([ear.now_ns]))
            ear.now_ns += 20 * MS

            assert frame.shape == (1, 160)
            assert ear.depth_ms <= 480


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(st.integers(0, 120), min_size=30, max_size=30), min_size=3, max_size=3))
def test_rows_do_not_touch_each_other(ways_ms: list[list[int]]) -> None:
    alone = [heard_of(Ear(), [*ways]) for ways in ways_ms]
    together = Ear(capacity=4)
    everyone = np.arange(1, 4)
    order = sorted((n * 20 + way, n, row) for row, ways in enumerate(ways_ms) for n, way in enumerate(ways))
    heard, begin_ns = [], together.now_ns

    for _ in range(60):
        while order and begin_ns + order[0][0] * MS <= together.now_ns:
            at_ms, number, row = order.pop(0)
            together.arrive(
                number, early_ms=(together.now_ns - begin_ns) / MS - at_ms, rows=everyone[row : row + 1]
            )
        due_ns = np.full(3, together.now_ns)
        heard.append(together.ring.pop(everyone, np.zeros(3, np.bool_), due_ns))
        together.now_ns += 20 * MS

    joined = np.concatenate(heard, axis=1)
    assert all(np.array_equal(joined[row], alone[row]) for row in range(3))
