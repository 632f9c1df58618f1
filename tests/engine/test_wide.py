"""Rows of several rates in one real media process: what is said is heard, both ways, at the codec's rate."""

import asyncio
import os
import signal
import struct
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio

from bridge.clock import SystemClock
from bridge.engine.codecs import make_codec
from bridge.engine.commands import LegEvent
from bridge.engine.supervisor import MediaEngine, MediaSettings
from bridge.errors import EngineError, LocalProtocolError
from bridge.plane.codec import CODECS, G722, L16_16K, L16_48K, OPUS, PCMU
from bridge.plane.events import PlayoutIdle
from bridge.plane.g711 import decode_ulaw, encode_ulaw
from bridge.plane.shape import Shape
from bridge.plane.spec import RowSpec
from tests.engine.phone import Phone, until
from tests.fakes import SeededIds

pytestmark = pytest.mark.e2e

SETTINGS = MediaSettings(
    ports=(40_600, 40_799), bind_ip="127.0.0.1", capacity=2, wide_capacity=3, realtime=False
)
SECONDS = 1.0


@pytest_asyncio.fixture
async def engine() -> AsyncIterator[MediaEngine]:
    made = await MediaEngine.start(SETTINGS, clock=SystemClock(), dice=SeededIds())
    yield made
    await made.close()


def melody(rate_hz: int, *, seed: int = 0, seconds: float = SECONDS) -> np.ndarray:
    """Voice-like sound, nowhere the same and nowhere silent: a few gliding tones."""
    at = np.arange(int(rate_hz * seconds)) / rate_hz
    begin = 300 + 40 * seed
    wave = np.sin(2 * np.pi * (begin * at + 200 * at**2)) + 0.5 * np.sin(2 * np.pi * (begin * 3.1 * at))
    pcm: np.ndarray = np.rint(6000 * wave).astype(np.int16)
    return pcm


