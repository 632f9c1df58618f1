"""Who has the floor, over real sockets: a clean call, a slammed door, a voice, a key."""

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.load.caller import Caller
from bridge.load.clip import Clip, render_clip_apart, trim_to_onset
from bridge.load.listen import Heard, Match
from bridge.load.scenario import in_mid_sentence
from tests.e2e import agents
from tests.e2e.lab import account_when, calling, matches, rendered
from tests.e2e.running import RunningBridge
from tests.e2e.undisturbed import undisturbed

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(90)]

FRAME = 160
FADE_SAMPLES = 48
"""5 ms, and the codes that rounding leaves alone."""


@pytest.fixture(scope="module")
def bridge() -> Iterator[RunningBridge]:
    with RunningBridge(agents.routes(chapters="", story="", firm="", guide="")) as running:
        yield running


@pytest.fixture(scope="module")
def spoken() -> dict[str, Clip]:
    """What callers say when they interrupt: the first 300 ms of it, from the onset on."""

    async def render() -> dict[str, Clip]:
        texts = ("Hold on, please.", "No, stop that.", "Excuse me, I have a question.")
        clips = await asyncio.gather(*(render_clip_apart(text) for text in texts))
        return {clip.text: first_ms(clip, 300) for clip in clips}

    return asyncio.run(render())


def first_ms(clip: Clip, length_ms: int) -> Clip:
    """Cut a clip off, without a click: the last 5 ms fade."""
    end = clip.onset_sample + length_ms * 8
    pcm = clip.pcm[:end].astype(np.float64)
    pcm[-40:] *= np.linspace(1, 0, 40)
    return Clip(clip.text, pcm.astype(np.int16), clip.onset_sample)


def door(*, level_db: float, seed: int) -> Clip:
    """A door that slams: 80 ms of noise, loud at once and dying away."""
    count = 80 * 8
    noise = np.random.default_rng(seed).normal(0, 1, count) * np.exp(-np.arange(count) / (count / 4))
    peak = 32767 * 10 ** (level_db / 20)
    return trim_to_onset("door", (noise / np.abs(noise).max() * peak).astype(np.int16))


def whole_but_for_lateness(match: Match, counters: dict[str, float]) -> bool:
    """Every sample bit for bit and in order; silence in between only where the bridge owns up to it.

    On a busy machine the voice may be late: such packets are counted, and no sample is lost to them.
    """
    late = counters["silence_tts_late"] + counters["silence_bridge_late"]
    return (
        match.begin_sample >= 0
        and match.matched + match.altered == match.expected
        and sum(length for _, length in match.gaps) <= late * FRAME
    )


async def test_undisturbed_callers_receive_the_service_s_sound_bit_for_bit(bridge: RunningBridge) -> None:
    async def one(payload_type: int) -> tuple[Heard, dict[str, Any]]:
        async with calling(bridge, "chapters", payload_types=(payload_type,)) as caller:
            await asyncio.wait_for(asyncio.shield(caller.call.ended), 40)
            told = await account_when(bridge, caller, lambda told: told["state"] == "ended")
        return caller.heard(), told

    for heard, told in await asyncio.gather(one(0), one(8)):
        made = await rendered(bridge, agents.CHAPTERS, payload_type=heard.payload_type)
        assert [u["text"] for u in told["utterances"]] == list(agents.CHAPTERS)
        found = matches(heard, (made[text] for text in agents.CHAPTERS))
        for text, match in zip(agents.CHAPTERS, found, strict=True):
            print(f"{match.matched} of {match.expected} samples, gaps {match.gaps}: {text}")
            assert whole_but_for_lateness(match, told["media"])
            assert not match.altered or match.gaps
        spans = [(match.begin_sample, match.end_sample) for match in found]
        assert heard.uncovered(spans, from_sample=0) == 0, "sound that nobody made"
        assert heard.arrivals().lost == 0
        assert heard.arrivals().timestamp_jumps == 0
        assert told["media"]["silence_ducked"] == 0


@undisturbed
async def test_a_slammed_door_makes_the_bot_pause_once_and_costs_no_word(bridge: RunningBridge) -> None:
    made = await rendered(bridge, [agents.STORY])

    async def one(number: int, level_db: float) -> tuple[Heard, dict[str, Any]]:
        async with calling(bridge, "story") as caller:
            await in_mid_sentence(caller, after_ns=caller.answered_ns + 1_000_000_000, timeout_s=15)
            # A door knows nothing of packets: each one slams at another place between two of them.
            at_ns = caller.phone.tape.latest(1)[0].arrival_ns + 60_000_000 + number * 3_300_000
            await caller.say(door(level_db=level_db, seed=number), at_ns=at_ns)
            await asyncio.wait_for(asyncio.shield(caller.call.ended), 30)
            told = await account_when(bridge, caller, lambda told: told["state"] == "ended")
        return caller.heard(), told

    levels = (-3.0, -6.0, -10.0, -15.0, -20.0, -26.0)
    for level_db, (heard, told) in zip(
        levels, await asyncio.gather(*(one(n, level) for n, level in enumerate(levels))), strict=True
    ):
        match = heard.match(made[agents.STORY])
        media = told["media"]
        print(
            f"{level_db:5.0f} dB: {match.matched} + {match.altered} of {match.expected} samples, "
            f"gaps {match.gaps}, ducks {told['false_alarms']}, ducked frames {media['silence_ducked']:g}"
        )
        assert told["false_alarms"] == 1
        assert told["barge_ins"] == []
        assert [u["interrupted"] for u in told["utterances"]] == [False]
        assert match.is_complete
        assert match.altered <= FADE_SAMPLES
        assert heard.uncovered([(match.begin_sample, match.end_sample)], from_sample=0) == 0
        assert 0 < media["silence_ducked"] <= 20, "muted for more than 400 ms by a noise of 80 ms"


