import numpy as np

from bridge.plane.g711 import encode_ulaw
from tests.bench.survival_specs import SPECS
from tests.bench.survival_streams import FrameNames, Stream, account
from tests.fakes import MS

G711 = SPECS["g711"]
FRAMES = 200


def stream(*, leg: int = 0, first: int = 65_500, frames: list[int] | None = None) -> Stream:
    """A call whose frames arrive every 20 ms, as its phone would keep it."""
    said = list(range(FRAMES)) if frames is None else frames
    count = len(said)
    codes = np.concatenate([_codes(leg, frame) for frame in said])
    numbers = np.arange(count)
    return Stream(
        arrival_ns=numbers * 20 * MS + 1,
        sequence=first + numbers & 0xFFFF,
        timestamp=numbers * 160,
        payloads=codes,
        lengths=np.full(count, 160),
    )


def _codes(leg: int, frame: int) -> np.ndarray:
    return encode_ulaw(G711.speak(leg, frame, 1)).reshape(1, -1)


def told(*streams: Stream, deaths_ns: tuple[int, ...] = (2000 * MS,)) -> dict[str, object]:
    names = [G711.read(one) for one in streams]
    return account(streams, names, list(deaths_ns), cycle=G711.cycle, is_exact=True)


def test_calls_that_nothing_happened_to_have_nothing_to_report() -> None:
    heard = told(stream(leg=0), stream(leg=1))

    assert (heard["alive"], heard["packets"]) == (2, 2 * FRAMES)
    counts = ("twice", "foreign", "lost_frames", "repeated_frames", "nameless", "reordered")
    assert [heard[name] for name in counts] == [0] * 6
    assert heard["skips"] == {}


def test_a_number_sent_twice_is_seen_across_the_turn_of_the_counter() -> None:
    one = stream()
    one.sequence[50:] -= 1
    one.sequence[:] &= 0xFFFF

    assert told(one)["twice"] == 1


def test_a_frame_of_another_call_is_seen() -> None:
    one, other = stream(leg=0), stream(leg=1)
    one.payloads[20] = other.payloads[20]

    assert told(one, other)["foreign"] == 1


def test_frames_that_are_missing_or_said_again_are_counted() -> None:
    missing = told(stream(frames=[*range(50), *range(53, 100)]))
    again = told(stream(frames=[*range(50), *range(49, 100)]))

    assert (missing["lost_frames"], missing["repeated_frames"]) == (3, 0)
    assert (again["lost_frames"], again["repeated_frames"]) == (0, 1)


def test_a_call_that_ends_is_not_alive_and_its_gap_goes_to_the_end() -> None:
    heard = told(stream(leg=0), stream(leg=1, frames=list(range(100))), stream(leg=2))

    assert heard["alive"] == 2
    gaps = heard["gaps_ms"]
    assert isinstance(gaps, list)
    assert (gaps[0]["p50"], gaps[0]["max"]) == (20.0, 2020.0)


def test_where_frames_blur_those_that_say_nothing_are_there() -> None:
    one = stream()
    names = G711.read(one)
    names.legs[70], names.frames[70] = -1, -1
    blurred = FrameNames(names.legs, names.frames)

    exact = account([one], [blurred], [2000 * MS], cycle=G711.cycle, is_exact=True)
    lenient = account([one], [blurred], [2000 * MS], cycle=G711.cycle, is_exact=False)

    assert (exact["lost_frames"], lenient["lost_frames"]) == (1, 0)
    assert exact["nameless"] == lenient["nameless"] == 1
