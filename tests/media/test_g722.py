from typing import Literal

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bridge.media.g722 import G722Decoder, G722Encoder
from tests.media.listening import compare, level_db, voice

RATE_HZ = 16000
FRAME = 320


def coded(said: NDArray[np.int16]) -> list[bytes]:
    encoder = G722Encoder()
    return [encoder.encode(frame) for frame in said.reshape(-1, FRAME)]


def ffmpeg(mode: Literal["r", "w"]) -> AudioCodecContext:
    context = av.CodecContext.create("g722", mode)
    context.sample_rate = RATE_HZ
    context.layout = "mono"
    if mode == "w":
        context.format = "s16"
        context.open()
    return context


def test_a_voice_comes_out_as_it_went_in() -> None:
    said, decoder = voice(RATE_HZ), G722Decoder()

    heard = [decoder.receive(at, at * 160, packet)[0] for at, packet in enumerate(coded(said))]
    likeness = compare(said, np.concatenate([sound for _, sound in heard]))

    assert [timestamp for timestamp, _ in heard[:3]] == [0, 160, 320]
    assert likeness.late_samples <= 24
    assert abs(likeness.gain_db) < 0.1
    assert likeness.likeness > 0.995


def test_ffmpeg_codes_and_decodes_the_same_bits() -> None:
    said, encoder, decoder, ours = voice(RATE_HZ), ffmpeg("w"), ffmpeg("r"), G722Decoder()
    packets = coded(said)

    for at, (samples, packet) in enumerate(zip(said.reshape(-1, FRAME), packets, strict=True)):
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = RATE_HZ
        assert b"".join(map(bytes, encoder.encode(frame))) == packet
        heard = np.concatenate([out.to_ndarray()[0] for out in decoder.decode(av.Packet(packet))])
        assert np.array_equal(heard, ours.receive(at, at * 160, packet)[0][1])


def test_behind_a_lost_packet_the_sound_is_soon_right_again() -> None:
    packets, whole, holed = coded(voice(RATE_HZ)), G722Decoder(), G722Decoder()

    right = [whole.receive(at, 0, packet)[0][1].astype(float) for at, packet in enumerate(packets)]
    heard = [
        holed.receive(at, 0, packet)[0][1].astype(float) for at, packet in enumerate(packets) if at != 20
    ]

    noise = np.concatenate(heard[20:]) - np.concatenate(right[21:])
    assert level_db(noise[:3200]) < level_db(np.concatenate(right[21:31])) - 15
    assert not np.any(noise[24 * FRAME :])


@given(st.binary(min_size=1, max_size=400))
def test_any_bytes_are_sound_two_samples_a_byte(payload: bytes) -> None:
    ((timestamp, heard),) = G722Decoder().receive(1, 2, payload)

    assert timestamp == 2
    assert heard.dtype == np.int16
    assert len(heard) == 2 * len(payload)


def test_it_has_nothing_to_make_up_lost_sound_from() -> None:
    assert G722Decoder().conceal(320) is None
    assert not G722Decoder().carried_lost
