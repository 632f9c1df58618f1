"""The parameters of a task: how the voice speaks and how its sound is packed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.errors import RemoteProtocolError
from bridge.text.hot_fix import HotFix

__all__ = [
    "BIT_RATES",
    "CONTAINERS",
    "FACTORS",
    "OPUS_RATES",
    "RATES",
    "SEEDS",
    "VOLUMES",
    "TaskParameters",
]

CONTAINERS = ("pcm", "wav", "mp3", "opus")

RATES = (8000, 16000, 22050, 24000, 44100, 48000)
"""Sampling frequencies in Hz; opus, which has no 22050 and 44100, takes the other four."""

# Lowest and highest of what is documented.
VOLUMES = (0, 100)
SEEDS = (0, 65535)
BIT_RATES = (6, 510)
FACTORS = (0.5, 2.0)
"""Of speaking rate and pitch."""

_OPUS_BIT_RATE = 32
OPUS_RATES = (8000, 16000, 24000, 48000)
_KNOWN = frozenset(
    {
        "aigc_propagate_id",
        "aigc_propagator",
        "bit_rate",
        "enable_aigc_tag",
        "enable_markdown_filter",
        "enable_ssml",
        "format",
        "hot_fix",
        "instruction",
        "language_hints",
        "pitch",
        "rate",
        "sample_rate",
        "seed",
        "text_type",
        "type",
        "voice",
        "volume",
        "word_timestamp_enabled",
    }
)


@dataclass(frozen=True, slots=True)
class TaskParameters:
    """Parameters of a run-task, defaults filled in and ranges checked.

    The service's own defaults: mp3 at 22050 Hz, volume 50, rate and pitch 1.0.
    """

    voice: str | None = None
    """None when the client named none: to be refused as `bridge.cosyvoice.limits.NO_VOICE`."""
    format: str = "mp3"
    sample_rate: int = 22050
    volume: int = 50
    """0 is silence, 50 the voice as it is, 100 twice its amplitude."""
    rate: float = 1.0
    """Speaking rate, 0.5 to 2.0; not a sampling frequency."""
    pitch: float = 1.0
    seed: int = 0
    bit_rate: int | None = None
    """Kilobit per second, for opus and mp3; None is 32 for opus, and the usual rate for mp3."""
    enable_ssml: bool = False
    word_timestamp_enabled: bool = False
    language: str = ""
    """The first of the language hints; the service uses no other."""
    instruction: str = ""
    hot_fix: HotFix | None = None
    """None when it changes nothing."""
    enable_markdown_filter: bool = False
    enable_aigc_tag: bool = False
    aigc_propagator: str = ""
    aigc_propagate_id: str = ""
    extra: Mapping[str, object] = field(default_factory=dict)
    """What we know nothing about, ``x_fault`` for instance: passed through."""

    @classmethod
    def from_wire(cls, parameters: Mapping[str, object]) -> "TaskParameters":
        """Read the ``parameters`` of a run-task; JSON null means the default.

        Raises:
            RemoteProtocolError: If a value has the wrong type or is out of its range; says which.
        """
        given = {key: value for key, value in parameters.items() if value is not None}
        container, sample_rate = _sound(given)
        voice = given.get("voice")
        return cls(
            voice=voice if isinstance(voice, str) and voice else None,
            format=container,
            sample_rate=sample_rate,
            volume=_whole(given, "volume", 50, *VOLUMES),
            rate=_decimal(given, "rate"),
            pitch=_decimal(given, "pitch"),
            seed=_whole(given, "seed", 0, *SEEDS),
            bit_rate=_whole(given, "bit_rate", 0, *BIT_RATES) if "bit_rate" in given else None,
            # A preview client of the SDK says so in text_type.
            enable_ssml=_flag(given, "enable_ssml") or given.get("text_type") == "SSML",
            word_timestamp_enabled=_flag(given, "word_timestamp_enabled"),
            language=_language(given),
            instruction=_string(given, "instruction"),
            hot_fix=HotFix.from_wire(given.get("hot_fix", {})) or None,
            enable_markdown_filter=_flag(given, "enable_markdown_filter"),
            enable_aigc_tag=_flag(given, "enable_aigc_tag"),
            aigc_propagator=_string(given, "aigc_propagator"),
            aigc_propagate_id=_string(given, "aigc_propagate_id"),
            extra={key: value for key, value in given.items() if key not in _KNOWN},
        )

    def to_wire(self) -> dict[str, object]:
        """Write what a client sends; what has its default and may be left out is left out."""
        wire: dict[str, object] = {
            "text_type": "PlainText",
            "voice": self.voice,
            "format": self.format,
            "sample_rate": self.sample_rate,
            "volume": self.volume,
            "rate": self.rate,
            "pitch": self.pitch,
            "seed": self.seed,
            "type": 0,
        }
        bit_rate = self.bit_rate or (_OPUS_BIT_RATE if self.format == "opus" else None)
        optional: dict[str, object] = {
            "bit_rate": bit_rate,
            "enable_ssml": self.enable_ssml,
            "word_timestamp_enabled": self.word_timestamp_enabled,
            "language_hints": [self.language] if self.language else None,
            "instruction": self.instruction,
            "hot_fix": self.hot_fix.to_wire() if self.hot_fix else None,
            "enable_markdown_filter": self.enable_markdown_filter,
            "enable_aigc_tag": self.enable_aigc_tag,
            "aigc_propagator": self.aigc_propagator,
            "aigc_propagate_id": self.aigc_propagate_id,
        }
        wire |= {key: value for key, value in optional.items() if value}
        return wire | dict(self.extra)


def _sound(given: Mapping[str, object]) -> tuple[str, int]:
    # The SDK sends its defaults literally as "Default" and 0.
    container = given.get("format", "Default")
    if container == "Default":
        container = "mp3"
    if container not in CONTAINERS or not isinstance(container, str):
        raise _refuse("format", f"one of {', '.join(CONTAINERS)}", container)
    default = 24000 if container == "opus" else 22050
    sample_rate = given.get("sample_rate", 0)
    if sample_rate == 0 and not isinstance(sample_rate, bool):
        return container, default
    allowed = OPUS_RATES if container == "opus" else RATES
    if sample_rate not in allowed or not isinstance(sample_rate, int):
        raise _refuse("sample_rate", f"one of {', '.join(map(str, allowed))} for {container}", sample_rate)
    return container, sample_rate


def _whole(given: Mapping[str, object], key: str, default: int, low: int, high: int) -> int:
    value = given.get(key, default)
    # JSON knows one kind of number: 50.0 is 50.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise _refuse(key, f"an integer from {low} to {high}", value)
    return value


def _decimal(given: Mapping[str, object], key: str) -> float:
    value = given.get(key, 1.0)
    # NaN, which Python's JSON accepts, is in no range.
    low, high = FACTORS
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise _refuse(key, f"a number from {low} to {high}", value)
    return float(value)


def _flag(given: Mapping[str, object], key: str) -> bool:
    value = given.get(key, False)
    if not isinstance(value, bool):
        raise _refuse(key, "true or false", value)
    return value


def _string(given: Mapping[str, object], key: str) -> str:
    value = given.get(key, "")
    if not isinstance(value, str):
        raise _refuse(key, "a string", value)
    return value


def _language(given: Mapping[str, object]) -> str:
    hints = given.get("language_hints", [])
    if not isinstance(hints, list) or not all(isinstance(hint, str) for hint in hints):
        raise _refuse("language_hints", "a list of strings", hints)
    return hints[0] if hints else ""


def _refuse(key: str, wanted: str, got: object) -> RemoteProtocolError:
    return RemoteProtocolError(f"Parameter '{key}' must be {wanted}, not {got!r:.60}")
