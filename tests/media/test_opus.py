import io

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from hypothesis import given
from hypothesis import strategies as st

from bridge.media.ogg import OggReader, Packet, parse_opus_head, parse_opus_tags
from bridge.media.opus import PACKET_MS, OpusPacker
from tests.media.listening import compare, decode, voice

RATES = (8000, 16000, 24000, 48000)
TICKS = 48 * PACKET_MS


def packed(packer: OpusPacker, data: bytes, *, chunk: int = 3000) -> bytes:
    return b"".join(packer.push(data[at : at + chunk]) for at in range(0, len(data), chunk)) + packer.finish()


def packets_of(data: bytes) -> list[Packet]:
    return OggReader().push(data)


def opus(rate: int, kbps: int | None = None) -> OpusPacker:
    return OpusPacker(rate, bit_rate=kbps, tags={})


@pytest.mark.parametrize("rate", RATES)
def test_what_is_heard_is_what_was_said(rate: int) -> None:
    said = voice(rate)[:-33]

    heard = decode(packed(opus(rate), said.tobytes()), "opus", rate)
    likeness = compare(said, heard)

    assert len(heard) == len(said)
    assert likeness.late_samples == 0
    assert abs(likeness.gain_db) < 0.2
    assert likeness.likeness > 0.99


@pytest.mark.parametrize("rate", RATES)
def test_the_head_tells_the_coder_s_delay_and_the_sound_s_rate(rate: int) -> None:
    head = parse_opus_head(packets_of(opus(rate).push(bytes(2)))[0].data)

    assert (head.channels, head.pre_skip, head.input_rate, head.gain_db) == (1, 312, rate, 0.0)


@pytest.mark.parametrize("kbps", [16, 64, 200])
def test_the_bit_rate_is_what_was_asked_for(kbps: int) -> None:
    said = (np.random.default_rng(1).standard_normal(48000 * 2) * 3000).astype(np.int16)

    coded = [packet.data for packet in packets_of(packed(opus(48000, kbps), said.tobytes()))[2:]]

    assert sum(map(len, coded)) * 8 / 2000 == pytest.approx(kbps, rel=0.2)


def test_more_than_libopus_takes_is_as_much_as_it_takes() -> None:
    said = voice(48000, 0.2).tobytes()

    assert packed(opus(48000, 510), said) == packed(opus(48000, 256), said)


def test_every_push_gives_all_whole_packets_on_pages_of_its_own() -> None:
    packer = opus(16000)
    said = voice(16000, 0.25).tobytes()
    reader = OggReader()

    counts = [len(reader.push(packer.push(said[at : at + 1600]))) for at in range(0, len(said), 1600)]

    # 50 ms each: two packets and a half, and once the two headers.
    assert counts == [2 + 2, 3, 2, 3, 2]


def test_granules_count_what_a_decoder_has_made_so_far() -> None:
    packer, reader = opus(8000), OggReader()
    said = voice(8000, 0.1)[:-5].tobytes()

    pages = [reader.push(data) for data in (packer.push(said), packer.settle(), packer.push(said))]
    late_samples = packer.late_samples
    last = reader.push(packer.finish())[-1]
    made = np.cumsum([sum(packet.data[:4] != b"Opus" for packet in page) * TICKS for page in pages])

    assert [page[-1].granule for page in pages] == made.tolist()
    assert late_samples > 0
    assert last == Packet(last.data, 312 + 6 * (2 * 795 + late_samples), is_last=True)


@given(st.integers(1, 2000))
def test_a_settled_sentence_is_heard_to_its_last_sample(count: int) -> None:
    packer = opus(8000)

    heard = packer.push(np.full(count, 900, "<i2").tobytes()) + packer.settle()

    granule = packets_of(heard)[-1].granule
    assert granule is not None
    assert granule - 312 >= 6 * count
    assert packer.late_samples == (granule // 6) - count
    assert packer.settle() == b""


def test_a_settled_sentence_sounds_to_its_end() -> None:
    said = voice(24000, 0.777)
    packer = opus(24000, 64)

    heard = decode(packer.push(said.tobytes()) + packer.settle(), "opus", 24000)

    assert np.corrcoef(heard[: len(said)][-600:], said[-600:])[0, 1] > 0.98


def test_settling_moves_nothing_when_a_pause_follows() -> None:
    first, second = voice(24000, 0.4)[:-7], voice(24000, 0.3)
    pause = np.zeros(2400, np.int16)
    packer = opus(24000, 64)

    wire = packer.push(first.tobytes()) + packer.settle()
    wire += packer.push(pause.tobytes() + second.tobytes()) + packer.finish()
    said = np.concatenate((first, pause, second))
    heard = decode(wire, "opus", 24000)

    assert len(heard) == len(said)
    assert compare(said, heard).likeness > 0.98


def test_after_settling_an_empty_page_ends_the_stream() -> None:
    said = voice(24000, 0.1)
    packer = opus(24000)
    sound = packer.push(said.tobytes()) + packer.settle()

    end = packer.finish()

    assert len(end) == 27
    assert end[5] == 4
    assert 0 <= len(decode(sound + end, "opus", 24000)) - len(said) < 2 * 480


def test_what_another_writer_packs_is_taken_apart() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=16000, layout="mono")
        assert isinstance(stream, AudioStream)
        frame = av.AudioFrame.from_ndarray(voice(16000, 0.5).reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))

    head, tags, *sound = packets_of(file.getvalue())

    assert parse_opus_head(head.data).pre_skip == 312
    assert "ENCODER" in parse_opus_tags(tags.data)
    assert len(sound) == 26
    assert sound[-1].is_last
    # FFmpeg counts the pre-skip twice when the sound ends with a whole packet.
    assert sound[-1].granule in (24000 + 312, 24000 + 2 * 312)


def test_comments_are_the_tags() -> None:
    packer = OpusPacker(8000, bit_rate=None, tags={"AIGC": "{}"}, serial=77)

    wire = packed(packer, voice(8000, 0.1).tobytes())

    assert parse_opus_tags(packets_of(wire)[1].data) == {"AIGC": "{}"}
    assert wire[14:18] == (77).to_bytes(4, "little")
    with av.open(io.BytesIO(wire), format="ogg") as container:
        assert container.streams.audio[0].metadata == {"AIGC": "{}"}


def test_the_same_sound_is_the_same_bytes() -> None:
    said = voice(16000, 0.3).tobytes()

    assert packed(opus(16000), said) == packed(opus(16000), said)


def test_a_stream_of_nothing_has_no_bytes() -> None:
    packer = opus(8000)

    assert packer.push(b"") + packer.push(b"\1") + packer.settle() + packer.finish() == b""
