"""One line an event, for people or for a collector; what callers say, type or are called never gets in.

Messages are constant sentences; what varies goes into fields: ``log.info("call ended", extra={"call": id})``.
"""

import datetime
import json
import logging
import sys
import traceback
from pathlib import Path
from typing import Literal, TextIO

from bridge.app.lines import one_line

__all__ = ["REDACTED", "JsonLines", "TextLines", "configure"]

REDACTED = frozenset(
    {
        "api_key", "authorization", "callee", "caller", "called", "calling", "digit", "digits", "from_uri",
        "from_user", "greeting", "heard", "heard_text", "key", "number", "password", "remote_uri", "reply",
        "sdp", "secret", "speech", "text", "to_uri", "to_user", "token", "transcript", "unheard",
        "unheard_text", "uri", "user", "words",
    }
)  # fmt: skip
"""Fields whose values are replaced by ``***``, whatever they hold."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_LONGEST_VALUE = 300
_MOST_FRAMES = 6
_HERE = Path(__file__).parent.parent


def configure(
    level: str = "info", format: Literal["text", "json"] = "text", *, stream: TextIO | None = None
) -> None:
    """Send every log line of this process to `stream`, standard error by default; call it again to change."""
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(JsonLines() if format == "json" else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    # Below that they tell of headers and whole messages: keys and callers' words.
    for name in ("aiohttp", "websockets", "asyncio"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


class TextLines(logging.Formatter):
    """``2026-01-31T12:00:00.123Z info  call.session: call ended call=4f2a reason="caller hung up"``."""

    def format(self, record: logging.LogRecord) -> str:
        message = one_line(record.getMessage())
        head = f"{_stamp(record)} {record.levelname.lower():<7} {_room(record.name)}: {message}"
        fields = {**_fields(record), **_fault(record)}
        return " ".join([head, *(f"{name}={_quoted(value)}" for name, value in fields.items())])


class JsonLines(logging.Formatter):
    """One JSON object a line, with `time`, `level`, `room`, `message` and the fields."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _stamp(record),
            "level": record.levelname.lower(),
            "room": _room(record.name),
            "message": record.getMessage(),
            **{
                f"field_{name}" if name in _RESERVED else name: value
                for name, value in _fields(record).items()
            },
            **_fault(record),
        }
        return json.dumps(line, ensure_ascii=False, default=str)


_RESERVED = ("time", "level", "room", "message", "error", "at")


def _stamp(record: logging.LogRecord) -> str:
    moment = datetime.datetime.fromtimestamp(record.created, tz=datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _room(name: str) -> str:
    return name.removeprefix("bridge.")


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {
        name: "***" if name in REDACTED else value
        for name, value in vars(record).items()
        if name not in _STANDARD
    }


def _fault(record: logging.LogRecord) -> dict[str, object]:
    """Put an exception into two fields: what it says, and the innermost places it passed through."""
    if not record.exc_info or record.exc_info[1] is None:
        return {}
    error = record.exc_info[1]
    frames = traceback.extract_tb(error.__traceback__)[-_MOST_FRAMES:]
    places = [f"{_short(frame.filename)}:{frame.lineno}" for frame in reversed(frames)]
    return {"error": f"{type(error).__name__}: {error}", "at": " < ".join(places)}


def _short(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(_HERE)) if path.is_relative_to(_HERE) else path.name


def _quoted(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = one_line(str(value))
    if len(text) > _LONGEST_VALUE:
        text = text[: _LONGEST_VALUE - 1] + "…"
    if not text or any(character in text for character in ' "='):
        text = '"' + text.replace('"', '\\"') + '"'
    return text
