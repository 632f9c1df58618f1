"""`cosybridge demo`: one real call to a bridge of our own, interrupted, measured and judged."""

import asyncio
import json as json_module
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from bridge.aio.cosyvoice_pool import CosyVoicePool, TtsSettings
from bridge.app.config import Config, load
from bridge.audio import PcmFormat
from bridge.call.routes import Route, choose
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.errors import CallEnded, NegotiationError, SetupError
from bridge.load.caller import Caller
from bridge.load.clip import Clip, render_clip_apart
from bridge.load.judge import Evidence, judge
from bridge.load.listen import Heard
from bridge.load.mixdown import Mixdown
from bridge.load.page import write_page
from bridge.load.report import Report, print_report, write_json
from bridge.load.scenario import in_mid_sentence, interrupt
from bridge.load.spawned import SpawnedBridge
from bridge.load.story import CallStory
from bridge.plane.g711 import encode_alaw, encode_ulaw
from bridge.ports import Voice

__all__ = ["run", "run_demo"]

_USER = "demo"
_DIAL_S = 10.0
_FIRST_SOUND_S = 10.0
_TALK_BEFORE_NS = 8_000_000_000
"""The greeting and a sentence or two come first; then the caller has had enough."""
_TALK_S = 20.0
_REPLY_S = 20.0
_AFTER_REPLY_NS = 1_500_000_000
_ACCOUNT_S = 5.0


