"""Another fundamental frequency for a spectrum that was made for one: as loud, with no trace of the old."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["UNVOICED_HZ", "intoned", "repitched"]

UNVOICED_HZ = 40.0
"""Frames with a lower F0 have no pitch."""

_BIN_HZ = 20.0
_HARMONICS = np.arange(1, 61)[:, None]
_HIGHEST_HZ = 11000.0
# The branch with free phases holds, about 12 dB down, what the harmonics missed: at the old pitch.
_RESIDUE_BINS = 150
_RESIDUE_DROP = 1.2  # natural logarithm of the amplitude: 10 dB
_FARTHEST = 1.5

Spectrum = NDArray[np.float32]


def intoned(f0_hz: Spectrum, scale: float, liveliness: float = 1.0) -> Spectrum:
    """Scale the pitch of a sentence, and how far it moves.

    Args:
        f0_hz: Fundamental frequency of each frame; those below `UNVOICED_HZ` stay as they are.
        scale: Factor of its (geometric) mean.
        liveliness: Factor of the distance from the mean, in semitones; 0 is monotone.
    """
    voiced = f0_hz > UNVOICED_HZ
    if (scale == 1.0 and liveliness == 1.0) or not voiced.any():
        return f0_hz
    if liveliness == 1.0:
        return np.where(voiced, f0_hz * np.float32(scale), f0_hz)
    tone = np.log(np.maximum(f0_hz, np.float32(UNVOICED_HZ)))
    mean = float(tone[voiced].mean())
    moved = np.exp(mean + liveliness * (tone - mean)) * scale
    return np.asarray(np.where(voiced, moved, f0_hz), np.float32)


def repitched(
    harmonic: Spectrum, residue: Spectrum, before_hz: Spectrum, after_hz: Spectrum
) -> tuple[Spectrum, Spectrum]:
    """Fit a spectrum to another pitch; each frame keeps its energy.

    Args:
        harmonic: Log amplitude at each bin of 20 Hz (rows) and frame (columns).
        residue: The same of the branch that the pitch does not drive.
        before_hz: Fundamental frequency of each frame that the spectrum was made for.
        after_hz: The one that it will be driven with.
    """
    moved = before_hz != after_hz
    if not moved.any():
        return harmonic, residue
    # New harmonics lie elsewhere on the envelope, and their number differs: a man would be 5 dB louder.
    change = 0.5 * (_log_energy(harmonic, before_hz) - _log_energy(harmonic, after_hz))
    harmonic = harmonic + np.where(moved, np.clip(change, -_FARTHEST, _FARTHEST), np.float32(0))
    residue = residue.copy()
    residue[:_RESIDUE_BINS, moved] -= np.float32(_RESIDUE_DROP)
    return harmonic, residue


def _log_energy(harmonic: Spectrum, f0_hz: Spectrum) -> Spectrum:
    at_hz = _HARMONICS * f0_hz
    bins = np.minimum(np.rint(at_hz / _BIN_HZ).astype(np.intp), len(harmonic) - 1)
    energy = np.exp(2 * np.minimum(harmonic[bins, np.arange(len(f0_hz))], 7.0))
    energy[at_hz > _HIGHEST_HZ] = 0.0
    return np.asarray(np.log(energy.sum(axis=0) + 1e-9), np.float32)
