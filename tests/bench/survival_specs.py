"""How each kind of call of the survival benchmark speaks, so that every frame says whose it is and which."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.plane.codec import OPUS, PCMU
from bridge.plane.g711 import decode_ulaw
from bridge.rtp.srtp import SUITES, SrtpKeys
from tests.bench.survival_streams import FrameNames, Stream
from tests.bench.survival_tones import CYCLE, MOST_LEGS, RATE_HZ, read_opus, speak_tones

__all__ = ["SPECS", "SurvivalSpec", "keys_of"]

_DIGITS = 64
_LOWEST = 0x10
"""Codes from here on survive decoding and encoding, and none of their words looks like silence."""
_FADE_BYTES = 40
"""What may sound softer at the begin of the first frame after a gap."""
_SUITES = ("AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM")
_BEYOND = 65_490
"""First sequence number of a stream that has turned over a second after it began, before anybody dies."""
_AT_THE_TURN = 65_536 - 105
"""… and of one that turns over about when the first process dies."""


@dataclass(frozen=True, slots=True)
class SurvivalSpec:
    """One kind of call."""

    open: dict[str, Any]
    """What `MediaLeg.open` is told of the codec."""
    samples: int
    """Of a frame of 20 ms, as the playout ring counts them."""
    speak: Callable[[int, int, int], NDArray[np.int16]]
    """Sound of `count` frames of a leg, from a frame on: ``speak(leg, frame, count)``."""
    read: Callable[[Stream], FrameNames]
    """What the packets of a stream say."""
    legs: int
    """Calls where nobody says how many."""
    most_legs: int = _DIGITS * _DIGITS
    cycle: int = _DIGITS * _DIGITS
    """Frames after which their names begin anew."""
    is_exact: bool = True
    """Whether every frame can be read; else those beside a gap say nothing, and are not missed."""
    rate_hz: int = 8000
    suites: tuple[str, ...] = ()
    """How calls are encrypted, in turn; empty = they are not, and one socket plays all phones."""
    first_sequence: int = -1
    """Of both directions; -1 = any."""
    spread: int = 1
    """Over how many numbers the first ones are spread, downwards."""

    @property
    def has_lines(self) -> bool:
        """Whether every phone needs a socket of its own: its packets are not as long as all others'."""
        return self.codec == OPUS or bool(self.suites)

    @property
    def codec(self) -> int:
        """Index into `bridge.plane.codec.CODECS`."""
        return int(self.open["codec"])


def keys_of(spec: SurvivalSpec, leg: int) -> SrtpKeys:
    """Keys of a call, as the engine has them: different for every leg and direction."""
    if not spec.suites:
        return SrtpKeys()
    suite = spec.suites[leg % len(spec.suites)]
    need = SUITES[suite].secret_bytes
    tx, rx = (np.random.default_rng((leg, way)).bytes(need).hex() for way in (1, 2))
    return SrtpKeys(suite, tx=tx, rx=rx)


def _name(leg: int, frames: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Four codes that name a frame: two digits of the leg, two of the frame."""
    words = np.empty((len(frames), 4), np.uint8)
    words[:, 0], words[:, 1] = divmod(leg, _DIGITS)
    words[:, 2], words[:, 3] = frames // _DIGITS % _DIGITS, frames % _DIGITS
    return words + np.uint8(_LOWEST)


def _speak_pcmu(leg: int, frame: int, count: int) -> NDArray[np.int16]:
    codes = np.tile(_name(leg, np.arange(frame, frame + count)), (1, 40)).reshape(-1)
    pcm: NDArray[np.int16] = decode_ulaw(codes)
    return pcm


def _read_pcmu(stream: Stream) -> FrameNames:
    payloads = stream.payloads[:, _FADE_BYTES:160]
    words = payloads.reshape(len(payloads), -1, 4)
    names = words[:, 0].astype(np.int64) - _LOWEST
    is_named = (words == words[:, :1]).all(axis=(1, 2)) & ((names >= 0) & (names < _DIGITS)).all(axis=1)
    is_named &= stream.lengths == 160
    legs = np.where(is_named, names[:, 0] * _DIGITS + names[:, 1], -1)
    frames = np.where(is_named, names[:, 2] * _DIGITS + names[:, 3], -1)
    return FrameNames(legs, frames)


_PCMU: dict[str, Any] = {"codec": PCMU, "payload_type": 0, "dtmf_payload_type": 101}

_OPUS = SurvivalSpec(
    open={"codec": OPUS, "payload_type": 96, "dtmf_payload_type": -1},
    samples=RATE_HZ // 50,
    speak=speak_tones,
    read=read_opus,
    legs=20,
    most_legs=MOST_LEGS,
    cycle=CYCLE,
    is_exact=False,
    rate_hz=RATE_HZ,
)

_SRTP = SurvivalSpec(
    open={**_PCMU, "rtcp_mux": True},
    samples=160,
    speak=_speak_pcmu,
    read=_read_pcmu,
    legs=20,
    suites=_SUITES,
    first_sequence=_BEYOND,
)

SPECS: dict[str, SurvivalSpec] = {
    "g711": SurvivalSpec(open=_PCMU, samples=160, speak=_speak_pcmu, read=_read_pcmu, legs=200),
    "opus": _OPUS,
    "opus-srtp": replace(
        _OPUS, open={**_OPUS.open, "rtcp_mux": True}, suites=_SUITES, first_sequence=_BEYOND
    ),
    "srtp": _SRTP,
    "srtp-turn": replace(_SRTP, first_sequence=_AT_THE_TURN, spread=20),
}
"""By the name that `bench_survival --spec` takes."""
