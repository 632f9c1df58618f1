"""The attributes of ``<speak>``: how a passage is spoken."""

import re

from bridge.text.markup import SsmlError
from bridge.text.passage import Manner

__all__ = ["EFFECTS", "read_manner"]

EFFECTS = ("robot", "lolita", "lowpass", "echo", "eq", "lpfilter", "hpfilter")
_ATTRIBUTES = (
    "voice",
    "rate",
    "pitch",
    "volume",
    "effect",
    "effectValue",
    "bgm",
    "backgroundMusicVolume",
)
_DECIMAL = re.compile(r"\+?[0-9]{1,4}(?:\.[0-9]{1,10})?")
_INTEGER = re.compile(r"[-+]?[0-9]{1,6}")
_BANDS = 8
_MOST_GAIN_DB = 20
_HIGHEST_HZ = 24_000
"""Half of the highest sampling frequency; the renderer knows the one that is used."""
_OLD_SPAN = 500
_LEAST_OLD = 10


def read_manner(attributes: dict[str, str]) -> Manner:
    """Read the attributes of one ``<speak>``.

    Raises:
        SsmlError: If one is unknown or out of its range.
    """
    for name in attributes:
        if name not in _ATTRIBUTES:
            raise SsmlError(f"<speak> has no attribute {name!r}; it takes {', '.join(_ATTRIBUTES)}")
    effect, values = _effect(attributes)
    return Manner(
        voice=_given(attributes, "voice") or None,
        rate=_factor(attributes, "rate"),
        pitch=_factor(attributes, "pitch"),
        volume=_volume(attributes, "volume"),
        effect=effect,
        effect_values=values,
        bed=_given(attributes, "bgm"),
        bed_volume=_bed_volume(attributes),
    )


def _given(attributes: dict[str, str], name: str) -> str:
    value = attributes.get(name)
    if value is not None and not value.strip():
        raise SsmlError(f"<speak {name}> is empty; give it a value or leave it out")
    return (value or "").strip()


def _factor(attributes: dict[str, str], name: str) -> float | None:
    """A factor from 0.5 to 2, or the whole number from -500 to 500 of an older product, whose 0 is 1.

    The older scale is that product's: 500 doubles, -500 halves, in between the duration changes evenly. From
    3 to 9 it is the slip of somebody who means a factor, and refused.
    """
    value = attributes.get(name)
    if value is None:
        return None
    text = value.strip()
    if _DECIMAL.fullmatch(text) and 0.5 <= float(text) <= 2:
        return float(text)
    if _INTEGER.fullmatch(text) and abs(old := int(text)) <= _OLD_SPAN and not 0 < old < _LEAST_OLD:
        return 1 / (1 - old / (2 * _OLD_SPAN)) if old > 0 else 1 / (1 - old / _OLD_SPAN)
    raise SsmlError(
        f"<speak {name}={_show(value)}> is out of range; it is a number from 0.5 to 2, "
        "or a whole number from -500 to 500 with 0 for unchanged"
    )


def _volume(attributes: dict[str, str], name: str) -> int | None:
    value = attributes.get(name)
    if value is None:
        return None
    if not _INTEGER.fullmatch(value.strip()) or not 0 <= int(value) <= 100:
        raise SsmlError(f"<speak {name}={_show(value)}> is out of range; it is a whole number from 0 to 100")
    return int(value)


def _bed_volume(attributes: dict[str, str]) -> int:
    volume = _volume(attributes, "backgroundMusicVolume")
    return Manner().bed_volume if volume is None else volume


def _effect(attributes: dict[str, str]) -> tuple[str, tuple[int, ...]]:
    effect, given = attributes.get("effect"), attributes.get("effectValue")
    if effect is None:
        if given is not None:
            raise SsmlError("<speak effectValue> needs effect; it is eq, lpfilter or hpfilter")
        return "", ()
    if effect not in EFFECTS:
        raise SsmlError(f"<speak effect={_show(effect)}> is unknown; it is one of {', '.join(EFFECTS)}")
    if effect not in ("eq", "lpfilter", "hpfilter"):
        if given is not None:
            raise SsmlError(f"<speak effect={effect!r}> takes no effectValue; eq, lpfilter and hpfilter do")
        return effect, ()
    values = (given or "").split()
    numbers = tuple(int(value) for value in values[: _BANDS + 1] if _INTEGER.fullmatch(value))
    if effect == "eq":
        if len(values) != _BANDS or len(numbers) != _BANDS or max(map(abs, numbers)) > _MOST_GAIN_DB:
            raise SsmlError(
                f"<speak effectValue={_show(given or '')}> does not fit eq; it is eight whole numbers "
                "from -20 to 20 with blanks between, in dB for 40, 100, 200, 400, 800, 1600, 4000, 12000 Hz"
            )
    elif len(values) != 1 or len(numbers) != 1 or not 0 < numbers[0] <= _HIGHEST_HZ:
        raise SsmlError(
            f"<speak effectValue={_show(given or '')}> does not fit {effect}; it is one frequency in Hz, "
            "a whole number above 0 and up to half the sample rate"
        )
    return effect, numbers


def _show(value: str) -> str:
    return repr(value if len(value) <= 40 else value[:40] + "…")
