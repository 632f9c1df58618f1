"""A process that plays N phones: quiet-line noise at 50 packets a second to each leg, phases spread.

Reads two lines of JSON from stdin and writes two to stdout: told how many phones, it answers with their
ports; told where to call, it calls, and tells what came back.
"""

import base64
import gc
import json
import os
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.engine.ports import raise_file_limit
from bridge.plane.g711 import encode_ulaw
from bridge.rtp.rtcp import CNAME, ReportBlock, SenderReport, SourceDescription, build, ntp_of
from tests.bench.accounting import count_streams
from tests.bench.crowd import PACKET_SAMPLES, Ear, Mouth, Received, phones
from tests.bench.lateness import Lateness, of_packets
from tests.bench.network import Network

__all__ = ["compound", "noise", "pace", "settle"]

_SLOTS = 20
_SLOT_NS = 1_000_000
_LISTEN_TICKS = 5
_LISTEN_SHARES = 20
"""Every 5 ms a twentieth of the phones is listened to: each one every 100 ms."""
_REPORT_TICKS = 5000
_LAST_WORDS_S = 0.05
_SPARED = 2
"""A call is believed after two packets in order, and what comes before them is not counted: those come so."""
_JOIN_SLOTS = 50
"""Calls begin within a second, some in each slot: a thousand in the same 20 ms is nobody's traffic."""


def main() -> None:
    told = json.loads(sys.stdin.readline())
    raise_file_limit()
    count, seconds = told["legs"], told["seconds"]
    sockets = phones(count)
    mouth = Mouth(sockets, noise())
    print(json.dumps({"ports": [sock.getsockname()[1] for sock in sockets]}), flush=True)
    told |= json.loads(sys.stdin.readline())
    for phone, port in enumerate(told["ports"]):
        mouth.call(phone, port)
    ear = Ear(sockets, keep=int(count * 51 * (seconds + 2)) + 1000, watch_ssrc=told.get("watch_ssrc"))
    gc.freeze()
    settle()
    ear.listen(0, count)  # Whatever is slow the first time must not make the first packets late.
    network = Network(loss=told.get("loss", 0.0))
    own_late = run(mouth, ear, network, told)
    print(json.dumps(summary(mouth, ear, told, own_late)), flush=True)


def noise() -> NDArray[np.uint8]:
    """A second of a quiet line, in packets."""
    pcm = np.random.default_rng(2).normal(0, 6, (50, PACKET_SAMPLES)).astype(np.int16)
    return encode_ulaw(pcm)


def settle() -> None:
    """On a core of its own, and as urgent as the engine, where that is granted."""
    cores = sorted(os.sched_getaffinity(0))
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
        if len(cores) > 1:
            os.sched_setaffinity(0, {cores[0]})
    except PermissionError:
        pass


def pace(due_ns: int) -> int:
    """Sleep until then; return how late it was."""
    if (wait_ns := due_ns - time.monotonic_ns()) > 0:
        time.sleep(wait_ns / 1e9)
    return time.monotonic_ns() - due_ns


