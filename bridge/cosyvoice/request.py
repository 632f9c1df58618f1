"""What is asked of a voice: every documented parameter by its name, checked before anything is sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self, TypedDict

from bridge.cosyvoice.formats import TaskParameters
from bridge.cosyvoice.limits import INSTRUCTION_CHARACTERS, INVALID_PARAMETER
from bridge.cosyvoice.message import RunTask
from bridge.errors import InvalidRequestError, RemoteProtocolError
from bridge.text.characters import count_characters

__all__ = ["Parameters", "VoiceRequest"]

_FLAGS = ("word_timestamp_enabled", "enable_ssml", "enable_markdown_filter", "enable_aigc_tag")
_TEXTS = ("aigc_propagator", "aigc_propagate_id")


class Parameters(TypedDict, total=False):
    """The fields of `VoiceRequest`, each of which may be left out."""

    model: str
    voice: str
    format: str
    sample_rate: int
    volume: int
    speech_rate: float
    pitch_rate: float
    seed: int
    bit_rate: int | None
    instruction: str
    language_hints: Sequence[str]
    word_timestamp_enabled: bool
    enable_ssml: bool
    hot_fix: Mapping[str, object] | None
    enable_markdown_filter: bool
    enable_aigc_tag: bool
    aigc_propagator: str
    aigc_propagate_id: str
    additional_params: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class VoiceRequest:
    """A voice and how it is to speak.

    Raises:
        InvalidRequestError: If a value is out of its documented range; names the value and the range.
    """

    model: str = "cosyvoice-v3-flash"
    voice: str = "longanyang"
    format: str = "pcm"
    """``pcm`` (16 bit, mono, no header), ``wav``, ``mp3`` or ``opus`` (in Ogg)."""
    sample_rate: int = 24_000
    """In Hz: 8000, 16000, 22050, 24000, 44100 or 48000; opus has no 22050 and 44100."""
    volume: int = 50
    """0 to 100, linear."""
    speech_rate: float = 1.0
    """0.5, slow, to 2.0."""
    pitch_rate: float = 1.0
    """0.5, deep, to 2.0."""
    seed: int = 0
    """0 to 65535; the same seed makes the same sound of the same text."""
    bit_rate: int | None = None
    """Of opus (and of mp3, where the model has it): 6 to 510 kbit/s. None leaves it to the service."""
    instruction: str = ""
    """Dialect, emotion or manner, in words; 100 characters at most, a hanzi counting two."""
    language_hints: Sequence[str] = ()
    """The first counts: ``("en",)``."""
    word_timestamp_enabled: bool = False
    enable_ssml: bool = False
    """The text is SSML; it is collected and sent as one message."""
    hot_fix: Mapping[str, object] | None = None
    """``{"pronunciation": [{word: pinyin}], "replace": [{from: to}]}``."""
    enable_markdown_filter: bool = False
    enable_aigc_tag: bool = False
    aigc_propagator: str = ""
    aigc_propagate_id: str = ""
    additional_params: Mapping[str, object] = field(default_factory=dict)
    """Further parameters as on the wire; they have the last word."""

    def __post_init__(self) -> None:
        for name in ("model", "voice"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise _refuse(f"{name} must be a name, not {getattr(self, name)!r:.60}")
        for name in _FLAGS:
            if not isinstance(getattr(self, name), bool):
                raise _refuse(f"{name} must be True or False, not {getattr(self, name)!r:.60}")
        for name in ("instruction", *_TEXTS):
            if not isinstance(getattr(self, name), str):
                raise _refuse(f"{name} must be a text, not {getattr(self, name)!r:.60}")
        if (count := count_characters(self.instruction)) > INSTRUCTION_CHARACTERS:
            raise _refuse(
                f"instruction must have {INSTRUCTION_CHARACTERS} characters at most, a hanzi counting two, "
                f"not {count}"
            )
        if isinstance(self.language_hints, str) or not all(isinstance(h, str) for h in self.language_hints):
            raise _refuse(f"language_hints must be a list of texts, not {self.language_hints!r:.60}")
        try:
            TaskParameters.from_wire(self.to_wire())
        except RemoteProtocolError as error:
            raise _refuse(_our_names(str(error))) from None

    @property
    def counted_rate(self) -> int:
        """The sampling frequency, in Hz, where the sound's samples can be counted; else 0."""
        parameters = TaskParameters.from_wire(self.to_wire())
        return parameters.sample_rate if parameters.format == "pcm" else 0

    @property
    def is_wav(self) -> bool:
        return self.to_wire()["format"] == "wav"

    @property
    def is_ssml(self) -> bool:
        return self.to_wire().get("enable_ssml") is True

    @classmethod
    def of(cls, parameters: Parameters) -> Self:
        """A request with these parameters and the defaults of the rest.

        Raises:
            TypeError: If there is no parameter of one of the names.
        """
        return cls(**parameters)

    def to_wire(self) -> dict[str, object]:
        """The ``parameters`` of a run-task; what has its default and may be left out is left out."""
        wire: dict[str, object] = {
            "text_type": "PlainText",
            "voice": self.voice,
            "format": self.format,
            "sample_rate": self.sample_rate,
            "volume": self.volume,
            "rate": self.speech_rate,
            "pitch": self.pitch_rate,
            "seed": self.seed,
            "type": 0,
        }
        if self.bit_rate is not None:
            wire["bit_rate"] = self.bit_rate
        if self.language_hints:
            wire["language_hints"] = list(self.language_hints)
        if self.instruction:
            wire["instruction"] = self.instruction
        if self.hot_fix is not None:
            wire["hot_fix"] = dict(self.hot_fix) if isinstance(self.hot_fix, Mapping) else self.hot_fix
        wire |= {name: True for name in _FLAGS if getattr(self, name)}
        wire |= {name: getattr(self, name) for name in _TEXTS if getattr(self, name)}
        return wire | dict(self.additional_params)

    def run_task(self, task_id: str) -> RunTask:
        return RunTask(task_id, self.model, self.to_wire())


def _our_names(message: str) -> str:
    """The service speaks of rate and pitch where our arguments are speech_rate and pitch_rate."""
    for wire, ours in (("'rate'", "'speech_rate'"), ("'pitch'", "'pitch_rate'")):
        message = message.replace(f"Parameter {wire}", f"Parameter {ours}")
    return message


def _refuse(message: str) -> InvalidRequestError:
    return InvalidRequestError(message, code=INVALID_PARAMETER, retryable=False)
