import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.media.clip import LARGEST_BYTES, read_wav
from bridge.media.wav import wav_header


def wav(
    *, coding: int = 1, channels: int = 1, rate: int = 16000, bits: int = 16, extra: bytes = b"", sound: bytes
) -> bytes:
    layout = struct.pack("<HHIIHH", coding, channels, rate, 0, 0, bits) + extra
    return (
        b"RIFF\0\0\0\0WAVE"
        + struct.pack("<4sI", b"fmt ", len(layout))
        + layout
        + struct.pack("<4sI", b"data", len(sound))
        + sound
    )


def test_samples_and_rate_are_read() -> None:
    samples, rate = read_wav(wav(rate=22050, sound=b"\x01\x00\xff\xff"))

    assert samples.tolist() == [1, -1]
    assert samples.dtype == np.int16
    assert rate == 22050


def test_a_streamed_file_is_read_to_its_end() -> None:
    samples, rate = read_wav(wav_header(8000, {"AIGC": "{}"}) + b"\x01\x00\x02\x00\x03")

    assert samples.tolist() == [1, 2]
    assert rate == 8000


def test_bytes_after_the_data_are_no_sound() -> None:
    samples, _ = read_wav(wav(sound=b"\x01\x00") + b"LIST\x04\0\0\0INFO")

    assert samples.tolist() == [1]


def test_the_extensible_form_of_pcm_is_pcm() -> None:
    extra = struct.pack("<HHIH", 22, 16, 4, 1) + b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"

    samples, _ = read_wav(wav(coding=0xFFFE, extra=extra, sound=b"\x05\x00"))

    assert samples.tolist() == [5]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"ID3\x04", "not a wav file"),
        (wav(coding=3, sound=b"ab"), "coding 3"),
        (wav(coding=0xFFFE, sound=b"ab"), "coding 65534"),
        (wav(channels=2, sound=b"ab"), "2 channels"),
        (wav(bits=24, sound=b"ab"), "24 bits; save it as 16-bit PCM mono"),
        (wav(rate=0, sound=b"ab"), "at 0 Hz"),
        (wav(rate=4_000_000_000, sound=b"ab"), "4000 to 192000 Hz"),
        (wav(sound=b"a"), "without a sample"),
        (b"RIFF\0\0\0\0WAVEdata\x02\0\0\0ab", "before their format"),
        (b"RIFF\0\0\0\0WAVEfmt \x02\0\0\0ab", "format of 2 bytes"),
        (wav(sound=b"")[:-8], "without a data chunk"),
        (wav(sound=bytes(LARGEST_BYTES)), "2097196 bytes; 2097152 are allowed"),
    ],
)
def test_anything_else_is_refused_by_name(data: bytes, complaint: str) -> None:
    with pytest.raises(RemoteProtocolError, match=complaint):
        read_wav(data)


@given(st.binary(max_size=120))
def test_any_bytes_are_sound_or_refused(data: bytes) -> None:
    for begin in (b"", b"RIFF\0\0\0\0WAVE", wav(sound=b"")[:-8]):
        try:
            samples, _ = read_wav(begin + data)
        except RemoteProtocolError:
            continue
        assert len(samples)
