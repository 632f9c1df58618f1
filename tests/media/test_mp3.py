import numpy as np
import pytest
from av.audio.codeccontext import AudioCodecContext
from av.codec.context import CodecContext
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.media.mp3 import DELAY_SAMPLES, Mp3Packer, id3_tag, legal_bit_rate, read_id3
from tests.media.listening import compare, decode, voice

NAMED = {8000: 64, 16000: 128, 22050: 160, 24000: 160, 44100: 256, 48000: 256}
CHUNK = 3210


def packed(packer: Mp3Packer, data: bytes) -> list[bytes]:
    return [*(packer.push(data[at : at + CHUNK]) for at in range(0, len(data), CHUNK)), packer.finish()]


def heard_in_chunks(chunks: list[bytes]) -> list[float]:
    """What a player hears that is given each chunk as it comes."""
    player = CodecContext.create("mp3float", "r")
    assert isinstance(player, AudioCodecContext)
    frames = [frame for chunk in chunks for packet in player.parse(chunk) for frame in player.decode(packet)]
    frames += [frame for packet in player.parse(None) for frame in player.decode(packet)]
    return [float(np.abs(frame.to_ndarray()).max()) for frame in frames]


@pytest.mark.parametrize("rate", NAMED)
def test_what_is_heard_is_what_was_said(rate: int) -> None:
    said = voice(rate)

    wire = b"".join(packed(Mp3Packer(rate, bit_rate=None, tags={}), said.tobytes()))
    heard = decode(wire, "mp3", rate)
    likeness = compare(said, heard)

    assert likeness.late_samples == DELAY_SAMPLES
    assert abs(likeness.gain_db) < 0.1
    assert likeness.likeness > 0.995
    assert 0 <= len(heard) - DELAY_SAMPLES - len(said) < 1152


@pytest.mark.parametrize("rate", NAMED)
def test_the_bit_rate_is_the_named_one_or_what_is_legal_below(rate: int) -> None:
    wire = b"".join(packed(Mp3Packer(rate, bit_rate=None, tags={}), voice(rate, 3.0).tobytes()))

    kbps = len(wire) * 8 / len(decode(wire, "mp3", rate)) * rate / 1000
    assert kbps == pytest.approx(NAMED[rate], rel=0.01)


@pytest.mark.parametrize("kbps", [8, 32, 64, 96, 128, 160, 192, 224, 256, 320])
def test_lame_does_not_turn_the_sound_down(kbps: int) -> None:
    rate = 44100 if kbps > 160 else 16000
    times = np.arange(rate) / rate
    said = np.asarray(np.sin(2 * np.pi * 500 * times) * 20000, np.int16)

    wire = b"".join(packed(Mp3Packer(rate, bit_rate=kbps, tags={}), said.tobytes()))

    assert abs(compare(said, decode(wire, "mp3", rate)).gain_db) < 0.1


def test_a_player_that_gets_chunk_after_chunk_hears_every_frame() -> None:
    chunks = packed(Mp3Packer(24000, bit_rate=None, tags={}), voice(24000).tobytes())

    peaks = heard_in_chunks(chunks)

    assert len(peaks) == len(decode(b"".join(chunks), "mp3", 24000)) // 576
    assert min(peaks[3:-3]) > 0.01


def test_no_frame_begins_inside_the_one_before_it() -> None:
    wire = b"".join(packed(Mp3Packer(24000, bit_rate=None, tags={}), voice(24000).tobytes()))
    frame_bytes = 480  # 160 kbps for 24 ms

    begins = {wire[at + 4] for at in range(0, len(wire), frame_bytes)}

    assert begins == {0}


@given(st.integers(1, 6000))
def test_a_settled_sentence_is_heard_to_its_last_sample(count: int) -> None:
    said = np.full(count, 9000, np.int16)
    packer = Mp3Packer(16000, bit_rate=None, tags={})

    heard = decode(packer.push(said.tobytes()) + packer.settle(), "mp3", 16000)

    assert len(heard) >= count + DELAY_SAMPLES
    assert packer.late_samples <= 4 * 576
    assert packer.settle() == b""


def test_a_settled_sentence_sounds_to_its_end() -> None:
    said = voice(16000, 0.777)
    packer = Mp3Packer(16000, bit_rate=None, tags={})

    heard = decode(packer.push(said.tobytes()) + packer.settle(), "mp3", 16000)
    last_word = heard[DELAY_SAMPLES : DELAY_SAMPLES + len(said)][-400:]

    assert np.corrcoef(last_word, said[-400:])[0, 1] > 0.99


def test_settling_moves_nothing_when_a_pause_follows() -> None:
    rate = 24000
    first, second = voice(rate, 0.4), voice(rate, 0.3)
    pause = np.zeros(rate // 4, np.int16)
    packer = Mp3Packer(rate, bit_rate=None, tags={})

    wire = packer.push(first.tobytes()) + packer.settle()
    wire += packer.push(pause.tobytes() + second.tobytes()) + packer.finish()
    likeness = compare(np.concatenate((first, pause, second)), decode(wire, "mp3", rate))

    assert likeness.late_samples == DELAY_SAMPLES
    assert likeness.likeness > 0.995


def test_the_tag_stands_in_front_and_only_there() -> None:
    packer = Mp3Packer(8000, bit_rate=None, tags={"AIGC": "这是"})

    first = packer.push(bytes(2))
    rest = packer.push(voice(8000).tobytes()) + packer.finish()

    assert first == id3_tag({"AIGC": "这是"})
    assert b"ID3" not in rest
    assert read_id3(first + rest) == {"AIGC": "这是"}


def test_a_stream_of_nothing_has_no_bytes() -> None:
    packer = Mp3Packer(8000, bit_rate=None, tags={"AIGC": "x"})

    assert packer.push(b"") + packer.push(b"\1") + packer.settle() + packer.finish() == b""


@pytest.mark.parametrize(
    ("rate", "wanted", "legal"),
    [
        (48000, 6, 32),
        (48000, 510, 320),
        (24000, 32, 32),
        (24000, 200, 160),
        (8000, 510, 64),
        (44100, 176, 192),
    ],
)
def test_a_wanted_bit_rate_is_brought_to_a_legal_one(rate: int, wanted: int, legal: int) -> None:
    assert legal_bit_rate(rate, wanted) == legal


def test_a_file_without_a_tag_has_no_texts() -> None:
    assert read_id3(b"\xff\xf3") == {}


def test_frames_of_other_kinds_are_passed_over() -> None:
    tag = id3_tag({"ONE": "x", "TWO": "y", "THREE": "z"})

    title = tag.replace(b"TXXX", b"TALB", 1)
    latin = tag.replace(b"\x03ONE", b"\x00ONE")

    assert read_id3(title) == read_id3(latin) == {"TWO": "y", "THREE": "z"}


@pytest.mark.parametrize("cut", [5, 12])
def test_a_tag_that_is_cut_off_is_refused(cut: int) -> None:
    with pytest.raises(RemoteProtocolError, match="ID3 tag"):
        read_id3(id3_tag({"AIGC": "x"})[:cut])


@given(st.binary(max_size=120))
def test_any_bytes_in_a_tag_are_read_or_refused(body: bytes) -> None:
    data = b"ID3\x04\0\0" + bytes([0, 0, 0, len(body)]) + body

    assert all(isinstance(text, str) for text in read_id3(data).values())