class Party:
    """One phone with its codec, and the leg that carries it."""

    def __init__(self, engine: MediaEngine, codec: int, rate_hz: int, ptime_ms: int = 20) -> None:
        self.codec, self.rate_hz, self.ptime_ms = codec, rate_hz, ptime_ms
        self.shape = Shape(rate_hz)
        self.phone = Phone()
        self.events: asyncio.Queue[LegEvent] = asyncio.Queue()
        self.leg = engine.reserve(rate_hz)
        self.leg.open(
            codec=codec,
            payload_type=codec if codec == PCMU else 96,
            dtmf_payload_type=101,
            remote=self.phone.address,
            latch_ip=None,
            sending=True,
            receiving=True,
            interruptible=0,
            deliver=self.events.put_nowait,
            ptime_ms=ptime_ms,
        )
        self.capture = self.leg.capture()
        self.heard: list[bytes] = []
        self.captured = np.empty((2, 0), np.int16)
        self.spec = RowSpec(
            generation=1,
            ssrc=0,
            sequence=0,
            timestamp=0,
            codec=codec,
            payload_type=96,
            dtmf_payload_type=101,
            remote_key=0,
            latch_ip=0,
            sending=True,
            receiving=True,
            interruptible=0,
            rate_hz=rate_hz,
            ptime_ms=ptime_ms,
        )

    def encoded(self, pcm: np.ndarray) -> list[bytes]:
        """What the far end's own codec makes of its voice, in packets of `ptime_ms`."""
        size = self.shape.frame * self.ptime_ms // 20
        frames = pcm[: len(pcm) // size * size].reshape(-1, size)
        if self.codec == PCMU:
            return [encode_ulaw(frame).tobytes() for frame in frames]
        _, encoder = make_codec(self.spec)
        return [encoder.encode(frame) for frame in frames]

    def decoded(self) -> np.ndarray:
        """What the far end hears, in the order of the packets."""
        payloads = [packet[12:] for packet in self.heard]
        if self.codec == PCMU:
            return decode_ulaw(np.frombuffer(b"".join(payloads), np.uint8))
        decoder, _ = make_codec(self.spec)
        pieces = []
        for packet in self.heard:
            _, _, sequence, timestamp, _ = struct.unpack(">BBHII", packet[:12])
            pieces += decoder.receive(sequence, timestamp, packet[12:])
        return np.concatenate([pcm for _, pcm in pieces])

    def speak(self, number: int, payload: bytes) -> None:
        clock_hz = CODECS[self.codec].clock_hz
        # The timestamp wraps on the way.
        timestamp = (2**32 - clock_hz // 2 + number * clock_hz * self.ptime_ms // 1000) % 2**32
        second = 0 if self.codec == PCMU else 96
        header = struct.pack(">BBHII", 0x80, second, 65_520 + number & 0xFFFF, timestamp, 0xFEED)
        self.phone.sock.sendto(header + payload, ("127.0.0.1", self.leg.local_port))

    def listen(self) -> None:
        try:
            while True:
                self.heard.append(self.phone.sock.recv(2000))
        except BlockingIOError:
            pass
        got = self.capture.read(self.rate_hz)
        self.captured = np.concatenate((self.captured, got), axis=1)

    def close(self) -> None:
        self.leg.close()
        self.phone.sock.close()

    async def idle(self) -> None:
        async with asyncio.timeout(5):
            while not isinstance(await self.events.get(), PlayoutIdle):
                pass


def likeness(heard: np.ndarray, said: np.ndarray) -> float:
    """How well pieces of what was said are found in what was heard: the middle one of their correlations.

    Where the machine gave us no time, a slot may be skipped: that spoils one piece, not the sound.
    """
    sound = heard.astype(float)
    size = 1 << (2 * len(sound)).bit_length()
    spectrum = np.fft.rfft(sound, size)
    energy = np.concatenate(([0.0], np.cumsum(sound**2)))
    found = []
    for piece in np.array_split(said[len(said) // 8 :].astype(float), 9):
        count = len(sound) - len(piece)
        product = np.fft.irfft(spectrum * np.fft.rfft(piece, size).conj(), size)[:count]
        scale = np.sqrt((energy[len(piece) :] - energy[: -len(piece)])[:count] * (piece**2).sum() + 1)
        found.append(float((product / scale).max()))
    return float(np.median(found))


async def talk(parties: list[Party]) -> None:
    """Everybody says a second of its melody, and is told another one meanwhile."""
    for party in parties:
        await party.leg.opened()
    spoken = [party.encoded(melody(party.rate_hz)) for party in parties]
    for number, party in enumerate(parties):
        writer, pcm = party.leg.writer, melody(party.rate_hz, seed=number + 1)
        writer.open_utterance(writer.epoch)
        assert writer.write(pcm, epoch=writer.epoch) == len(pcm)
        writer.close_utterance(writer.epoch)
    loop = asyncio.get_running_loop()
    start = loop.time()
    for slot in range(int(SECONDS * 100)):
        await asyncio.sleep(max(0.0, start + 0.01 * slot - loop.time()))
        for party, packets in zip(parties, spoken, strict=True):
            if slot * 10 % party.ptime_ms == 0 and slot * 10 // party.ptime_ms < len(packets):
                number = slot * 10 // party.ptime_ms
                party.speak(number, packets[number])
            party.listen()
    for party in parties:
        await party.idle()
    await asyncio.sleep(0.3)
    for party in parties:
        party.listen()
        party.close()


async def test_rows_of_every_codec_are_carried_side_by_side(engine: MediaEngine) -> None:
    parties = [
        Party(engine, PCMU, 8000),
        Party(engine, G722, 16000),
        Party(engine, L16_16K, 16000),
        Party(engine, L16_48K, 48000, ptime_ms=10),
        Party(engine, OPUS, 48000),
        Party(engine, OPUS, 24000),
    ]

    await talk(parties)

    for number, party in enumerate(parties):
        told = melody(party.rate_hz, seed=number + 1)
        assert likeness(party.decoded(), told) > 0.97, (party.codec, party.rate_hz)
        assert likeness(party.captured[0], melody(party.rate_hz)) > 0.97, (party.codec, party.rate_hz)
        assert likeness(party.captured[1], told) > 0.999, (party.codec, party.rate_hz)


async def test_l16_arrives_bit_for_bit_and_g722_as_its_coder_says(engine: MediaEngine) -> None:
    linear, wide = Party(engine, L16_16K, 16000), Party(engine, G722, 16000, ptime_ms=30)

    await talk([linear, wide])

    told = melody(16000, seed=1)
    assert told.astype(">i2").tobytes() in b"".join(packet[12:] for packet in linear.heard)
    caught = linear.captured[0].tobytes()
    pieces = melody(16000)[1600:14400].reshape(8, -1)
    # Where the machine gave us no time, a slot may be skipped.
    assert sum(piece.tobytes() in caught for piece in pieces) >= 6
    codes = b"".join(packet[12:] for packet in wide.heard)
    _, encoder = make_codec(wide.spec)
    sent = wide.captured[1]
    expected = b"".join(encoder.encode(frame) for frame in sent.reshape(-1, 320))
    assert melody(16000, seed=2).tobytes() in sent.tobytes()
    assert codes[: len(expected)] == expected[: len(codes)]
    assert min(len(codes), len(expected)) > 8000
    stamps = np.array([struct.unpack(">BBHII", packet[:12])[3] for packet in wide.heard])
    assert np.median(np.diff(stamps) % 2**32) == 240


async def test_a_leg_takes_another_row_when_the_answer_tells_its_rate(engine: MediaEngine) -> None:
    leg, others = engine.reserve(), [engine.reserve(16000) for _ in range(3)]
    before = leg.row, leg.local_port, leg.generation

    with pytest.raises(EngineError, match="all 3 rows"):
        engine.refit(leg, 16000)
    assert (leg.row, leg.rate_hz) == (before[0], 8000)
    engine.refit(leg, 24000)
    engine.refit(leg, 24000)

    assert (leg.rate_hz, leg.local_port, leg.generation) == (24000, *before[1:])
    assert before[0] in (engine.reserve().row, engine.reserve().row)
    leg.close()
    assert leg.row in [engine.reserve(24000).row for _ in range(3)]
    others[0].close()
    assert engine.reserve(16000).row == others[0].row


async def test_a_leg_that_is_open_keeps_its_row(engine: MediaEngine) -> None:
    party = Party(engine, PCMU, 8000)
    await party.leg.opened()

    with pytest.raises(LocalProtocolError, match="keeps its row"):
        engine.refit(party.leg, 48000)

    assert {engine.reserve(48000).rate_hz for _ in range(3)} == {48000}
    party.close()


async def test_opus_that_the_voice_made_arrives_as_it_was_made(engine: MediaEngine) -> None:
    party = Party(engine, OPUS, 48000)
    await party.leg.opened()
    voice, ear = make_codec(party.spec)[1], make_codec(party.spec)[0]
    packets = [voice.encode(frame) for frame in melody(48000).reshape(-1, 960)]
    writer = party.leg.writer

    writer.open_utterance(writer.epoch)
    for number, packet in enumerate(packets):
        (_, shadow), *_ = ear.receive(number, number * 960, packet)
        assert writer.write_packet(packet, shadow, epoch=writer.epoch) == 960
    writer.close_utterance(writer.epoch)
    await party.idle()
    await asyncio.sleep(0.1)
    party.listen()

    heard = [packet[12:] for packet in party.heard]
    begin = heard.index(packets[0])
    assert heard[begin : begin + len(packets)] == packets
    assert party.leg.status.snapshot()["tx_passed"] == len(packets)
    party.close()


async def test_wide_rows_outlive_their_process(engine: MediaEngine) -> None:
    async with asyncio.timeout(10):
        await until(lambda: engine.has_standby)
    linear, opus = Party(engine, L16_16K, 16000), Party(engine, OPUS, 48000)
    voice = make_codec(opus.spec)[1]
    told = melody(16000)
    packets = [voice.encode(frame) for frame in melody(48000).reshape(-1, 960)]
    for party in (linear, opus):
        await party.leg.opened()
    writer = opus.leg.writer
    for packet, sound in zip(packets, melody(48000).reshape(-1, 960), strict=True):
        writer.write_packet(packet, sound, epoch=writer.epoch)
    linear.leg.writer.write(told, epoch=linear.leg.writer.epoch)
    for party in (linear, opus):
        party.leg.writer.close_utterance(party.leg.writer.epoch)
    await asyncio.sleep(0.4)

    os.kill(engine.pid, signal.SIGKILL)
    for party in (linear, opus):
        await party.idle()
    await asyncio.sleep(0.1)
    for party in (linear, opus):
        party.listen()
        party.close()

    assert engine.takeovers == 1
    for party in (linear, opus):
        numbers = [struct.unpack(">H", packet[2:4])[0] for packet in party.heard]
        assert len(set(numbers)) == len(numbers)
    said = told.astype(">i2").tobytes()
    frames = [packet[12:] for packet in linear.heard if packet[12:] in said]
    # A frame that was built may never have left, and one begins softly.
    assert len(set(frames)) >= 47
    passed = [packet[12:] for packet in opus.heard if packet[12:] in packets]
    assert len(passed) >= 47
    assert [packets.index(packet) for packet in passed] == sorted(map(packets.index, set(passed)))


async def test_every_rate_has_rows_of_its_own(engine: MediaEngine) -> None:
    legs = [engine.reserve(24000) for _ in range(3)]

    with pytest.raises(EngineError, match=r"all 3 rows .* raise media\.wide_capacity"):
        engine.reserve(24000)

    assert {leg.rate_hz for leg in legs} == {24000}
    assert engine.reserve(48000).rate_hz == 48000
    assert engine.reserve().rate_hz == 8000
    legs[0].close()
    assert engine.reserve(24000).row == legs[0].row
