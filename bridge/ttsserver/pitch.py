"""Another fundamental frequency for a spectrum that was made for one: as loud, with no trace of the old."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["UNVOICED_HZ", "repitched"]

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


def repitched(
    harmonic: Spectrum, residue: Spectrum, f0_hz: Spectrum, scale: float
) -> tuple[Spectrum, Spectrum, Spectrum]:
    """Scale the pitch of a sentence.

    Args:
        harmonic: Log amplitude at each bin of 20 Hz (rows) and frame (columns).
        residue: The same of the branch that the pitch does not drive.
        f0_hz: Fundamental frequency of each frame.
        scale: Factor of it.

    Returns:
        The three of them for the new pitch; each frame keeps its energy.
    """
    if scale == 1.0:
        return harmonic, residue, f0_hz
    voiced = f0_hz > UNVOICED_HZ
    shifted = np.where(voiced, f0_hz * np.float32(scale), f0_hz)
    # New harmonics lie elsewhere on the envelope, and their number differs: a man would be 5 dB louder.
    change = 0.5 * (_log_energy(harmonic, f0_hz) - _log_energy(harmonic, shifted))
    harmonic = harmonic + np.where(voiced, np.clip(change, -_FARTHEST, _FARTHEST), np.float32(0))
    residue = residue.copy()
    residue[:_RESIDUE_BINS, voiced] -= np.float32(_RESIDUE_DROP)
    return harmonic, residue, shifted


def _log_energy(harmonic: Spectrum, f0_hz: Spectrum) -> Spectrum:
    at_hz = _HARMONICS * f0_hz
    bins = np.minimum(np.rint(at_hz / _BIN_HZ).astype(np.intp), len(harmonic) - 1)
    energy = np.exp(2 * np.minimum(harmonic[bins, np.arange(len(f0_hz))], 7.0))
    energy[at_hz > _HIGHEST_HZ] = 0.0
    return np.asarray(np.log(energy.sum(axis=0) + 1e-9), np.float32)
