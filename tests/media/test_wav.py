import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.media.wav import PcmPacker, read_info, riff_chunks, wav_header
from tests.media.listening import decode, voice

RATES = (8000, 16000, 22050, 24000, 44100, 48000)


@pytest.mark.parametrize("rate", RATES)
def test_a_wav_stream_is_heard_bit_for_bit(rate: int) -> None:
    said = voice(rate, 0.5)
    packer = PcmPacker(wav_header(rate, {"AIGC": "odd"}))
    data = said.tobytes()

    wire = packer.push(data[:1001]) + packer.settle() + packer.push(data[1001:]) + packer.finish()

    assert decode(wire, "wav", rate).tobytes() == data
    assert packer.late_samples == 0


def test_only_the_first_bytes_carry_the_header() -> None:
    packer = PcmPacker(wav_header(8000))

    assert packer.push(b"") == b""
    assert packer.push(b"ab") == wav_header(8000) + b"ab"
    assert packer.push(b"cd") == b"cd"


def test_pcm_is_pcm() -> None:
    packer = PcmPacker()

    assert packer.push(b"abc") + packer.settle() + packer.finish() == b"abc"


def test_a_header_without_tags_is_the_shortest_there_is() -> None:
    header = wav_header(22050)

    assert len(header) == 44
    assert header[4:8] == header[40:44] == b"\xff\xff\xff\xff"
    assert struct.unpack_from("<II", header, 24) == (22050, 44100)


def test_chunks_that_lie_about_their_size_get_what_there_is() -> None:
    data = (
        b"RIFF\0\0\0\0WAVE"
        + struct.pack("<4sI", b"odd ", 1)
        + b"x\0"
        + struct.pack("<4sI", b"data", 999)
        + b"yz"
    )

    chunks = [(name, bytes(body)) for name, body in riff_chunks(data)]

    assert chunks == [(b"odd ", b"x"), (b"data", b"yz")]


def test_texts_are_found_again() -> None:
    tags = {"AIGC": '{"Label":"1"}', "ICMT": "你好"}

    assert read_info(wav_header(8000, tags) + b"sound") == tags


def test_other_lists_hold_no_texts() -> None:
    data = b"RIFF\0\0\0\0WAVE" + struct.pack("<4sI4s", b"LIST", 12, b"adtl") + struct.pack("<4sI", b"note", 0)

    assert read_info(data) == {}


def test_what_is_no_wav_file_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="not a wav file: it begins with b'OggS'"):
        read_info(b"OggS")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    tags = read_info(b"RIFF\0\0\0\0WAVE" + data)

    assert all(isinstance(text, str) for text in tags.values())
