"""What speech and music make the tone detector believe: false keys in an hour of each (talk-off)."""

import sys

import numpy as np
from numpy.typing import NDArray

from bridge.media.resample import Resampler
from bridge.plane.columns import FRAME_SAMPLES
from bridge.plane.g711 import decode_ulaw, encode_ulaw
from bridge.plane.tones import Tones
from bridge.ttsserver.casting import cast_of
from bridge.ttsserver.studio import shared_hibari
from bridge.ttsserver.voice import Delivery
from tests.bench.bench_tones import SpanDsp

_VOICES = (
    "longanyang", "longanhuan", "longhuhu_v3", "longanyun_v3", "longxiaochun_v2", "longwan_v2",
    "longcheng_v2", "longhua_v2", "longshu_v2", "longjielidou_v2",
)  # fmt: skip
_WORDS = """
seven eight mean we too you blue moon hello no yes please four five one operator number account morning
people eat sweet tea two new rule who school read real believe feeling meeting evening zoo shoe true
choose all along roll mall order more door store awful money many any ring long song strong among
anything nothing whistle easy queen green seem dream dinner winner final mine line nine time light right
night like mile I
"""
_RATE_HZ = 8000
_LEVELS_DB = (-10.0, 0.0, 8.0)
"""Around the level that the voice is made for; the loudest one clips now and then, as real talkers do."""


def speech(minutes: float, *, seed: int) -> NDArray[np.float64]:
    """Random words by ten cast voices, vowels and nasals among them more than fair."""
    dice, engine, words = np.random.default_rng(seed), shared_hibari(), _WORDS.split()
    parts, samples = [], 0
    while samples < minutes * 60 * _RATE_HZ:
        voice = _VOICES[int(dice.integers(len(_VOICES)))]
        text = " ".join(dice.choice(words, 10)) + "."
        delivery = Delivery(
            rate=float(dice.uniform(0.7, 1.3)),
            pitch=float(dice.uniform(0.85, 1.2)),
            seed=int(dice.integers(1000)),
            timbre=cast_of(voice).english,
            with_words=False,
        )
        made = engine.render(text, delivery)
        resampler = Resampler(made.rate, _RATE_HZ)
        pcm = resampler.push(made.samples.tobytes()) + resampler.flush()
        parts.append(np.frombuffer(pcm, "<i2").astype(np.float64))
        samples += len(parts[-1])
    return np.concatenate(parts)


def music(minutes: float, *, seed: int) -> NDArray[np.float64]:
    """Chords of one to four notes of the tempered scale: plucked, blown or bare, with and without vibrato."""
    dice, parts = np.random.default_rng(seed), []
    for _ in range(round(minutes * 60 / 0.4)):
        length = int(dice.uniform(0.1, 0.7) * _RATE_HZ)
        times = np.arange(length) / _RATE_HZ
        sound = np.zeros(length)
        partials = int(dice.choice([1, 1, 2, 4, 8]))
        for note in dice.integers(40, 96, int(dice.integers(1, 5))):
            hz = 440 * 2 ** ((note - 69) / 12)
            vibrato = dice.choice([0.0, 0.003]) * np.sin(2 * np.pi * 5.5 * times) / (2 * np.pi * 5.5)
            for partial in range(1, partials + 1):
                if hz * partial < 3600:
                    phase = 2 * np.pi * hz * partial * (times + vibrato) + dice.uniform(0, 6)
                    sound += np.sin(phase) / partial
        decay = np.exp(-times * dice.choice([0.0, 4.0, 12.0]))
        parts.append(sound * decay / max(1e-9, np.abs(sound).max()) * dice.uniform(2000, 16000))
    return np.concatenate(parts)


def false_keys(sound: NDArray[np.float64], *, gain_db: float = 0.0) -> list[str]:
    """Keys that were found in a sound that has none, after G.711."""
    pcm = np.clip(sound * 10 ** (gain_db / 20), -32768, 32767).astype(np.int16)
    pcm = decode_ulaw(encode_ulaw(pcm))
    # Many rows side by side: each hears its own stretch of it.
    rows = np.arange(64)
    frames = len(pcm) // FRAME_SAMPLES // len(rows)
    stretches = pcm[: frames * FRAME_SAMPLES * len(rows)].reshape(len(rows), frames, FRAME_SAMPLES)
    tones, found = Tones(len(rows)), []
    for at in range(frames):
        found += [change.digit for change in tones.hear(rows, stretches[:, at]) if change.is_down]
    return found


def main() -> None:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    other = SpanDsp.find()
    print("sound    level dB  minutes  false keys; libspandsp's")
    for name, sound in (("speech", speech(minutes, seed=1)), ("music", music(minutes, seed=2))):
        for gain_db in _LEVELS_DB:
            found = false_keys(sound, gain_db=gain_db)
            theirs = "-" if other is None else str(len(other.hear(sound * 10 ** (gain_db / 20))))
            minutes = len(sound) / _RATE_HZ / 60
            print(f"{name:8s} {gain_db:8.0f}  {minutes:7.1f}  {len(found)} {''.join(found)}; {theirs}")


if __name__ == "__main__":
    main()