def run(mouth: Mouth, ear: Ear, network: Network, told: dict[str, Any]) -> list[int]:
    """Send for as long as was told; return how late each slot was."""
    count = told["legs"]
    everyone = np.arange(count)
    first = first_numbers(count)
    ssrcs = told.get("ssrcs") if told.get("reports") else None
    late: list[int] = []
    for tick in range(round(told["seconds"] * 1000)):
        late.append(pace(told["begin_ns"] + tick * _SLOT_NS))
        slot, number = tick % _SLOTS, tick // _SLOTS
        which = everyone[count * slot // _SLOTS : count * (slot + 1) // _SLOTS]
        age = number - first[which]
        new, old = which[(age >= 0) & (age < _SPARED)], which[age >= _SPARED]
        if len(new):
            mouth.say(new, np.full(len(new), number))
        if len(old):
            network.put(old, np.full(len(old), number), tick=tick)
            mouth.say(*network.take(tick))
        if ssrcs is not None:
            report(mouth, tick, ssrcs)
        if tick % _LISTEN_TICKS == 0:
            share = tick // _LISTEN_TICKS % _LISTEN_SHARES
            ear.listen(count * share // _LISTEN_SHARES, count * (share + 1) // _LISTEN_SHARES)
    time.sleep(_LAST_WORDS_S)
    ear.listen(0, count)
    return late


def first_numbers(count: int) -> NDArray[np.int64]:
    """Number of the first packet that each phone sends."""
    return np.arange(count) % _JOIN_SLOTS


def report(mouth: Mouth, tick: int, ssrcs: list[int]) -> None:
    """Every phone sends one RTCP compound in 5 s (RFC 3550 §6.2)."""
    count = len(ssrcs)
    begin, end = (count * (tick % _REPORT_TICKS + step) // _REPORT_TICKS for step in (0, 1))
    for phone in range(begin, end):
        sent = int(mouth.sent[phone])
        mouth.report(phone, compound(int(mouth.ssrcs[phone]), ssrcs[phone], sent))


def compound(ssrc: int, about: int, sent: int) -> bytes:
    """A phone's report: what it has sent, and that all is well with what it hears."""
    return build(
        [
            SenderReport(
                ssrc,
                ntp_of(time.time_ns()),
                sent * PACKET_SAMPLES & 0xFFFFFFFF,
                sent & 0xFFFFFFFF,
                sent * PACKET_SAMPLES & 0xFFFFFFFF,
                (ReportBlock(about, 0, 0, sent & 0xFFFFFFFF, 0, 0, 0),),
            ),
            SourceDescription(ssrc, ((CNAME, b"phone"),)),
        ]
    )


def summary(mouth: Mouth, ear: Ear, told: dict[str, Any], own_late: list[int]) -> dict[str, object]:
    """What came back, warm-up left out."""
    kept = ear.received.until_now()
    first_ns = told["begin_ns"] + told["warm_up_s"] * 1e9
    last_ns = told["begin_ns"] + told["seconds"] * 1e9
    counted = (kept.arrival_ns >= first_ns) & (kept.arrival_ns < last_ns)
    streams = count_streams(kept.ssrc[counted], kept.sequence[counted])
    late_ns = of_packets(kept.arrival_ns, kept.ssrc, kept.timestamp)[counted]
    packets = told["legs"] * 50 * told["seconds"] - int(first_numbers(told["legs"]).sum())
    wanted = packets * (1 - told.get("loss", 0.0))
    expected = round(told["legs"] * 50 * (told["seconds"] - told["warm_up_s"]))
    return {
        # What the network was told to lose it did not owe; by chance that may be a little less.
        "sent_share": round(min(1.0, float(mouth.sent.sum()) / wanted), 5),
        "sent": int(mouth.sent.sum()),
        "received": int(np.count_nonzero(counted)),
        "expected": expected,
        "received_share": round(float(np.count_nonzero(counted)) / expected, 5),
        "legs_heard": len(streams.ssrcs),
        "lost": int(streams.lost.sum()),
        "duplicates": int(streams.duplicates.sum()),
        "misdelivered": misdelivered(kept),
        "reports": kept.reports,
        "overflow": kept.overflow,
        "speech_share": round(float(1 - kept.is_silent[counted].mean()), 3) if counted.any() else 0,
        "lateness": Lateness.of(late_ns).as_json(),
        "late_over_20_ms": int(np.count_nonzero(late_ns > 20_000_000)),
        "generator_lateness": Lateness.of(np.array(own_late, np.int64)).as_json(),
        "generator_cpu_share": round(time.process_time() / told["seconds"], 3),
        "watched": [[timestamp, base64.b64encode(codes).decode()] for timestamp, codes in ear.watched],
    }


def misdelivered(kept: Received) -> int:
    """Packets that reached a phone other than most of their stream did."""
    wrong = 0
    order = np.argsort(kept.ssrc, kind="stable")
    _, begins = np.unique(kept.ssrc[order], return_index=True)
    for index in np.split(order, begins[1:]) if len(begins) else []:
        phone = kept.phone[index]
        wrong += len(phone) - int(np.bincount(phone).max())
    return wrong


if __name__ == "__main__":
    main()
