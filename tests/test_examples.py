"""Every example is run as it stands, against the embedded voice on loopback, and called."""

import asyncio
import sys
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.aio.sip_transfer import Referral
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.load.caller import Caller
from bridge.load.clip import render_clip_apart
from bridge.load.scenario import in_mid_sentence, interrupt
from bridge.sip.message import Request
from tests.aio.sip_phones import Phone, phone
from tests.aio.test_registrar import LENA, RegistrarDesk
from tests.e2e.callee import callee
from tests.e2e.lab import account_when, calling, eventually, matches, rendered
from tests.e2e.running import RunningBridge
from tests.hearing import transcribe, word_errors
from tests.sip.messages import parsed_request

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(90)]

FOLDER = Path(__file__).parents[1] / "sip_examples"
SENTENCE = "Thank you for calling. Your appointment is confirmed for Tuesday morning."
TESTED = {
    "01_answer_and_speak.py",
    "02_interrupt.py",
    "03_menu.py",
    "04_outbound_reminder.py",
    "05_transfer_to_human.py",
    "06_record_a_message.py",
    "07_register_to_pbx.py",
    "08_say_it_back.py",
}


@contextmanager
def example(name: str, **environment: str) -> Iterator[RunningBridge]:
    command = ["env", *(f"{key}={value}" for key, value in environment.items())]
    with RunningBridge(command=[*command, sys.executable, "-u", str(FOLDER / name)]) as running:
        yield running


async def understood(bridge: RunningBridge, caller: Caller, *sentences: str) -> None:
    """Insist that every sentence was heard to its end, in this order."""
    made = await rendered(bridge, sentences)
    found = matches(caller.heard(), made.values())
    assert [match.matched + match.altered for match in found] == [match.expected for match in found]


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


async def test_03_answers_a_key_that_stops_the_menu() -> None:
    with example("03_menu.py") as bridge:
        async with calling(bridge, "anything") as caller:
            await in_mid_sentence(caller, after_ns=caller.answered_ns + 1_000_000_000, timeout_s=20)
            await caller.press("9")
            await asyncio.sleep(3)
            await caller.press("1")
            await asyncio.wait_for(asyncio.shield(caller.call.ended), 40)
        await understood(
            bridge,
            caller,
            "That key has no meaning here.",
            "We are open from nine to five, Monday to Friday.",
            "Goodbye.",
        )


