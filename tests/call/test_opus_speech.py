"""Speech in Ogg Opus: heard as PCM, passed on as packets."""

from collections.abc import AsyncIterator

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.audio import OpusFormat, PcmFormat
from bridge.call.opus_speech import OpusSpeech, Packets, speech_format
from bridge.call.trace import UtteranceRecord
from bridge.call.utterance import Utterance, Workshop
from bridge.errors import SynthesisError
from bridge.media.opus import OpusPacker
from bridge.plane.columns import Columns
from bridge.plane.ring import PlayoutWriter
from bridge.plane.shape import Shape
from bridge.ports import SentenceMark, WordTime
from tests.fakes import ManualClock

RATE_HZ = 24_000
FRAME = RATE_HZ // 50


class PackedSpeech:
    """A task whose sound is what the test says."""

    def __init__(self, *data: bytes) -> None:
        self.task_id = "task-1"
        self.bound_ns = 5
        self.words: list[WordTime] = []
        self.sentence: SentenceMark | None = SentenceMark(0, 99)
        self.said: list[str] = []
        self._data = data

    async def send_text(self, text: str) -> None:
        self.said.append(text)

    async def finish(self) -> None:
        self.said.append("")

    async def audio(self) -> AsyncIterator[bytes]:
        for data in self._data:
            yield data

    async def cancel(self) -> int:
        return 7


def glide(seconds: float) -> NDArray[np.int16]:
    at = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    pcm: NDArray[np.int16] = np.rint(7000 * np.sin(2 * np.pi * (300 * at + 100 * at**2))).astype(np.int16)
    return pcm


def packed(seconds: float) -> bytes:
    packer = OpusPacker(RATE_HZ, bit_rate=32, tags={})
    return packer.push(glide(seconds).tobytes()) + packer.finish()


async def test_the_sound_is_that_of_the_stream_and_its_packets_wait_beside_it() -> None:
    ogg, packets = packed(0.5), Packets()
    speech = OpusSpeech(PackedSpeech(ogg[:100], ogg[100:]), RATE_HZ, packets)

    pieces = [np.frombuffer(data, "<i2") async for data in speech.audio()]

    heard, said = np.concatenate(pieces), glide(0.5)
    # The pre-skip stays as silence.
    skipped = len(heard) - len(said)
    assert 0 < skipped < FRAME
    assert not heard[:skipped].any()
    assert np.corrcoef(heard[skipped + 500 :], said[500:])[0, 1] > 0.98
    taken = [packets.take(piece) for piece in pieces]
    assert taken[0] is None
    assert all(taken[1:-1])
    assert packets.take(pieces[3]) is None  # Once each.


async def test_all_else_is_the_speech_itself() -> None:
    inner = PackedSpeech()
    speech = OpusSpeech(inner, RATE_HZ, Packets())

    await speech.send_text("hello")
    await speech.finish()

    assert (speech.task_id, speech.bound_ns, speech.words) == ("task-1", 5, [])
    assert speech.sentence is None
    assert inner.said == ["hello", ""]
    assert await speech.cancel() == 7


async def test_a_voice_that_gives_something_else_has_failed() -> None:
    speech = OpusSpeech(PackedSpeech(b"RIFF, and so on, for more than a page"), RATE_HZ, Packets())

    with pytest.raises(SynthesisError, match="asked for Ogg Opus"):
        async for _ in speech.audio():
            pass


async def test_an_utterance_hands_packets_to_the_ring_and_waits_for_room() -> None:
    shape = Shape(RATE_HZ)
    columns = Columns(bytearray(Columns.size_bytes(1, shape)), 1, shape)
    columns.generation[0] = 7
    writer, packets = PlayoutWriter(columns, 0, 7), Packets()
    speech = OpusSpeech(PackedSpeech(packed(1.0)), RATE_HZ, packets)

    async def take_speech() -> OpusSpeech:
        return speech

    workshop = Workshop(
        writer=writer,
        rate=RATE_HZ,
        clock=ManualClock(),
        take_speech=take_speech,
        note_text=lambda now_ns: None,
        is_closed=lambda: False,
        packets=packets,
    )
    writer.open_utterance(0)
    utterance = Utterance(workshop, epoch=0, record=UtteranceRecord(start_sample=0, end_sample=0))

    async for data in speech.audio():
        await utterance.put(np.frombuffer(data, "<i2"))

    held = np.count_nonzero(columns.packet_length[0])
    assert held == writer.write_index // FRAME - 1
    assert utterance.written == writer.write_index


@pytest.mark.parametrize(
    ("codec", "rate_hz", "passes", "wanted"),
    [
        ("opus", 24_000, True, OpusFormat(24_000)),
        ("opus", 24_000, False, PcmFormat(24_000)),
        ("opus", 8000, True, PcmFormat(8000)),
        ("G722", 16_000, True, PcmFormat(16_000)),
    ],
)
def test_the_voice_is_asked_for_what_the_line_can_pass_on(
    codec: str, rate_hz: int, passes: bool, wanted: PcmFormat | OpusFormat
) -> None:
    assert speech_format(codec, rate_hz, passes_opus=passes) == wanted
