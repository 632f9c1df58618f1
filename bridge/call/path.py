"""The whole path of a frame, both directions, on one screen.

`STAGES` is the text that `docs/path.md` and `GET /api/calls/{id}/path` print; `describe` fills in
what a running call has counted at each stage, so that a question like "where did my audio go"
is answered by reading down one column.
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["INBOUND", "OUTBOUND", "Stage", "describe"]


@dataclass(frozen=True, slots=True)
class Stage:
    """One station of a frame."""

    name: str
    where: str
    """Module that does the work."""
    does: str
    counters: tuple[str, ...] = ()
    """Names in the leg's status line that this stage moves."""


OUTBOUND = (
    Stage("text", "call.turns", "takes the agent's words, whole or as they are written"),
    Stage("synthesis", "aio.cosyvoice_pool", "CosyVoice task on a warm connection, in the leg's format"),
    Stage("backlog", "call.turns", "holds what the ring has no room for, between two watermarks"),
    Stage("ring", "plane.ring", "4 s of samples shared with the media process, stamped with the epoch"),
    Stage(
        "playout",
        "plane.playout",
        "20 ms when they are due, or silence with its cause",
        ("silence_idle", "silence_tts_late", "silence_bridge_late", "silence_held", "silence_ducked"),
    ),
    Stage("floor", "plane.floor", "duck, resume, flush", ("ducked_samples",)),
    Stage(
        "bed", "plane.bed", "music or a room under speech; silent under the caller's voice", ("bed_packets",)
    ),
    Stage(
        "keypad",
        "plane.keypad",
        "while we press keys, events or tones in the place of speech",
        ("tx_keys", "silence_keys"),
    ),
    Stage("encode", "plane.g711", "G.711 by table; other codecs row by row (plane.apart)"),
    Stage("pass", "plane.passing", "or the voice's own Opus packet, if untouched", ("tx_passed",)),
    Stage(
        "pause",
        "plane.pauses",
        "nothing, or how our silence sounds, where the peer takes that",
        ("tx_comfort",),
    ),
    Stage("packet", "plane.packets", "RTP header, one sequence number, one timestamp"),
    Stage("encrypt", "engine.srtp", "in place, where the call has keys", ("tx_srtp_failed",)),
    Stage("send", "engine.loop", "to the latched address", ("tx_packets", "tx_late")),
    Stage(
        "feedback",
        "plane.feedback",
        "what the caller's RTCP says of our stream",
        ("loss_out", "lost_out", "jitter_out_ticks", "round_trip_ms", "mos_out", "mos_out_lowest"),
    ),
)

INBOUND = (
    Stage(
        "receive",
        "engine.loop",
        "every datagram on the call's port, or its peer's on a shared one",
        ("rx_packets",),
    ),
    Stage(
        "decrypt",
        "engine.srtp",
        "in place; what is not theirs is dropped",
        ("rx_srtp_auth", "rx_srtp_replay"),
    ),
    Stage(
        "sift",
        "plane.arrival",
        "strangers, malformed packets and foreign payloads are counted and dropped",
        ("rx_stranger", "rx_malformed", "rx_wrong_payload"),
    ),
    Stage("decode", "plane.g711", "G.711 by table; other codecs row by row, as they come (plane.apart)"),
    Stage("gate", "plane.gate", "voice or not, on arrival: before the jitter buffer costs 40 ms"),
    Stage("echo", "plane.echo", "our own voice, returned by the line, is none"),
    Stage(
        "jitter",
        "plane.arrival",
        "placed by timestamp in slots of 10 ms",
        ("rx_late", "rx_duplicate", "rx_lost", "depth_samples"),
    ),
    Stage("conceal", "plane.conceal", "repetition with fade where nothing came", ("rx_concealed",)),
    Stage(
        "keys",
        "plane.keys",
        "events on arrival, tones behind the ring, INFO: one press is one event",
        ("rx_keys_ignored",),
    ),
    Stage("capture", "plane.ring", "2 s shared with the control plane, beside what was sent"),
    Stage("verdict", "engine.verdict", "speech or not, asked for the rows that ducked"),
    Stage("recording", "call.recording", "stereo file, when asked for"),
    Stage(
        "report",
        "plane.reporting",
        "RTCP: what we tell the caller of its stream, and how it sounds to us",
        ("rtcp_sent", "jitter_ticks", "loss_in", "mos_in", "mos_in_lowest"),
    ),
)


def describe(status: Mapping[str, float]) -> str:
    """Draw both directions as text, with the counters of one leg.

    Args:
        status: The leg's status line, by field name; missing names are left out.
    """
    lines = []
    for title, stages in (("bridge → caller", OUTBOUND), ("caller → bridge", INBOUND)):
        lines.append(title)
        for stage in stages:
            counts = "  ".join(f"{name}={status[name]:g}" for name in stage.counters if name in status)
            lines.append(
                f"  {stage.name:<10} {stage.where:<16} {stage.does}" + (f"  [{counts}]" if counts else "")
            )
        lines.append("")
    return "\n".join(lines)
