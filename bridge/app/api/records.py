"""What can be asked of one call: all that is known, its timeline, its transcript, its recording."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from bridge.aio.access import Access, access_of
from bridge.app.api.answers import CallDetail, Timeline, Transcript
from bridge.app.api.operation import Operation, Outcome
from bridge.app.api.problem import Problem
from bridge.call.ledger import Ledger
from bridge.call.timeline import timeline_of, transcript_of
from bridge.call.trace import TEXTS, CallTrace

__all__ = ["Records", "hidden"]

_ONE = "/api/calls/{id}"
_OPENS = "http.read_token_opens"


class Download(BaseModel):
    """How a recording is wanted."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    download: bool = False
    """Whether a browser is to save it rather than play it."""


class Records:
    """Serves what is read of single calls.

    Args:
        ledger: The calls.
        recordings: Folder of the recordings.
        budget_ms: What each stage of an interruption may take.
    """

    def __init__(self, ledger: Ledger, recordings: Path, budget_ms: Mapping[str, float]) -> None:
        self._ledger = ledger
        self._recordings = recordings
        self._budget_ms = budget_ms

    def operations(self) -> list[Operation]:
        """What the API is asked for."""
        return [
            Operation(
                "GET", _ONE, "Tell everything about a call", self._show, answer=CallDetail, problems=(404,)
            ),
            Operation(
                "GET",
                f"{_ONE}/timeline",
                "Draw a call",
                self._timeline,
                answer=Timeline,
                problems=(404,),
                text="Both voices, our silences at a sound, keys, and the stages of each interruption"
                " against their budgets.",
            ),
            Operation(
                "GET",
                f"{_ONE}/transcript",
                "Tell who said what",
                self._transcript,
                answer=Transcript,
                problems=(403, 404),
                text="As far as `recording.transcripts` had it kept.",
            ),
            Operation(
                "GET",
                f"{_ONE}/recording",
                "Hear a call",
                self._recording,
                query=Download,
                content_type="audio/wav",
                problems=(403, 404, 409),
                text="Stereo: caller left, bot right. `Range` is understood (RFC 9110 §14).",
            ),
        ]

    async def kept(self, request: web.Request) -> dict[str, Any]:
        """A call in full, be it over for long.

        Raises:
            Problem: If there is none.
        """
        id = request.match_info["id"]
        if (found := await self._ledger.find(id)) is None:
            raise _missing(id)
        return found

    async def _show(self, request: web.Request, _order: None) -> Outcome:
        found = await self.kept(request)
        is_there = found["state"] == "ended" and await asyncio.to_thread(self._file(found["id"]).is_file)
        return Outcome(hidden(found | {"has_recording": is_there}, access_of(request)))

    async def _timeline(self, request: web.Request, _order: None) -> Outcome:
        return Outcome(timeline_of(await self._trace(request), self._budget_ms))

    async def _transcript(self, request: web.Request, _order: None) -> Outcome:
        if not access_of(request).transcripts:
            raise Problem(403, "this token does not open transcripts", fix=f"add transcripts to {_OPENS}")
        trace = await self._trace(request)
        lines = transcript_of(trace)
        if lines is None:
            raise Problem(404, "no transcript is kept of this call", fix="switch recording.transcripts on")
        return Outcome({"call": trace.id, "lines": lines})

    async def _recording(self, request: web.Request, order: Download) -> Outcome:
        if not access_of(request).recordings:
            raise Problem(403, "this token does not open recordings", fix=f"add recordings to {_OPENS}")
        trace = await self._trace(request)
        if trace.state != "ended":
            raise Problem(409, "the recording is not whole before the call is over")
        # The name is made of our own id, never of what was asked for.
        path = self._file(trace.id)
        if not await asyncio.to_thread(path.is_file):
            raise Problem(404, "there is no recording of this call", fix="switch recording.enabled on")
        way = "attachment" if order.download else "inline"
        headers = {"Content-Type": "audio/wav", "Content-Disposition": f'{way}; filename="{path.name}"'}
        return Outcome(response=web.FileResponse(path, headers=headers))

    async def _trace(self, request: web.Request) -> CallTrace:
        id = request.match_info["id"]
        if (trace := await self._ledger.look_up(id)) is None:
            raise _missing(id)
        return trace

    def _file(self, id: str) -> Path:
        return self._recordings / f"{id}.wav"


def hidden(detail: dict[str, Any], access: Access) -> dict[str, Any]:
    """A call in full, without what a token does not open."""
    if access.transcripts:
        return detail
    utterances = [each | dict.fromkeys(TEXTS) for each in detail["utterances"]]
    return detail | {"utterances": utterances, "words": [], "has_transcript": False}


def _missing(id: str) -> Problem:
    return Problem(404, f"there is no call {id}")
