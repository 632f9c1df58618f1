"""What a row is told about its leg, and what all rows are told about voices."""

from dataclasses import dataclass, replace
from typing import Literal

from bridge.plane.codec import CODECS, L16_16K, L16_48K, OPUS, PCMA, ROW_RATES_HZ

__all__ = ["DTMF_INTERRUPTS", "SENSITIVITIES", "SPEECH_INTERRUPTS", "PlaneSettings", "RowSpec", "judged"]

SPEECH_INTERRUPTS = 1
"""Bit of `RowSpec.interruptible`: a voice ducks, and speech flushes."""
DTMF_INTERRUPTS = 2
"""Bit of `RowSpec.interruptible`: a digit flushes."""
_PTIMES_MS = (10, 20, 30, 40, 60)
SENSITIVITIES = ("low", "medium", "high")
"""Names of the values of `RowSpec.sensitivity`."""


@dataclass(frozen=True, slots=True)
class RowSpec:
    """One leg as signalling negotiated it.

    Raises:
        ValueError: If a value is out of its range.
    """

    generation: int
    """Who owns the row: below 2**32 and never 0."""
    ssrc: int
    sequence: int
    """Sequence number of the first packet we send; random (RFC 3550 §5.1)."""
    timestamp: int
    """Timestamp of the first packet we send; random."""
    codec: int
    """Index into `bridge.plane.codec.CODECS`: both directions."""
    payload_type: int
    """What we send and expect."""
    dtmf_payload_type: int
    """Payload type of telephone-event; -1 = none."""
    remote_key: int
    """Address from the SDP, ``host << 16 | port``; 0 = unknown. Hosts are numbers below 2**47: of IPv4 the
    address, of IPv6 one that `hosts` explains."""
    latch_ip: int
    """0 = believe only `remote_key` before the first packet; else the address of the signalling source,
    believed with any port (NAT)."""
    sending: bool
    receiving: bool
    interruptible: int
    """Bits: 1 speech, 2 dtmf."""
    rtcp_key: int = 0
    """Where the peer wants RTCP on a port of its own, ``host << 16 | port``; 0 = nowhere."""
    rtcp_mux: bool = False
    """RTCP shares the port of RTP, both ways (RFC 5761)."""
    cname: str = ""
    """Canonical name of our stream in RTCP: random, the same for the whole leg (RFC 7022)."""
    dtmf_offered: int = -1
    """Payload type under which telephone-event is read as well; -1 = no other."""
    dtmf_events: int = 0xFFFF
    """Keys that the peer takes as events, a bit each; others are sent as tones."""
    sensitivity: int = -1
    """How easily the caller takes the floor: 0 low, 1 medium, 2 high; -1 as `PlaneSettings` say."""
    gain_db: int = 0
    """What we say is made so much louder; at 0 it stays bit for bit what it was."""
    rate_hz: int = 8000
    """Audio rate of the row: the codec's, or for Opus one of `ROW_RATES_HZ`."""
    ptime_ms: int = 20
    """Length of the packets that we send: 10, 20, 30, 40 or 60; Opus only 20, L16 at 48 kHz only 10."""
    opus_bitrate: int = 0
    """Bits a second that we send; 0 = what suits the rate."""
    opus_fec: bool = False
    """Packets carry the one before again, for the peer to fill a loss with."""
    opus_dtx: bool = False
    """Nothing is sent while we have nothing to say."""
    opus_max_rate_hz: int = 0
    """Highest rate that the peer plays; 0 = any."""
    opus_loss_percent: int = 0
    """Loss for which `opus_fec` prepares."""
    comfort_payload_type: int = -1
    """Payload type of comfort noise (RFC 3389), sent beside G.711 while we have nothing to say; -1 = none."""

    in_band: bool = False
    """STUN and DTLS come to its port as well, and are not the plane's business."""
    hosts: bytes = b""
    """Which IPv6 addresses its numbers stand for; only who sends and receives reads it."""

    def __post_init__(self) -> None:
        if not 0 < self.generation < 1 << 32:
            raise ValueError(f"generation must be in 1..2**32-1, not {self.generation}")
        self._check_codec()
        if not 0 <= self.payload_type < 128 or not -1 <= self.dtmf_payload_type < 128:
            raise ValueError(f"payload types {self.payload_type}, {self.dtmf_payload_type} do not fit 7 bits")
        if not -1 <= self.comfort_payload_type < 128:
            raise ValueError(f"comfort_payload_type {self.comfort_payload_type} does not fit 7 bits")
        if self.comfort_payload_type >= 0 and not self.is_by_column:
            raise ValueError(f"comfort noise is sent beside G.711, not {CODECS[self.codec].encoding}")
        if not (0 <= self.ssrc < 1 << 32 and 0 <= self.sequence < 1 << 16 and 0 <= self.timestamp < 1 << 32):
            raise ValueError("ssrc, sequence or timestamp does not fit its header field")
        if not (0 <= self.remote_key < 1 << 63 and 0 <= self.latch_ip < 1 << 47):
            raise ValueError("remote_key or latch_ip is no address")
        if not 0 <= self.rtcp_key < 1 << 63:
            raise ValueError("rtcp_key is no address")
        if len(self.cname.encode()) > 255:
            raise ValueError(f"a canonical name of {len(self.cname.encode())} bytes, at most 255")
        if not -1 <= self.sensitivity <= 2:
            raise ValueError(f"sensitivity must be -1 to 2, not {self.sensitivity}")
        if not -60 <= self.gain_db <= 20:
            raise ValueError(f"gain_db must be -60 to 20, not {self.gain_db}")

    @property
    def clock_hz(self) -> int:
        """RTP clock: timestamps and telephone events count it."""
        return CODECS[self.codec].clock_hz

    @property
    def is_by_column(self) -> bool:
        """Whether the codec is a table, looked up for all rows at once."""
        return self.codec <= PCMA

    def _check_codec(self) -> None:
        if not 0 <= self.codec < len(CODECS):
            raise ValueError(f"codec must be 0 to {len(CODECS) - 1}, not {self.codec}")
        rates = ROW_RATES_HZ if self.codec == OPUS else (CODECS[self.codec].rate_hz,)
        if self.rate_hz not in rates:
            raise ValueError(f"{CODECS[self.codec].encoding} has a rate of {rates} Hz, not {self.rate_hz}")
        # More than 1440 bytes of sound would not reach everybody in one piece.
        lengths = {OPUS: (20,), L16_48K: (10,), L16_16K: (10, 20, 30, 40)}.get(self.codec, _PTIMES_MS)
        if self.ptime_ms not in lengths:
            raise ValueError(f"ptime_ms must be one of {lengths}, not {self.ptime_ms}")
        if self.opus_bitrate and not 6000 <= self.opus_bitrate <= 510_000:
            raise ValueError(f"opus_bitrate must be 6000 to 510000, not {self.opus_bitrate}")
        if self.opus_max_rate_hz and not 8000 <= self.opus_max_rate_hz <= 48_000:
            raise ValueError(f"opus_max_rate_hz must be 8000 to 48000, not {self.opus_max_rate_hz}")
        if not 0 <= self.opus_loss_percent <= 100:
            raise ValueError(f"opus_loss_percent must be 0 to 100, not {self.opus_loss_percent}")


