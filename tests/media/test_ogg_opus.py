import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.errors import RemoteProtocolError
from bridge.media.ogg import OggReader, OggWriter, OpusHead, opus_tags
from bridge.media.ogg_opus import OggOpusReader, OpusSound
from bridge.media.opus import OpusPacker
from bridge.media.opus_codec import OpusEncoder

Pcm = NDArray[np.int16]


def voice(samples: int, rate: int) -> Pcm:
    at = np.arange(samples) / rate
    pcm: Pcm = np.rint(7000 * np.sin(2 * np.pi * (300 * at + 100 * at**2))).astype(np.int16)
    return pcm


def packed(rate: int, samples: int) -> bytes:
    packer = OpusPacker(rate, bit_rate=64, tags={})
    return packer.push(voice(samples, rate).tobytes()) + packer.finish()


def stream(head: OpusHead, packets: list[bytes], granule: int) -> bytes:
    writer = OggWriter(7)
    pages = writer.page([head.pack()], 0) + writer.page([opus_tags("test", {})], 0)
    return pages + writer.page(packets, granule, is_last=True)


def joined(sounds: list[OpusSound]) -> Pcm:
    return np.concatenate([sound.pcm[sound.skip :] for sound in sounds])


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
def test_what_was_packed_comes_out_as_long_and_like_it(rate: int) -> None:
    reader, said = OggOpusReader(rate), voice(rate // 2 + 77, rate)

    heard = joined(reader.push(packed(rate, len(said))))

    assert abs(len(heard) - len(said)) <= 1
    count = min(len(heard), len(said))
    likeness = np.corrcoef(heard[:count], said[:count])[0, 1]
    assert likeness > 0.98


def test_packets_are_given_out_as_they_lie_in_the_stream() -> None:
    data = packed(48000, 9600)
    packets = [packet.data for packet in OggReader().push(data)][2:]
    reader = OggOpusReader(48000)

    sounds = [sound for at in range(0, len(data), 50) for sound in reader.push(data[at : at + 50])]

    assert [sound.payload for sound in sounds] == packets
    assert [sound.skip for sound in sounds] == [312] + [0] * (len(sounds) - 1)
    assert all(len(sound.pcm) == 960 for sound in sounds[:-1])


def test_packets_within_the_pre_skip_are_decoded_and_left_out() -> None:
    encoder = OpusEncoder(16000, bit_rate=32000)
    packets = [encoder.encode(frame) for frame in voice(320 * 6, 16000).reshape(6, 320)]

    sounds = OggOpusReader(16000).push(stream(OpusHead(1, 2 * 960 + 480, 16000), packets, 6 * 960))

    assert [sound.payload for sound in sounds] == packets[2:]
    assert [sound.skip for sound in sounds] == [160, 0, 0, 0]


def test_a_stream_with_a_gain_has_sound_but_no_packets_to_pass_on() -> None:
    encoder = OpusEncoder(16000, bit_rate=32000)
    packets = [encoder.encode(frame) for frame in voice(320 * 6, 16000).reshape(6, 320)]
    plain = OggOpusReader(16000).push(stream(OpusHead(1, 0, 16000), packets, 6 * 960))

    louder = OggOpusReader(16000).push(stream(OpusHead(1, 0, 16000, 6.0), packets, 6 * 960))

    assert {sound.payload for sound in louder} == {b""}
    ratio = np.std(joined(louder)) / np.std(joined(plain))
    assert ratio == pytest.approx(10 ** (6 / 20), rel=0.01)


def test_what_is_no_opus_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="a packet of 2 bytes is no Opus"):
        OggOpusReader(16000).push(stream(OpusHead(1, 0, 16000), [b"\xff\xff"], 960))


def test_an_empty_packet_is_passed_over() -> None:
    assert OggOpusReader(16000).push(stream(OpusHead(1, 0, 16000), [b""], 0)) == []
