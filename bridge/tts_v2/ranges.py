"""The documented ranges, checked before anything is sent."""

from collections.abc import Callable, Mapping
from functools import partial

from bridge.cosyvoice.formats import BIT_RATES, FACTORS, SEEDS, VOLUMES
from bridge.cosyvoice.limits import INSTRUCTION_CHARACTERS
from bridge.text.characters import count_characters
from bridge.text.hot_fix import HotFix, HotFixError
from bridge.tts_v2.errors import InvalidParameter, InvalidParameterType

__all__ = ["LANGUAGES", "check_parameters"]

LANGUAGES = ("zh", "en", "fr", "de", "ja", "ko", "ru", "pt", "th", "id", "vi", "es", "it", "ms", "fil", "ar")
"""What `language_hints` may begin with: the reference's list and its later additions."""

_NAMES = {"rate": "speech_rate", "pitch": "pitch_rate", "type": "synthesis_type"}
"""What the constructor calls them, where the wire says otherwise."""


def check_parameters(parameters: Mapping[str, object]) -> None:
    """Check what a run-task would carry, wherever each value came from; unknown names pass.

    Raises:
        InvalidParameter: If a value is out of its documented range; names it and the range.
        InvalidParameterType: If a value has the wrong type.
    """
    for key, check in _CHECKS.items():
        if (value := parameters.get(key)) is not None:
            check(_NAMES.get(key, key), value)


def _whole(name: str, value: object, *, span: tuple[int, int] | None = None) -> None:
    wanted = "an integer" if span is None else f"an integer from {span[0]} to {span[1]}"
    # JSON knows one kind of number: 50.0 is 50.
    if isinstance(value, bool) or not (
        isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    ):
        kind = InvalidParameter if isinstance(value, float) else InvalidParameterType
        raise kind(f"{name} must be {wanted}, not {value!r:.60}")
    if span is not None and not span[0] <= value <= span[1]:
        raise InvalidParameter(f"{name} must be {wanted}, not {value!r:.60}")


def _decimal(name: str, value: object) -> None:
    low, high = FACTORS
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InvalidParameterType(f"{name} must be a number from {low} to {high}, not {value!r:.60}")
    if not low <= value <= high:
        raise InvalidParameter(f"{name} must be a number from {low} to {high}, not {value!r:.60}")


def _flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise InvalidParameterType(f"{name} must be True or False, not {value!r:.60}")


def _string(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise InvalidParameterType(f"{name} must be a string, not {value!r:.60}")


def _voice(name: str, value: object) -> None:
    _string(name, value)
    if not value:
        raise InvalidParameter(f"{name} must not be empty")


def _instruction(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise InvalidParameterType(f"{name} must be a string, not {value!r:.60}")
    if (length := count_characters(value)) > INSTRUCTION_CHARACTERS:
        raise InvalidParameter(
            f"{name} must have at most {INSTRUCTION_CHARACTERS} characters, "
            f"a hanzi counted as two, not {length}"
        )


def _languages(name: str, value: object) -> None:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise InvalidParameterType(f"{name} must be a list of strings, not {value!r:.60}")
    if value and value[0] not in LANGUAGES:
        raise InvalidParameter(f"{name} must begin with one of {', '.join(LANGUAGES)}, not {value[0]!r:.60}")


def _hot_fix(_name: str, value: object) -> None:
    try:
        HotFix.from_wire(value)
    except HotFixError as error:
        kind = InvalidParameterType if error.is_kind else InvalidParameter
        raise kind(str(error)) from None


_CHECKS: Mapping[str, Callable[[str, object], None]] = {
    "voice": _voice,
    "volume": partial(_whole, span=VOLUMES),
    "rate": _decimal,
    "pitch": _decimal,
    "seed": partial(_whole, span=SEEDS),
    "type": _whole,
    "bit_rate": partial(_whole, span=BIT_RATES),
    "instruction": _instruction,
    "language_hints": _languages,
    "enable_ssml": _flag,
    "word_timestamp_enabled": _flag,
    "enable_markdown_filter": _flag,
    "enable_aigc_tag": _flag,
    "aigc_propagator": _string,
    "aigc_propagate_id": _string,
    "hot_fix": _hot_fix,
}
