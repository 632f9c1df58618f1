"""One call as a client of the desk follows it: everything at first, then what is new or has changed."""

from collections.abc import Mapping
from typing import Any

from bridge.call.ledger import Ledger
from bridge.call.timeline import Told, timeline_of, transcript_of
from bridge.call.trace import CallTrace

__all__ = ["Following"]

_MEDIA_EVERY_NS = 1_000_000_000


class Following:
    """What a client was told of one call.

    Args:
        call: Its id.
        ledger: The calls.
        budget_ms: What each stage of an interruption may take.
        opens_words: Whether the client may know what is said.
    """

    def __init__(
        self, call: str, ledger: Ledger, budget_ms: Mapping[str, float], *, opens_words: bool
    ) -> None:
        self._call = call
        self._ledger = ledger
        self._budget_ms = budget_ms
        self._opens_words = opens_words
        self._told = Told()
        self._state = ""
        self._media_ns = 0
        self._is_over = False

    async def news(self, *, now_ns: int) -> dict[str, Any] | None:
        """What is to be told now; None if that is nothing."""
        if self._is_over:
            return None
        trace = await self._ledger.look_up(self._call)
        if trace is None:
            self._is_over = True
            return {"call": self._call, "known": False}
        # Nothing of it can change any more, and what the archive has is not read twice.
        self._is_over = trace.state == "ended"
        session = self._ledger.session(trace.id)
        if session is not None and trace.keeps_text:
            session.speaker.note_progress()
        media = trace.media if session is None else session.media()
        timeline = timeline_of(trace, self._budget_ms, self._told)
        lines = transcript_of(trace, self._told) if self._opens_words else None
        return self._framed(trace, timeline, lines, media, now_ns)

    def _framed(
        self,
        trace: CallTrace,
        timeline: dict[str, Any],
        lines: list[dict[str, Any]] | None,
        media: Mapping[str, float],
        now_ns: int,
    ) -> dict[str, Any] | None:
        is_due = now_ns >= self._media_ns
        has_entries = any(isinstance(value, list) and value for value in timeline.values())
        if not (is_due or has_entries or lines or trace.state != self._state):
            return None
        self._state = trace.state
        if is_due:
            self._media_ns = now_ns + _MEDIA_EVERY_NS
        return {
            "call": self._call,
            "known": True,
            "timeline": timeline,
            "transcript": lines,
            "media": dict(media),
        }
