import socket

import numpy as np
import pytest

from bridge.plane.g711 import decode_ulaw, encode_ulaw
from tests.bench.baseline import KINDS, Bridge, Codec

NOISE = np.random.default_rng(1).normal(0, 6, 160).astype(np.int16)
VOICE = np.random.default_rng(2).normal(0, 3000, 160).astype(np.int16)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_codes_g_711_code_for_code(kind: str) -> None:
    codec: Codec = KINDS[kind]()

    coded = [codec.encode(frame) for frame in (VOICE, NOISE, VOICE)]
    heard = [codec.decode(codes) for codes in coded]

    assert coded == [encode_ulaw(frame).tobytes() for frame in (VOICE, NOISE, VOICE)]
    for codes, frame in zip(coded, heard, strict=True):
        assert np.array_equal(frame, decode_ulaw(np.frombuffer(codes, np.uint8)))


async def test_a_call_plays_its_queue_and_is_silenced_by_a_voice() -> None:
    import asyncio
    import time

    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.bind(("127.0.0.1", 0))
        phone.setblocking(False)
        leg = Bridge(KINDS["asyncio"](), phone.getsockname(), 7)
        await loop.create_datagram_endpoint(lambda: leg, local_addr=("127.0.0.1", 0))
        leg.say(np.tile(VOICE, 3))

        def receive(number: int, pcm: np.ndarray) -> None:
            header = b"\x80\0" + number.to_bytes(2, "big") + bytes(8)
            leg.datagram_received(header + encode_ulaw(pcm).tobytes(), phone.getsockname())

        for number in range(20):
            receive(number, NOISE)
        leg.datagram_received(bytes(172), ("127.0.0.1", 1))
        # Deadlines long past: all of them are made good at once.
        await leg.run(time.monotonic_ns() - 2_000_000_000, 0.1)
        receive(20, VOICE)
        leg.say(VOICE)
        await leg.run(time.monotonic_ns() - 2_000_000_000, 0.04)
        heard = [await asyncio.wait_for(loop.sock_recv(phone, 2048), 2) for _ in range(7)]
        leg.close()

    said = encode_ulaw(VOICE).tobytes()
    assert [packet[12:] == said for packet in heard] == [True] * 3 + [False] * 4
    assert leg.silent == {"idle": 2, "ducked": 2}
    assert leg.strangers == 1
