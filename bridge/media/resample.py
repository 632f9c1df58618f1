"""Changes the sampling frequency of a running stream (PyAV's swresample: 1 to 2 ms held back, no bursts)."""

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

__all__ = ["Resampler"]


class Resampler:
    """One mono 16-bit stream from one sampling frequency to another.

    Call it once per chunk as it comes from the voice, never per packet: the cost is the call.

    Args:
        rate_in: Sampling frequency of what is pushed, in Hz.
        rate_out: Sampling frequency wanted, in Hz; the same rate passes samples through untouched.
    """

    def __init__(self, rate_in: int, rate_out: int) -> None:
        if rate_in <= 0 or rate_out <= 0:
            raise ValueError(f"rates must be positive, not {rate_in} and {rate_out}")
        self._rate_in = rate_in
        self._rate_out = rate_out
        self._converter: AudioResampler | None = None
        # A chunk may end in the middle of a sample; its half waits here.
        self._half = b""

    def push(self, pcm: bytes) -> bytes:
        """Convert any number of bytes; what comes out are whole samples, maybe none yet."""
        pcm = self._half + pcm
        whole = len(pcm) & ~1
        self._half = pcm[whole:]
        if self._rate_in == self._rate_out:
            return pcm[:whole]
        if not whole:
            return b""
        if self._converter is None:
            self._converter = AudioResampler("s16", "mono", self._rate_out)
        samples = np.frombuffer(pcm, dtype="<i2", count=whole // 2).reshape(1, -1)
        frame = AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = self._rate_in
        return _join(self._converter.resample(frame))

    def flush(self) -> bytes:
        """Return the last samples of a stream that has ended; the next push begins another one.

        Half a sample, if one waits, is dropped.
        """
        self._half = b""
        if self._converter is None:
            return b""
        tail = _join(self._converter.resample(None))
        self._converter = None
        return tail


def _join(frames: list[AudioFrame]) -> bytes:
    return b"".join(frame.to_ndarray().astype("<i2", copy=False).tobytes() for frame in frames)
