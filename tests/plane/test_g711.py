import av
import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.plane.g711 import (
    DECODE,
    ENCODE,
    SILENCE,
    decode_alaw,
    decode_ulaw,
    encode_alaw,
    encode_ulaw,
)

EVERY_SAMPLE = np.arange(65536).astype(np.uint16).view(np.int16)
EVERY_CODE = np.arange(256).astype(np.uint8)


def encoded_by_ffmpeg(codec: str) -> NDArray[np.uint8]:
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = 8000, "mono", "s16"
    frame = av.AudioFrame.from_ndarray(EVERY_SAMPLE[None, :], format="s16", layout="mono")
    frame.sample_rate = 8000
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    return np.frombuffer(b"".join(bytes(packet) for packet in packets), np.uint8)


def decoded_by_ffmpeg(codec: str) -> NDArray[np.int16]:
    decoder = av.CodecContext.create(codec, "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate, decoder.layout = 8000, "mono"
    frames = decoder.decode(av.Packet(EVERY_CODE.tobytes()))
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


@pytest.mark.parametrize(("codec", "name"), [(0, "pcm_mulaw"), (1, "pcm_alaw")])
def test_every_sample_and_every_code_agree_with_ffmpeg(codec: int, name: str) -> None:
    assert np.array_equal(ENCODE[codec], encoded_by_ffmpeg(name))
    assert np.array_equal(DECODE[codec], decoded_by_ffmpeg(name))


@pytest.mark.parametrize("codec", [0, 1])
def test_a_decoded_value_keeps_its_value_when_it_is_encoded_again(codec: int) -> None:
    values = DECODE[codec]

    again = DECODE[codec][ENCODE[codec][values.view(np.uint16)]]

    assert np.array_equal(again, values)


def test_values_of_the_recommendation() -> None:
    # Tables 1a and 2a, largest output values, scaled from 13 and 14 bits to 16.
    assert DECODE[0][[0x80, 0x00, 0xFF, 0x7F]].tolist() == [32124, -32124, 0, 0]
    assert DECODE[1][[0xAA, 0x2A, 0xD5, 0x55]].tolist() == [32256, -32256, 8, -8]
    assert SILENCE.tolist() == [0xFF, 0xD5]


def test_whole_batches_are_coded_at_once_and_in_place() -> None:
    pcm = np.arange(-600, 600, dtype=np.int16).reshape(3, 400)
    out = np.empty((3, 400), np.uint8)

    assert encode_ulaw(pcm, out) is out
    assert np.array_equal(decode_ulaw(out), DECODE[0][ENCODE[0][pcm.view(np.uint16)]])
    assert np.array_equal(decode_alaw(encode_alaw(pcm)), DECODE[1][ENCODE[1][pcm.view(np.uint16)]])