async def test_04_calls_reminds_and_takes_the_answer() -> None:
    async with callee() as phone:
        name = "04_outbound_reminder.py"
        running = await asyncio.create_subprocess_exec(
            sys.executable,
            "-u",
            str(FOLDER / name),
            phone.uri,
            *(f"--set={key}" for key in ("http.listen=127.0.0.1:0", "sip.listen=127.0.0.1:0")),
            "--set=tts_server.listen=127.0.0.1:0",
            "--set=tts_server.preload_chinese=false",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        await asyncio.wait_for(phone.rang.wait(), 60)
        await eventually(lambda: phone.heard().audible_ns() is not None, timeout_s=30)
        await asyncio.sleep(6)
        await asyncio.to_thread(lambda: phone.phone.press("1", tone_ms=100).result())
        printed, _ = await asyncio.wait_for(running.communicate(), 60)
        heard = phone.heard()
    said = await asyncio.to_thread(transcribe, heard.pcm)
    print(said, printed.decode())

    assert running.returncode == 0
    assert "confirmed" in printed.decode().splitlines()
    assert "reminder of your appointment" in said.lower()
    assert "looking forward to seeing you" in said.lower()


async def test_05_sends_the_caller_to_a_person_who_answers() -> None:
    with example("05_transfer_to_human.py", HUMAN="sip:desk@127.0.0.1:9") as bridge:
        async with calling(bridge, "anything") as caller:
            asked: asyncio.Queue[Referral] = asyncio.Queue()
            caller.call.transfers.on_referral = asked.put_nowait
            await in_mid_sentence(caller, after_ns=caller.answered_ns, timeout_s=20)
            await caller.press("0")
            async with asyncio.timeout(20):
                referral = await asked.get()
                for status in (100, 180, 200):
                    referral.accept()
                    referral.tell(status)
                reason = await asyncio.shield(caller.call.ended)
        bridge.stop()

    assert (referral.target, reason) == ("sip:desk@127.0.0.1:9", "callee hung up")
    assert "transfer: 200 OK" in bridge.output


async def test_05_takes_the_caller_back_when_nobody_answers() -> None:
    with example("05_transfer_to_human.py", HUMAN="sip:desk@127.0.0.1:9") as bridge:
        async with calling(bridge, "anything") as caller:
            asked: asyncio.Queue[Referral] = asyncio.Queue()
            caller.call.transfers.on_referral = asked.put_nowait
            await caller.press("0")
            async with asyncio.timeout(30):
                referral = await asked.get()
                referral.accept()
                referral.tell(486)
                await asyncio.shield(caller.call.ended)
        await understood(
            bridge,
            caller,
            "One moment, please.",
            "I am sorry, nobody is there at the moment. Please call again tomorrow.",
        )


async def test_06_keeps_what_the_caller_said(tmp_path: Path) -> None:
    clip = await render_clip_apart()
    with example("06_record_a_message.py", MESSAGES=str(tmp_path)) as bridge:
        async with calling(bridge, "anything") as caller:
            await in_mid_sentence(caller, after_ns=caller.answered_ns, timeout_s=20)
            await eventually(lambda: any(tmp_path.iterdir()), timeout_s=30)
            await caller.say(clip)
            await asyncio.sleep(0.3)
            await caller.press("#")
            await asyncio.wait_for(asyncio.shield(caller.call.ended), 30)
        bridge.stop()
    mode, rate, samples = only_recording(tmp_path)
    loud = np.abs(samples.astype(int)) > 1000
    print(f"{len(samples) / rate:.2f} s, {loud.mean():.2f} loud, the clip has {clip.duration_ms:.0f} ms")

    assert mode == 0o600
    assert clip.duration_ms / 1000 < len(samples) / rate < clip.duration_ms / 1000 + 2
    assert loud.any()
    assert any(line.startswith("message from ") for line in bridge.output)


def only_recording(folder: Path) -> "tuple[int, int, NDArray[np.int16]]":
    """Who may read it, its rate in Hz, its samples."""
    (path,) = folder.glob("*.wav")
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return path.stat().st_mode & 0o777, file.getframerate(), samples


async def test_07_is_an_extension_of_a_pbx() -> None:
    async with phone() as pbx:
        registered = asyncio.create_task(serve_one_registration(pbx))
        where = f"127.0.0.1:{pbx.address[1]}"

        def run() -> list[str]:
            name, password = "07_register_to_pbx.py", LENA.password
            with example(name, PBX=where, EXTENSION="lena", PASSWORD=password) as bridge:
                return [line.strip() for line in bridge.output]

        printed = await asyncio.to_thread(run)
        request = await registered

    assert request.to.uri.text == "sip:lena@127.0.0.1"
    assert f"trunk pbx: registered sip:lena@127.0.0.1 at {where} for 60 s" in printed
    assert LENA.password not in "".join(printed)


async def test_08_says_back_what_it_understood_and_leaves_at_goodbye() -> None:
    said = "I am only calling to say goodbye."
    clip = await render_clip_apart(said)
    with example("08_say_it_back.py") as bridge:
        async with calling(bridge, "anything") as caller:
            await account_when(
                bridge, caller, lambda told: any(each["is_over"] for each in told["utterances"])
            )
            await caller.say(clip)
            reason = await asyncio.wait_for(asyncio.shield(caller.call.ended), 30)
        bridge.stop()
    heard = await asyncio.to_thread(transcribe, caller.heard().pcm)
    print(heard)

    assert reason == "callee hung up"
    assert "you said" in heard.lower()
    assert word_errors(said, heard.lower().partition("you said")[2]) <= 0.3
    assert not any("goodbye" in line for line in bridge.output)


async def serve_one_registration(pbx: Phone) -> Request:
    desk = RegistrarDesk(pbx)
    async with asyncio.timeout(60):
        first = parsed_request(await pbx.heard.get())
    pbx.peer = first.via.host, first.via.port or 5060
    pbx.heard.put_nowait(bytes(first))
    return await desk.serve()
