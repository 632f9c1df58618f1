"""What a lab caller says: real speech in another voice than the bot's, with a known onset.

`render_clip` loads the voice into this process; `render_clip_apart` does it in a child, so that
a serving process pays neither the memory nor the milliseconds.
"""

import asyncio
import functools
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.errors import SetupError

__all__ = ["INTERRUPTION", "Clip", "render_clip", "render_clip_apart", "trim_to_onset"]

INTERRUPTION = "Okay, hold on a moment, I have a question about that."
"""It starts on a vowel, a clear onset, and its first word has a stop in it: a mouth that closes for 100 ms
must not pass for a door."""

RATE = 8000
_LEAD_SAMPLES = 80
"""What is kept before the onset: a mouth does not open in no time."""
_ONSET_LEVEL = 328
"""One hundredth of full scale, -40 dBFS: what is softer than that is breath."""
_PEAK = 16_000  # -6 dBFS: someone who speaks up
_PITCH = 1.12  # of a woman's voice: the shipped bot is a man


@dataclass(frozen=True, slots=True)
class Clip:
    """Something a caller says, at 8 kHz."""

    text: str
    pcm: NDArray[np.int16]
    onset_sample: int
    """Index of the first sample at -40 dBFS or more: when this is spoken the voice has begun."""

    @property
    def duration_ms(self) -> float:
        """From the onset to the clip's last sample."""
        return (len(self.pcm) - self.onset_sample) * 1000 / RATE


def trim_to_onset(text: str, pcm: NDArray[np.int16]) -> Clip:
    """Cut off all but 10 ms of what precedes the onset, and the silence after the last sound.

    Raises:
        ValueError: If nothing in `pcm` reaches -40 dBFS.
    """
    (loud,) = np.nonzero(np.abs(pcm.astype(np.int32)) >= _ONSET_LEVEL)
    if not len(loud):
        raise ValueError(f"a clip of {len(pcm)} samples without a sound in it")
    begin = max(0, int(loud[0]) - _LEAD_SAMPLES)
    kept = pcm[begin : int(loud[-1]) + 1].astype(np.int16)
    return Clip(text, kept, int(loud[0]) - begin)


@functools.lru_cache(maxsize=8)
def render_clip(text: str = INTERRUPTION, *, pitch: float = _PITCH) -> Clip:
    """Render `text` with the embedded voice, its F0 scaled by `pitch` so that it is another person's.

    Raises:
        UnspeakableError: If `text` is not English.
    """
    # Here, because it takes a second and 200 MB, and most who import this module only play clips.
    from bridge.media.resample import Resampler
    from bridge.ttsserver.hibari import HibariEngine
    from bridge.ttsserver.voice import Delivery

    rendered = HibariEngine().render(text, Delivery(pitch=pitch, with_words=False))
    resampler = Resampler(rendered.rate, RATE)
    pcm = np.frombuffer(resampler.push(rendered.samples.tobytes()) + resampler.flush(), "<i2")
    peak = max(1, int(np.abs(pcm.astype(np.int32)).max(initial=0)))
    return trim_to_onset(text, (pcm * (_PEAK / peak)).astype(np.int16))


async def render_clip_apart(text: str = INTERRUPTION, *, pitch: float = _PITCH) -> Clip:
    """Do as `render_clip`, in a child process.

    Raises:
        SetupError: If the child fails; says what it said.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bridge.load.clip",
        str(pitch),
        text,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, complaint = await child.communicate()
    if child.returncode:
        last_line = complaint.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
        raise SetupError(f"the caller's voice could not be rendered: {last_line[0]}")
    return trim_to_onset(text, np.frombuffer(output, "<i2"))


if __name__ == "__main__":
    sys.stdout.buffer.write(render_clip(sys.argv[2], pitch=float(sys.argv[1])).pcm.tobytes())