async def test_three_hundred_milliseconds_of_speech_take_the_floor(
    bridge: RunningBridge, spoken: dict[str, Clip]
) -> None:
    made = await rendered(bridge, [agents.STORY, agents.STORY_GOES_ON])

    async def one(number: int, clip: Clip) -> tuple[Heard, dict[str, Any], int]:
        async with calling(bridge, "story") as caller:
            await in_mid_sentence(caller, after_ns=caller.answered_ns + 800_000_000, timeout_s=15)
            at_ns = caller.phone.tape.latest(1)[0].arrival_ns + 60_000_000 + number * 7_700_000
            onset_ns = await caller.say(clip, at_ns=at_ns)
            await asyncio.wait_for(asyncio.shield(caller.call.ended), 30)
            told = await account_when(bridge, caller, lambda told: told["state"] == "ended")
        return caller.heard(), told, onset_ns

    for clip, (heard, told, onset_ns) in zip(
        spoken.values(),
        await asyncio.gather(*(one(n, clip) for n, clip in enumerate(spoken.values()))),
        strict=True,
    ):
        assert clip.duration_ms == pytest.approx(300)
        _show_barge_in(clip.text, heard, told, onset_ns)
        cut, after = told["utterances"]
        assert (cut["text"], cut["interrupted"]) == (agents.STORY, True)
        assert cut["heard"] + cut["unheard"] == agents.STORY
        assert cut["heard"]
        assert cut["unheard"]
        assert (after["text"], after["interrupted"]) == (agents.STORY_GOES_ON, False)
        _assert_nothing_stale(heard, made[agents.STORY_GOES_ON], made[agents.STORY], onset_ns)


def _show_barge_in(text: str, heard: Heard, told: dict[str, Any], onset_ns: int) -> None:
    (record,) = told["barge_ins"]
    stages = {name: round(took, 1) for name, took in record["stages_ms"].items()}
    mute_ms = heard.mute_ms(onset_ns)
    assert record["cause"] == "speech"
    assert mute_ms is not None
    print(f"{text!r}: muted after {mute_ms:.1f} ms at the caller; {stages}")


def _assert_nothing_stale(
    heard: Heard, next_codes: NDArray[np.uint8], cut_codes: NDArray[np.uint8], onset_ns: int
) -> None:
    muted_ns = heard.mute_ns(onset_ns)
    assert muted_ns is not None
    silent_from = heard.sample_after(muted_ns)
    before = heard.match(cut_codes)
    later = heard.match(next_codes, from_sample=silent_from)
    assert 0 <= before.begin_sample < before.end_sample
    assert before.matched < before.expected
    assert later.begin_sample >= silent_from
    assert later.is_complete
    stale = heard.uncovered([(later.begin_sample, later.end_sample)], from_sample=silent_from)
    assert stale == 0, f"{stale / 8:.0f} ms of the cancelled task after the flush"


async def test_a_key_takes_the_floor_and_is_read_back(bridge: RunningBridge) -> None:
    async with calling(bridge, "guide") as caller:
        await account_when(bridge, caller, lambda told: _is_audible(told, 1))
        await in_mid_sentence(caller, after_ns=_now(caller) + 500_000_000, timeout_s=15)
        pressed_ns = _now(caller)
        await caller.press("7")
        told = await account_when(bridge, caller, lambda told: _is_audible(told, 3), timeout_s=25)
        await caller.hang_up()
    heard = caller.heard()
    made = await rendered(bridge, ["You pressed 7.", told["utterances"][1]["text"]])

    tour, read_back = told["utterances"][1:3]
    assert tour["interrupted"]
    assert tour["heard"] + tour["unheard"] == tour["text"]
    assert [b["cause"] for b in told["barge_ins"]] == ["dtmf"]
    assert read_back["text"] == "You pressed 7."
    assert told["digits"] == 1
    match = heard.match(made["You pressed 7."], from_sample=heard.sample_after(pressed_ns))
    assert whole_but_for_lateness(match, told["media"])
    # The next words may follow within a tenth of a second.
    muted_ns = heard.mute_ns(pressed_ns, hold_ns=40_000_000)
    assert muted_ns is not None
    print(f"muted {(muted_ns - pressed_ns) / 1e6:.0f} ms after the key went down")
    between = heard.codes[heard.sample_after(muted_ns) : match.begin_sample]
    assert set(between.tolist()) <= {0xFF, 0x7F}, "sound of the cancelled task after the flush"


async def test_a_voice_changes_nothing_where_nobody_may_interrupt(
    bridge: RunningBridge, spoken: dict[str, Clip]
) -> None:
    made = await rendered(bridge, [agents.FIRM])
    async with calling(bridge, "firm") as caller:
        await in_mid_sentence(caller, after_ns=caller.answered_ns + 800_000_000, timeout_s=15)
        for clip in spoken.values():
            await caller.say(clip)
        await caller.press("3")
        await asyncio.wait_for(asyncio.shield(caller.call.ended), 30)
        told = await account_when(bridge, caller, lambda told: told["state"] == "ended")
    heard = caller.heard()

    assert told["media"]["silence_ducked"] == 0
    assert told["false_alarms"] == 0
    assert told["barge_ins"] == []
    assert told["digits"] == 1
    assert whole_but_for_lateness(heard.match(made[agents.FIRM]), told["media"])


def _is_audible(told: dict[str, Any], index: int) -> bool:
    utterances = told["utterances"]
    return len(utterances) > index and utterances[index]["first_audio_ns"] is not None


def _now(caller: Caller) -> int:
    return caller.tape.latest(1)[0].arrival_ns
