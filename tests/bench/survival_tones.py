"""Speech of calls whose frames do not come back bit for bit: three tones a frame say whose it is and which.

Every tone is a whole number of periods of 20 ms, so that one frame tells them apart, and all phases run on.
"""

import itertools

import numpy as np
from numpy.typing import NDArray

from bridge.engine.codecs import make_codec
from bridge.plane.codec import OPUS
from bridge.plane.spec import RowSpec
from tests.bench.survival_streams import FrameNames, Stream

__all__ = ["CYCLE", "MOST_LEGS", "RATE_HZ", "opus_spec", "phone_packets", "read_opus", "speak_tones"]

RATE_HZ = 24_000
_FRAME = RATE_HZ // 50
_TICKS = 960
"""Of a frame, by the RTP clock."""
# What changes with every frame is low and loud: a coder that has just begun would blur it elsewhere.
_STEPS_HZ = np.arange(300, 1500, 150)
_ROWS_HZ = np.arange(1700, 2500, 100)
_COLUMNS_HZ = np.arange(2600, 3400, 100)
_GROUPS = (_ROWS_HZ, _COLUMNS_HZ, _STEPS_HZ)
MOST_LEGS = len(_ROWS_HZ) * len(_COLUMNS_HZ)
CYCLE = len(_STEPS_HZ)
_AMPLITUDES = (3000.0, 3000.0, 6000.0)
_DELAY = RATE_HZ * 13 // 2000
"""The coder looks 6.5 ms ahead: so much later comes everything out of the decoder."""
_CLEAR = 4.0
"""A tone is one that has so many times the power of every other of its group."""
_LEAST_SHARE = 0.25
"""… and so much at least of the amplitude that was spoken."""


def speak_tones(leg: int, frame: int, count: int) -> NDArray[np.int16]:
    """Sound of `count` frames of a leg, from a frame on."""
    row, column = divmod(leg, len(_COLUMNS_HZ))
    step_hz = np.repeat(_STEPS_HZ[np.arange(frame, frame + count) % CYCLE], _FRAME)
    at_s = np.arange(frame * _FRAME, (frame + count) * _FRAME) / RATE_HZ
    tones_hz = (_ROWS_HZ[row], _COLUMNS_HZ[column], step_hz)
    waves = [loud * np.sin(2 * np.pi * hz * at_s) for loud, hz in zip(_AMPLITUDES, tones_hz, strict=True)]
    sound: NDArray[np.int16] = np.rint(np.sum(waves, axis=0)).astype(np.int16)
    return sound


def read_opus(stream: Stream) -> FrameNames:
    """Decode a stream as its phone does, and name the frame that each packet begins.

    A packet says nothing if the one after it is missing, for its frame ends there.
    """
    legs, frames = np.full(len(stream), -1, np.int64), np.full(len(stream), -1, np.int64)
    if not len(stream):
        return FrameNames(legs, frames)
    numbers = np.unwrap(stream.sequence, period=1 << 16).astype(np.int64)
    stamps = np.unwrap(stream.timestamp, period=1 << 32).astype(np.int64)
    order = np.argsort(numbers, kind="stable")
    decoder, _ = make_codec(opus_spec())
    sounds = []
    for at in order.tolist():
        payload = stream.payloads[at, : stream.lengths[at]].tobytes()
        pieces = decoder.receive(int(stream.sequence[at]), int(stream.timestamp[at]), payload)
        own = [pcm for when, pcm in pieces if when == int(stream.timestamp[at]) and len(pcm) == _FRAME]
        sounds.append(own[0] if own else np.zeros(_FRAME, np.int16))
    follows = np.diff(stamps[order]) == _TICKS
    windows = np.concatenate(
        [np.hstack((sound[_DELAY:], after[:_DELAY])) for sound, after in itertools.pairwise(sounds)]
        or [np.zeros(0, np.int16)]
    ).reshape(-1, _FRAME)
    named = _name(windows[follows])
    legs[order[:-1][follows]], frames[order[:-1][follows]] = named.legs, named.frames
    return FrameNames(legs, frames)


def phone_packets(count: int) -> list[bytes]:
    """What an Opus phone in a quiet room sends."""
    _, encoder = make_codec(opus_spec())
    noise = np.random.default_rng(2).normal(0, 6, (count, _FRAME)).astype(np.int16)
    return [encoder.encode(frame) for frame in noise]


def opus_spec() -> RowSpec:
    """A row as `bench_survival` opens it."""
    return RowSpec(
        generation=1,
        ssrc=0,
        sequence=0,
        timestamp=0,
        codec=OPUS,
        payload_type=96,
        dtmf_payload_type=-1,
        remote_key=0,
        latch_ip=0,
        sending=True,
        receiving=True,
        interruptible=0,
        rate_hz=RATE_HZ,
    )


def _name(windows: NDArray[np.int16]) -> FrameNames:
    """Whose tones frames ``[k, 480]`` carry; -1 where one of the three is not clear."""
    power = np.abs(np.fft.rfft(windows, axis=1)) ** 2
    is_clear = np.ones(len(windows), np.bool_)
    found = []
    for group, loud in zip(_GROUPS, _AMPLITUDES, strict=True):
        bins = power[:, group * _FRAME // RATE_HZ]
        ranked = np.sort(bins, axis=1)
        is_clear &= (ranked[:, -1] > _CLEAR * ranked[:, -2]) & (
            ranked[:, -1] > (_LEAST_SHARE * loud * _FRAME / 2) ** 2
        )
        found.append(bins.argmax(axis=1))
    legs = np.where(is_clear, found[0] * len(_COLUMNS_HZ) + found[1], -1)
    return FrameNames(legs, np.where(is_clear, found[2], -1))
