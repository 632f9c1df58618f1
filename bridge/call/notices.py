"""What is told about a call, out of what happens in it: names and fields of the notices on the bus."""

from collections.abc import Mapping

from bridge.call.bus import Value
from bridge.call.hearing import CallerWords
from bridge.call.trace import CallTrace, UtteranceRecord
from bridge.engine.commands import LegEvent
from bridge.plane.events import Digit, Ducked, Flushed, Resumed, VoiceStarted, VoiceStopped

__all__ = ["of_event", "of_utterance", "of_words"]

Told = tuple[str, Mapping[str, Value]]


def of_event(event: LegEvent, *, rate_hz: int) -> Told | None:
    """Say what an event of the media process means to somebody outside; None for what means nothing there.

    Positions are told in ms of what was played on the call.
    """
    told: Told | None = None
    match event:
        case Digit(digit=digit, duration_ms=duration_ms):
            told = "digit", {"digit": digit, "duration_ms": duration_ms}
        case VoiceStarted():
            told = "voice.started", {}
        case VoiceStopped():
            told = "voice.stopped", {}
        case Ducked(position=position):
            told = "speech.ducked", {"at_ms": position * 1000 // rate_hz}
        case Resumed(position=position):
            told = "speech.resumed", {"at_ms": position * 1000 // rate_hz}
        case Flushed(position=position, cause=cause):
            told = "speech.flushed", {"at_ms": position * 1000 // rate_hz, "cause": cause}
    return told


def of_words(words: CallerWords) -> Told:
    """Say what the caller says. Whoever switched the recogniser on wants to know."""
    return "voice.words", {
        "id": words.id,
        "text": words.text,
        "final": words.is_final,
        "began_ns": words.began_ns,
        "ended_ns": words.ended_ns,
    }


def of_utterance(record: UtteranceRecord, trace: CallTrace) -> Told:
    """Say that an utterance has begun to sound, or what became of it; its text only if the call keeps it."""
    if not record.is_over:
        return "speech.started", {"id": record.label or None}
    told: dict[str, Value] = {
        "id": record.label or None,
        "interrupted": record.interrupted,
        "cause": record.cause or None,
        "error": record.failure or None,
        "played_ms": max(0, record.end_sample - record.start_sample) * 1000 // trace.rate_hz,
    }
    if trace.keeps_text:
        told |= {"heard": record.heard, "unheard": record.unheard}
    return "speech.ended", told
