"""Every example is run as it stands, against the embedded voice on loopback, and called."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.load.clip import render_clip_apart
from bridge.load.scenario import in_mid_sentence, interrupt
from tests.e2e.lab import calling, matches, rendered
from tests.e2e.running import RunningBridge
from tests.hearing import transcribe, word_errors

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(90)]

FOLDER = Path(__file__).parents[1] / "sip_examples"
SENTENCE = "Thank you for calling. Your appointment is confirmed for Tuesday morning."
TESTED = {"01_answer_and_speak.py", "02_interrupt.py"}


@contextmanager
def example(name: str) -> Iterator[RunningBridge]:
    with RunningBridge(command=[sys.executable, "-u", str(FOLDER / name)]) as running:
        yield running


def test_no_example_is_without_a_test_or_longer_than_a_screen() -> None:
    files = sorted(FOLDER.glob("*.py"))

    assert {file.name for file in files} == TESTED
    for file in files:
        assert len(file.read_text().splitlines()) < 60


async def test_01_says_its_sentence_to_the_end_and_hangs_up() -> None:
    with example("01_answer_and_speak.py") as bridge:
        async with calling(bridge, "anything") as caller:
            reason = await asyncio.wait_for(asyncio.shield(caller.call.ended), 30)
        made = await rendered(bridge, [SENTENCE])
    heard = caller.heard()
    understood = await asyncio.to_thread(transcribe, heard.pcm)
    (match,) = matches(heard, made.values())
    print(f"{match.matched} of {match.expected} samples, gaps {match.gaps}; understood: {understood!r}")

    assert reason == "callee hung up"
    assert SENTENCE in (FOLDER / "01_answer_and_speak.py").read_text()
    assert match.matched + match.altered == match.expected
    assert word_errors(SENTENCE, understood) <= 0.1


async def test_02_stops_when_interrupted_and_prints_how_quick_it_was() -> None:
    clip = await render_clip_apart()
    with example("02_interrupt.py") as bridge:
        async with calling(bridge, "anything") as caller:
            await in_mid_sentence(caller, after_ns=caller.answered_ns + 2_000_000_000, timeout_s=20)
            cut = await interrupt(caller, clip, dice=SystemDice(), now_ns=SystemClock().now_ns())
            await asyncio.wait_for(asyncio.shield(caller.call.ended), 30)
        bridge.stop()
        printed = bridge.output
    table = [line for line in printed if line.endswith(" ms") and len(line.split()) == 3]
    print(f"muted after {cut.mute_ms} ms at the caller", *printed[printed.index("ready") :], sep="\n")

    assert cut.mute_ms is not None
    assert any(line.startswith("heard ") and "unheard" in line for line in printed)
    assert [line.split()[0] for line in table] == [
        "mute",
        "verdict",
        "flush",
        "cancel",
        "spare_ready",
        "next_audio",
    ]
    assert not any("Traceback" in line for line in printed)
