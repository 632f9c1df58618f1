"""Inline SVG of a call: two waveforms on one time axis, marks above them, sentences below."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from bridge.load.mixdown import RATE, Mixdown

__all__ = ["Band", "Mark", "draw_call"]

_WIDTH = 1120
_LEFT = 64
_RIGHT = 14
_LANE = 92
_LABEL_ROOM = 30
"""Two labels closer than this would be printed over each other."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line with a name above it."""

    name: str
    title: str
    """Shown when the pointer rests on it."""
    at_s: float


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of time with a caption beneath the waveforms."""

    kind: str
    """CSS class: ``said``, ``cut``, ``caller`` or ``pause``."""
    caption: str
    begin_s: float
    end_s: float


class _Axis:
    """Seconds to pixels."""

    def __init__(self, begin_s: float, end_s: float) -> None:
        self.begin_s = begin_s
        self.end_s = end_s
        self._scale = (_WIDTH - _LEFT - _RIGHT) / (end_s - begin_s)

    def x(self, second: float) -> float:
        return _LEFT + (min(max(second, self.begin_s), self.end_s) - self.begin_s) * self._scale

    def shows(self, begin_s: float, end_s: float) -> bool:
        return end_s > self.begin_s and begin_s < self.end_s

    def ticks(self) -> list[float]:
        """Round seconds, about ten of them."""
        rough = (self.end_s - self.begin_s) / 10
        unit = 10 ** math.floor(math.log10(rough))
        step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
        first = math.ceil(self.begin_s / step)
        return [tick * step for tick in range(first, math.floor(self.end_s / step) + 1)]


def draw_call(
    mix: Mixdown,
    *,
    begin_s: float,
    end_s: float,
    marks: Sequence[Mark],
    bands: Iterable[Band],
    origin_s: float,
    unit: str,
    description: str,
) -> str:
    """Draw a stretch of a call.

    Args:
        mix: Both sides of the call.
        begin_s: First second shown; what lies before the call is left out.
        end_s: Last second shown.
        marks: Lines across both lanes.
        bands: Captions below them; those out of sight are left out.
        origin_s: Which second of the call the axis calls zero.
        unit: ``s`` or ``ms``: what the axis counts in.
        description: What a screen reader says of the drawing.
    """
    axis = _Axis(max(0.0, begin_s), min(mix.duration_s, end_s))
    top = 40 if marks else 8
    bot_top = top + _LANE + 10
    bottom = bot_top + _LANE
    height = bottom + 58
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(description)}">',
        *_grid(axis, top, bottom, origin_s, unit),
        _lane("caller", "caller", mix.caller, axis, top),
        _lane("bot", "bot", mix.bot, axis, bot_top),
        *_bands(axis, bands, top, bottom),
        *_marks(axis, marks, top, bottom),
        "</svg>",
    ]
    return "\n".join(parts)


def _lane(css: str, name: str, pcm: NDArray[np.int16], axis: _Axis, top: int) -> str:
    middle, half = top + _LANE / 2, _LANE / 2 - 2
    return (
        f'<text class="lane {css}" x="{_LEFT - 10}" y="{middle + 4}" text-anchor="end">{name}</text>'
        f'<line class="zero" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{middle}" y2="{middle}"/>'
        f'<path class="{css}" d="{_outline(pcm, axis, middle, half)}"/>'
    )


def _outline(pcm: NDArray[np.int16], axis: _Axis, middle: float, half: float) -> str:
    """The highest and the lowest sample under every pixel, as one closed shape."""
    first, last = int(axis.begin_s * RATE), min(len(pcm), int(axis.end_s * RATE))
    columns = min(_WIDTH - _LEFT - _RIGHT, max(2, last - first))
    edges = np.linspace(first, max(first + columns, last), columns + 1).astype(int)
    padded = np.pad(pcm, (0, max(0, int(edges[-1]) - len(pcm)))).astype(np.float64) / 32768
    high = np.maximum.reduceat(padded[: edges[-1]], edges[:-1])
    low = np.minimum.reduceat(padded[: edges[-1]], edges[:-1])
    # Speech at -20 dBFS would be a thin line; the square root shows soft sounds and keeps silence flat.
    high, low = (np.sign(curve) * np.sqrt(np.abs(curve)) for curve in (high, low))
    x = [axis.x(edge / RATE) for edge in edges[:-1].tolist()]
    upper = [f"{px:.1f},{middle - half * value:.1f}" for px, value in zip(x, high.tolist(), strict=True)]
    lower = [f"{px:.1f},{middle - half * value:.1f}" for px, value in zip(x, low.tolist(), strict=True)]
    return "M" + "L".join(upper + lower[::-1]) + "Z"


def _grid(axis: _Axis, top: int, bottom: int, origin_s: float, unit: str) -> list[str]:
    factor = 1000 if unit == "ms" else 1
    shifted = _Axis(axis.begin_s - origin_s, axis.end_s - origin_s)
    parts = []
    for tick in shifted.ticks():
        x = shifted.x(tick)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>')
        label = f"{tick * factor:g} {unit}" if tick else f"0 {unit}"
        parts.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{label}</text>')
    return parts


def _bands(axis: _Axis, bands: Iterable[Band], top: int, bottom: int) -> list[str]:
    parts = []
    for band in bands:
        if not axis.shows(band.begin_s, band.end_s):
            continue
        x, width = axis.x(band.begin_s), max(1.0, axis.x(band.end_s) - axis.x(band.begin_s))
        room = int((width - 10) / 6.9)
        caption = band.caption if len(band.caption) <= room else band.caption[: max(0, room - 1)] + "…"
        parts.append(
            f'<g class="band {band.kind}"><title>{escape(band.caption)}</title>'
            f'<rect class="wash" x="{x:.1f}" y="{top}" width="{width:.1f}" height="{bottom - top}"/>'
            f'<rect class="bar" x="{x:.1f}" y="{bottom + 26}" width="{width:.1f}" height="22" rx="4"/>'
            + (f'<text x="{x + 6:.1f}" y="{bottom + 41}">{escape(caption)}</text>' if room > 3 else "")
            + "</g>"
        )
    return parts


def _marks(axis: _Axis, marks: Sequence[Mark], top: int, bottom: int) -> list[str]:
    """Lines where they belong, names where there is room, and a slanted line between the two."""
    shown = sorted((m for m in marks if axis.shows(m.at_s, m.at_s + 1e-6)), key=lambda mark: mark.at_s)
    places = _spread([axis.x(mark.at_s) for mark in shown])
    parts = []
    for mark, label_x in zip(shown, places, strict=True):
        x = axis.x(mark.at_s)
        parts.append(
            f'<g class="mark"><title>{escape(mark.title)}</title>'
            f'<path d="M{label_x:.1f},20L{x:.1f},{top - 4}V{bottom}"/>'
            f'<text x="{label_x:.1f}" y="15" text-anchor="middle">{escape(mark.name)}</text></g>'
        )
    return parts


def _spread(places: Sequence[float]) -> list[float]:
    """Move labels apart, as little as need be, and keep them inside the drawing."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + _LABEL_ROOM) if moved else max(place, _LEFT))
    limit = float(_WIDTH - _RIGHT - 10)
    for index in range(len(moved) - 1, -1, -1):
        moved[index] = min(moved[index], limit)
        limit = moved[index] - _LABEL_ROOM
    return moved
