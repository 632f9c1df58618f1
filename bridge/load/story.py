"""What the bridge says of a call, as `GET /api/calls/{id}` tells it, read with care."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from bridge.errors import RemoteProtocolError

__all__ = ["BargeInStory", "CallStory", "UtteranceStory"]

_MARKS = ("t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7")


@dataclass(frozen=True, slots=True)
class UtteranceStory:
    """One thing the bot said, or tried to say."""

    text: str
    heard: str
    unheard: str
    interrupted: bool
    estimated: bool
    first_text_ns: int | None
    """When its first text was handed over for synthesis."""
    first_audio_ns: int | None


@dataclass(frozen=True, slots=True)
class BargeInStory:
    """The bridge's own stage marks of one interruption, monotonic ns; None where a stage did not happen."""

    marks: Mapping[str, int | None]
    cause: str


@dataclass(frozen=True, slots=True)
class CallStory:
    utterances: tuple[UtteranceStory, ...]
    barge_ins: tuple[BargeInStory, ...]
    breaches: tuple[str, ...]
    counters: Mapping[str, float]
    """The leg's counters, e.g. `tx_packets`."""
    ended_ns: int | None = None
    """When those counters were read for the last time."""

    @classmethod
    def read(cls, told: Mapping[str, object]) -> Self:
        """Read the decoded JSON.

        Raises:
            RemoteProtocolError: If it is not the story of a call.
        """
        try:
            media = told["media"]
            return cls(
                utterances=tuple(_utterance(item) for item in _maps(told["utterances"])),
                barge_ins=tuple(_barge_in(item) for item in _maps(told["barge_ins"])),
                breaches=tuple(str(item) for item in _list(told["breaches"])),
                counters={str(k): float(v) for k, v in _map(media).items() if isinstance(v, int | float)},
                ended_ns=_instant(told.get("ended_ns")),
            )
        except (KeyError, TypeError) as error:
            raise RemoteProtocolError(
                f"the bridge's account of the call cannot be read: {error!r}"
            ) from error


def _utterance(item: Mapping[str, object]) -> UtteranceStory:
    return UtteranceStory(
        text=str(item["text"]),
        heard=str(item["heard"]),
        unheard=str(item["unheard"]),
        interrupted=bool(item["interrupted"]),
        estimated=bool(item["estimated"]),
        first_text_ns=_instant(item.get("first_text_ns")),
        first_audio_ns=_instant(item.get("first_audio_ns")),
    )


def _barge_in(item: Mapping[str, object]) -> BargeInStory:
    return BargeInStory({mark: _instant(item.get(mark)) for mark in _MARKS}, str(item.get("cause", "")))


def _instant(value: object) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(f"a list was expected, not {value!r}")
    return value


def _map(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise TypeError(f"an object was expected, not {value!r}")
    return value


def _maps(value: object) -> list[Mapping[str, object]]:
    return [_map(item) for item in _list(value)]
