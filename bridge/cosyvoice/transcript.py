"""What a recognition task tells of one sentence, and its JSON form (Paraformer and Fun-ASR realtime)."""

from dataclasses import dataclass

from bridge.cosyvoice.json_values import object_of, whole_of

__all__ = ["Transcript", "transcript_of", "transcript_payload"]


@dataclass(frozen=True, slots=True)
class Transcript:
    """One sentence as far as it is understood; the next one of its task takes its place until it is final."""

    text: str
    begin_ms: int = 0
    """From the first sample of the task."""
    end_ms: int | None = None
    """None while the sentence goes on."""
    is_final: bool = False
    is_heartbeat: bool = False
    """Whether it only says that the service lives."""
    duration_s: int | None = None
    """Sound of the task so far that is paid for; with final sentences."""


def transcript_of(payload: dict[str, object]) -> Transcript | None:
    """Read the payload of a result-generated; None where it is not of a recognition."""
    sentence = object_of(object_of(payload.get("output")).get("sentence"))
    text, is_end = sentence.get("text"), sentence.get("sentence_end")
    if not isinstance(text, str):
        return None
    end_ms = whole_of(sentence.get("end_time"))
    return Transcript(
        text=text,
        begin_ms=max(0, whole_of(sentence.get("begin_time")) or 0),
        end_ms=end_ms,
        # Older generations have no sentence_end: there, a sentence with an end is over.
        is_final=is_end if isinstance(is_end, bool) else end_ms is not None,
        is_heartbeat=sentence.get("heartbeat") is True,
        duration_s=whole_of(object_of(payload.get("usage")).get("duration")),
    )


def transcript_payload(told: Transcript) -> dict[str, object]:
    """Write the payload of a result-generated."""
    sentence: dict[str, object] = {
        "begin_time": told.begin_ms,
        "end_time": told.end_ms,
        "text": told.text,
        "heartbeat": told.is_heartbeat,
        "sentence_end": told.is_final,
        "words": [],
    }
    usage = None if told.duration_s is None else {"duration": told.duration_s}
    return {"output": {"sentence": sentence}, "usage": usage}
