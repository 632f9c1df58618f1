from dataclasses import dataclass

import numpy as np
import pytest

from bridge.engine.codecs import OPUS_BIT_RATES, make_codec
from bridge.media.opus_codec import carries_previous
from bridge.plane.codec import CODECS, G722, L16_8K, OPUS, PCMA, PCMU, ROW_RATES_HZ
from tests.media.listening import compare, level_db, voice


@dataclass(frozen=True)
class Spec:
    codec: int = OPUS
    rate_hz: int = 16000
    opus_bitrate: int = 0
    opus_fec: bool = False
    opus_dtx: bool = False
    opus_max_rate_hz: int = 0
    opus_loss_percent: int = 0


def coded(spec: Spec, seconds: float = 1.0) -> list[bytes]:
    _, encoder = make_codec(spec)
    return [encoder.encode(frame) for frame in voice(spec.rate_hz, seconds).reshape(-1, spec.rate_hz // 50)]


@pytest.mark.parametrize("codec", range(G722, len(CODECS)))
def test_every_codec_that_is_no_g711_carries_a_voice_at_every_rate_it_has(codec: int) -> None:
    for rate_hz in (CODECS[codec].rate_hz,) if CODECS[codec].rate_hz else ROW_RATES_HZ:
        spec = Spec(codec, rate_hz)
        decoder, _ = make_codec(spec)

        step = CODECS[codec].clock_hz // 50
        pieces = [decoder.receive(at, at * step, packet) for at, packet in enumerate(coded(spec))]
        heard = np.concatenate([sound for ((_, sound),) in pieces])

        assert compare(voice(rate_hz), heard).likeness > 0.75
        assert [at for ((at, _),) in pieces] == [n * step for n in range(50)]


def test_nothing_is_shared_between_two_legs() -> None:
    decoder, encoder = make_codec(Spec())
    other_decoder, other_encoder = make_codec(Spec())

    assert decoder is not other_decoder
    assert encoder is not other_encoder


def test_opus_is_coded_as_the_peer_asks() -> None:
    noise = (np.random.default_rng(1).standard_normal(24000) * 3000).astype(np.int16).reshape(-1, 480)
    narrow_decoder, narrow = make_codec(Spec(rate_hz=24000, opus_max_rate_hz=8000, opus_bitrate=40000))
    heard = [
        narrow_decoder.receive(at, at * 960, narrow.encode(frame))[0][1] for at, frame in enumerate(noise)
    ]
    spectrum = np.abs(np.fft.rfft(np.concatenate(heard).astype(float)))

    assert level_db(spectrum[5000:11000]) < level_db(spectrum[500:3500]) - 25
    assert sum(map(len, coded(Spec(opus_bitrate=12000)))) < 0.7 * sum(map(len, coded(Spec())))
    assert sum(map(len, coded(Spec(opus_bitrate=500_000)))) == sum(map(len, coded(Spec())))
    assert sum(map(carries_previous, coded(Spec(opus_fec=True, opus_loss_percent=10)))) > 20
    assert not any(map(carries_previous, coded(Spec(opus_loss_percent=20))))
    _, silent = make_codec(Spec(opus_dtx=True))
    assert min(len(silent.encode(np.zeros(320, np.int16))) for _ in range(60)) <= 2


def test_every_rate_of_a_row_has_a_bit_rate() -> None:
    assert set(OPUS_BIT_RATES) == set(ROW_RATES_HZ)


@pytest.mark.parametrize("codec", [PCMU, PCMA, 99])
def test_g711_works_on_columns(codec: int) -> None:
    with pytest.raises(ValueError, match="is not made row by row"):
        make_codec(Spec(codec, 8000))


def test_l16_costs_two_bytes_a_sample() -> None:
    assert len(coded(Spec(L16_8K, 8000))[0]) == 320
