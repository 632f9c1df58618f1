import asyncio
import socket
import time

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.plane.g711 import decode_ulaw, encode_ulaw
from tests.bench.baseline import KINDS, Bridge, Codec
from tests.bench.baseline_hearing import Delay, Hearing

NOISE = np.random.default_rng(1).normal(0, 6, 160).astype(np.int16)
VOICE = np.random.default_rng(2).normal(0, 3000, 160).astype(np.int16)


@pytest.mark.parametrize("kind", ["asyncio", "uvloop", "pyav"])
def test_every_kind_codes_g_711_code_for_code(kind: str) -> None:
    codec: Codec = KINDS[kind]()

    coded = [codec.encode(frame) for frame in (VOICE, NOISE, VOICE)]
    heard = [codec.decode(codes) for codes in coded]

    assert coded == [encode_ulaw(frame).tobytes() for frame in (VOICE, NOISE, VOICE)]
    for codes, frame in zip(coded, heard, strict=True):
        assert np.array_equal(frame, decode_ulaw(np.frombuffer(codes, np.uint8)))


def test_the_resampling_kind_turns_a_wide_voice_into_whole_packets_and_back() -> None:
    codec = KINDS["pyav-resampled"]()
    tone = (8000 * np.sin(np.arange(480 * 20) * 2 * np.pi * 500 / 24_000)).astype(np.int16)

    coded = [codec.encode(frame) for frame in tone.reshape(20, 480)]
    heard = [codec.decode(codes) for codes in coded]

    assert {len(codes) for codes in coded} == {160}
    wide = np.concatenate(heard[5:]).astype(float)
    spectrum = np.abs(np.fft.rfft(wide))
    assert np.argmax(spectrum) / len(wide) * 16_000 == pytest.approx(500, abs=10)


async def test_a_call_plays_its_queue_and_is_silenced_by_a_voice() -> None:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.bind(("127.0.0.1", 0))
        phone.setblocking(False)
        leg = Bridge(KINDS["asyncio"](), phone.getsockname(), 7)
        await loop.create_datagram_endpoint(lambda: leg, local_addr=("127.0.0.1", 0))
        leg.say(np.tile(VOICE, 3))

        def receive(number: int, pcm: NDArray[np.int16]) -> None:
            header = b"\x80\0" + number.to_bytes(2, "big") + bytes(8)
            leg.datagram_received(header + encode_ulaw(pcm).tobytes(), phone.getsockname())

        for number in range(20):
            receive(number, NOISE)
        leg.datagram_received(bytes(172), ("127.0.0.1", 1))
        receive(20, NOISE)
        # Deadlines long past: all of them are made good at once.
        await leg.run(time.monotonic_ns() - 2_000_000_000, 0.1)
        receive(21, VOICE)
        leg.say(VOICE)
        await leg.run(time.monotonic_ns() - 2_000_000_000, 0.04)
        heard = [await asyncio.wait_for(loop.sock_recv(phone, 2048), 2) for _ in range(7)]
        leg.close()

    said = encode_ulaw(VOICE).tobytes()
    assert [packet[12:] == said for packet in heard] == [True] * 3 + [False] * 4
    assert leg.silent == {"idle": 2, "ducked": 2}
    assert leg.strangers == 1
    assert (leg.received, leg.sent, leg.octets) == (22, 7, 7 * 160)
    assert leg.hearing.meter.db == pytest.approx(-20.9, abs=0.5)


def test_what_is_lost_late_or_doubled_is_counted_and_a_hole_is_filled_with_what_was_before() -> None:
    hearing = Hearing()
    for number in (65_535, 0, 0, 2):
        hearing.take(number, number * 160, np.full(160, number & 0xFF, np.int16))

    for _ in range(4):
        hearing.play()
    hearing.take(1, 160, NOISE)

    assert [int(frame[0]) for frame in hearing.heard] == [255, 0, 0, 2]
    assert (hearing.missing, hearing.late) == (1, 1)
    counted = hearing.reception
    assert (counted.received, counted.duplicates, counted.lost, counted.gaps) == (5, 1, 0, 1)
    assert hearing.jitter_ticks > 0


def test_a_call_waits_as_long_as_its_packets_need() -> None:
    calm, bursty = Delay(), Delay()

    for number in range(200):
        calm.observe(1000)
        bursty.observe(1000 + 480 * (number % 10 == 0))

    assert calm.need_ticks() <= 16
    assert 480 <= bursty.need_ticks() <= 496


def test_a_line_without_loss_is_scored_as_the_best() -> None:
    hearing = Hearing()

    for number in range(60):
        hearing.take(number, number * 160, NOISE)
        if number > 2:
            hearing.play()

    assert hearing.score == pytest.approx(4.4, abs=0.05)