def run(
    *,
    json: bool = False,
    cloud: bool = False,
    out: Path = Path("out/demo"),
    config: Path | None = None,
    sets: Sequence[str] = (),
) -> int:
    """Run the demo for a person, or with `json` for a program; return the exit code.

    Raises:
        BridgeError: If there was no call to judge: a port taken, a bad setting, no voice.
    """
    console = Console(stderr=json)

    def tell(step: str) -> None:
        if not json:
            console.print(step, style="dim", highlight=False)

    report = asyncio.run(run_demo(out=out, cloud=cloud, config=config, sets=sets, tell=tell))
    if json:
        sys.stdout.write(json_module.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n")
    else:
        print_report(report, console)
        console.print(
            f"written to {out}/: report.html, call.wav, transcript.json, report.json", highlight=False
        )
    return 0 if report.ok else 1


async def run_demo(
    *,
    out: Path,
    cloud: bool = False,
    config: Path | None = None,
    sets: Sequence[str] = (),
    tell: Callable[[str], None] = lambda step: None,
) -> Report:
    """Place the call, judge it, and write `out`.

    Args:
        out: Folder for call.wav, transcript.json, report.html and report.json; made if need be.
        cloud: Speak with the service that the settings name, which may cost money, rather than with the
            embedded one. Its speech differs from time to time, so payloads are not compared.
        config: Settings file for the bridge.
        sets: Further settings for it.
        tell: Receives a line about each step.

    Raises:
        BridgeError: If there was no call to judge.
    """
    sets = (*sets, "recording.transcripts=true", "sip.answer_after_ms=0", "log.level=warning")
    environment = None
    if cloud:
        environment = dict(os.environ)
    else:
        # Keys are ignored: without --cloud nothing may bill.
        sets = (*sets, "tts.url=embedded", "tts.api_key=", "tts_server.enabled=true")
    settings = load(config, sets=sets)
    _make_folder(out)
    dice = SystemDice()
    tell("rendering the caller's voice and starting a bridge on free ports …")
    clip, spawned = await asyncio.gather(
        render_clip_apart(),
        SpawnedBridge.start(dice=dice, sets=sets, config=config, environment=environment),
    )
    async with spawned:
        call = await _place_call(spawned, clip, tell)
        tell("hung up; comparing what arrived with what the voice service makes of the same text …")
        rendered: dict[str, NDArray[np.uint8]] | None = None
        if not cloud:
            rendered = await _rendered(spawned, settings, call)
    report = judge(
        Evidence(
            heard=call.heard,
            answered_ns=call.caller.answered_ns,
            onset_ns=call.onset_ns,
            script=clip.text,
            script_ms=clip.duration_ms,
            story=call.story,
            rendered=rendered,
            budget_ms=settings.bargein.budget_ms.model_dump(),
        )
    )
    await asyncio.to_thread(_write, report, call, out)
    return report


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that is over."""

    caller: Caller
    heard: Heard
    story: CallStory
    onset_ns: int


async def _place_call(spawned: SpawnedBridge, clip: Clip, tell: Callable[[str], None]) -> _Call:
    clock, dice = SystemClock(), SystemDice()
    async with await Caller.start(clock=clock, dice=dice) as caller:
        try:
            tell(f"calling {spawned.uri(_USER)} …")
            await caller.dial(spawned.uri(_USER), from_user="caller", timeout_s=_DIAL_S)
            first_ns = await caller.first_audible_ns(timeout_s=_FIRST_SOUND_S)
            tell("the bot talks …")
            await in_mid_sentence(caller, after_ns=first_ns + _TALK_BEFORE_NS, timeout_s=_TALK_S)
            tell("talking over it …")
            cut = await interrupt(caller, clip, dice=dice, now_ns=clock.now_ns())
            tell("listening to the reply …")
            await _hear_reply(spawned, caller)
        except NegotiationError as error:
            raise SetupError(f"{error}; the bridge said: {_last(spawned)}") from error
        except TimeoutError:
            raise SetupError(f"the call went quiet; the bridge said: {_last(spawned)}") from None
        except CallEnded as error:
            raise SetupError(f"the bridge hung up: {error.reason}; it said: {_last(spawned)}") from error
        await caller.hang_up()
        story = await _story(spawned, caller)
    return _Call(caller, caller.heard(), story, cut.onset_ns)


async def _hear_reply(spawned: SpawnedBridge, caller: Caller) -> None:
    """Return when the reply has been heard to its end and the bot has gone on for a while."""
    await spawned.call_when(caller.call.call_id, _has_gone_on, timeout_s=_REPLY_S)
    since_ns = SystemClock().now_ns()
    await caller.until(
        lambda tape: True if tape.latest(1)[0].arrival_ns > since_ns + _AFTER_REPLY_NS else None, timeout_s=5
    )


def _has_gone_on(told: dict[str, object]) -> bool:
    utterances = CallStory.read(told).utterances
    cut = next((i for i, utterance in enumerate(utterances) if utterance.interrupted), None)
    return cut is not None and len(utterances) > cut + 2 and utterances[cut + 2].first_audio_ns is not None


async def _story(spawned: SpawnedBridge, caller: Caller) -> CallStory:
    """The bridge's account, once it has closed its books."""
    told = await spawned.call_when(
        caller.call.call_id, lambda told: told.get("state") == "ended", timeout_s=_ACCOUNT_S
    )
    return CallStory.read(told)


async def _rendered(spawned: SpawnedBridge, settings: Config, call: _Call) -> dict[str, NDArray[np.uint8]]:
    """Ask the embedded service for the same texts again: it says the same text the same way each time."""
    voice = _voice(settings)
    encode = encode_ulaw if call.heard.payload_type == 0 else encode_alaw
    synthesizer = CosyVoicePool(TtsSettings(url=spawned.tts_url), clock=SystemClock(), dice=SystemDice())
    await synthesizer.start()
    rendered: dict[str, NDArray[np.uint8]] = {}
    try:
        await synthesizer.ready()
        for text in {utterance.text for utterance in call.story.utterances}:
            speech = synthesizer.speak(voice, PcmFormat(8000))
            await speech.send_text(text)
            await speech.finish()
            pcm = b"".join([piece async for piece in speech.audio()])
            rendered[text] = encode(np.frombuffer(pcm, "<i2").astype(np.int16))
    finally:
        await synthesizer.close()
    return rendered


def _voice(settings: Config) -> Voice:
    rows = [
        Route(to=row.to, voice=Voice(model=row.model, name=row.voice, language=row.language))
        for row in settings.routes
    ]
    route = choose(rows, _USER)
    if route is None:
        raise SetupError(f'no route answers {_USER!r}: the demo needs one, for instance to = "*"')
    return route.voice


def _make_folder(out: Path) -> None:
    """Find out before the call, not after it, that its proof cannot be kept."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"cannot make the folder {out}: {error.strerror or error}") from error


def _write(report: Report, call: _Call, out: Path) -> None:
    try:
        write_json(report, out)
        mix = Mixdown.of(tuple(call.caller.tape.sent), call.heard)
        mix.write_wav(out / "call.wav")
        write_page(report, mix, bot_begin_s=mix.second_of(call.heard.grid_ns), path=out / "report.html")
    except OSError as error:
        raise SetupError(f"cannot write into {out}: {error.strerror or error}") from error


def _last(spawned: SpawnedBridge) -> str:
    return next((line for line in reversed(spawned.lines) if line.strip()), "nothing")
