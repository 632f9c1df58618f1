"""Calls that are over, for tests of what is kept of them."""

from bridge.call.archive import CallRecord, record_of
from bridge.call.trace import BargeInRecord, CallTrace, UtteranceRecord

__all__ = ["OFFSET_NS", "ended", "kept"]

MS = 1_000_000
OFFSET_NS = 1_700_000_000_000_000_000


def ended(id: str = "0" * 16, *, started_ms: int = 1000, keeps_text: bool = False) -> CallTrace:
    """A call of ten seconds with one sentence and two interruptions."""
    trace = CallTrace(
        id=id,
        sip_call_id=f"{id}@phone",
        direction="inbound",
        started_ns=started_ms * MS,
        called="100",
        caller="sip:lena@192.0.2.2",
        keeps_text=keeps_text,
        state="ended",
        reason="caller hung up",
        answered_ns=(started_ms + 500) * MS,
        ended_ns=(started_ms + 10_500) * MS,
        codec="PCMA",
    )
    trace.utterances.append(
        UtteranceRecord(
            0,
            text="secret word",
            heard="secret",
            task_id="task-1",
            first_text_ns=(started_ms + 600) * MS,
            first_audio_ns=(started_ms + 800) * MS,
            end_sample=8000,
        )
    )
    for mute_ms in (40, 60):
        begin = (started_ms + 2000) * MS
        trace.barge_ins.append(
            BargeInRecord(
                t0=begin,
                t1=begin + 20 * MS,
                t2=begin + mute_ms * MS,
                t3=begin + 200 * MS,
                t4=begin + 201 * MS,
                t5=begin + 203 * MS,
                cause="speech",
                position=4000,
            )
        )
    trace.media = {"mos_in_lowest": 4.2, "mos_out_lowest": 3.9, "tx_packets": 500.0, "jitter_ticks": 16.0}
    return trace


def kept(trace: CallTrace, *, keeps_numbers: bool = False, offset_ns: int = OFFSET_NS) -> CallRecord:
    """Its record."""
    return record_of(trace, offset_ns=offset_ns, keeps_numbers=keeps_numbers)