@dataclass(frozen=True, slots=True)
class PlaneSettings:
    """Thresholds of the gate and the floor, the same for all rows.

    Levels are of sub-frames of 10 ms, in dB over full scale (a full-scale square wave is 0).
    """

    clear_over_floor_db: float = 15.0
    """One sub-frame this far over the noise floor opens the gate."""
    clear_level_db: float = -45.0
    """… if it is also at least this loud."""
    soft_over_floor_db: float = 9.0
    """A sub-frame this far over the noise floor is voice; several in a row open the gate."""
    soft_level_db: float = -54.0
    """… if it is also at least this loud."""
    soft_run: int = 3
    """Soft sub-frames in a row that open the gate."""
    band_evidence: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Evidence in a sub-frame's bands that makes it a voice (`bridge.plane.bands`), by sensitivity; 0 asks
    for none and hears none."""
    faint_level_db: float = -60.0
    """Packets without a sub-frame this loud are not asked."""
    below_peak_db: float = 24.0
    """Sub-frames this far below the loudest one since the onset are no evidence of speech: a decay."""
    warm_up: int = 10
    """Sub-frames at the start of a stream that only teach the noise floor."""
    stop_after_ms: int = 200
    """Quiet that ends a voice."""
    speech_evidence: int = 13
    """Voiced sub-frames within `verdict_ms` that make it speech."""
    second_burst_evidence: int = 4
    """Sub-frames that a second burst after a closure of 40 ms is worth on top."""
    verdict_ms: int = 250
    """A duck lasts no longer without a verdict."""
    resume_quiet_ms: int = 140
    """Quiet that ends a duck early: longer than a mouth stays closed within a word."""
    duck_rest_ms: int = 300
    """Least time between a resume and the next duck; doubles with every duck in vain."""
    duck_rest_max_ms: int = 4800
    """… up to this. Speech still flushes while ducks rest."""
    depth_start_ms: int = 40
    """Delay of the jitter ring at the start of a stream."""
    depth_min_ms: int = 0
    """Least delay of the jitter ring over the fastest packet."""
    depth_max_ms: int = 200
    silence_to_move_ms: int = 2000
    """Silence after which the same SSRC may move to another port of its address (NAT rebinding)."""
    rtcp_interval_ms: int = 5000
    """Least mean time between two reports of a row (RFC 3550 §6.2); the first comes after half of it.

    For two parties 5 % of 80 kbit/s would allow five a second; the reduced minimum of §6.2 is 4.5 s.
    """
    inband_digits: Literal["auto", "always", "never"] = "auto"
    """Whether to listen for keys in the sound; auto: only where no telephone events were agreed."""
    sensitivity: int = 1
    """How easily callers take the floor: 0 low, 1 medium, 2 high."""
    threshold_shift_db: tuple[float, float, float] = (4.0, 0.0, -3.0)
    """What each sensitivity adds to the levels that the gate asks for."""
    evidence_shift: tuple[int, int, int] = (4, 0, -2)
    """What each sensitivity adds to `speech_evidence`."""
    awaits_verdict: bool = False
    """Somebody judges voices (see `VoiceQuestioned`): until `verdict_ms` are over, the gate does not."""
    agreed_evidence: int = 5
    """Voiced sub-frames without which no verdict makes it speech: an echo is speech, but not the caller's.
    Twice as many on a line that returns us."""
    question_evidence: int = 8
    """Voiced sub-frames for which a voice is judged where it may not duck us."""
    vain_ducks_a_minute: int = 3
    """Ducks in vain that a minute may have; after them voices are judged while we go on."""
    fades: bool = True
    """What a key or an agent cuts off ends within 5 ms; a voice silences us at once."""
    late_share: float = 0.005
    """Share of packets that may come too late for the jitter ring: less costs delay."""


def judged(settings: PlaneSettings) -> PlaneSettings:
    """The same where somebody judges voices: the gate may then be quicker, for it need not be right."""
    return replace(
        settings,
        awaits_verdict=True,
        clear_over_floor_db=10.0,
        soft_over_floor_db=6.5,
        soft_run=2,
        band_evidence=(50.0, 35.0, 28.0),
    )
