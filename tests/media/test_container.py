import numpy as np
import pytest

from bridge.media.container import RATES, Packer, packer
from tests.media.listening import compare, decode, voice

EVERY = [(format, rate) for format, rates in RATES.items() for rate in rates]


def test_the_documented_formats_and_rates_are_made() -> None:
    assert [format for format, _ in EVERY] == ["pcm"] * 6 + ["wav"] * 6 + ["mp3"] * 6 + ["opus"] * 4


@pytest.mark.parametrize(("format", "rate"), EVERY)
def test_each_of_them_carries_a_sentence_and_the_next(format: str, rate: int) -> None:
    said = voice(rate, 0.4)
    stream: Packer = packer(format, rate, bit_rate=64, tags={"AIGC": "{}"})

    wire = stream.push(said[:3000].tobytes()) + stream.push(said[3000:].tobytes()) + stream.settle()
    wire += stream.push(bytes(rate)) + stream.push(said.tobytes()) + stream.finish()
    heard = np.frombuffer(wire, "<i2") if format == "pcm" else decode(wire, format, rate)

    assert stream.late_samples < 4 * 1152
    assert compare(np.concatenate((said, np.zeros(rate // 2, np.int16), said)), heard).likeness > 0.97


@pytest.mark.parametrize(
    ("format", "rate"), [("opus", 44100), ("opus", 22050), ("wav", 11025), ("flac", 8000)]
)
def test_what_is_not_made_is_refused_with_what_is(format: str, rate: int) -> None:
    with pytest.raises(ValueError, match=f"no '{format}' at {rate} Hz; there is pcm at 8000, 16000"):
        packer(format, rate, bit_rate=None, tags={})


@pytest.mark.parametrize("kbps", [5, 511])
def test_a_bit_rate_out_of_range_is_refused(kbps: int) -> None:
    with pytest.raises(ValueError, match=f"6 to 510 kbps, not {kbps}"):
        packer("opus", 8000, bit_rate=kbps, tags={})


@pytest.mark.parametrize("key", ["", "TITLE", "aigc", "A=GC", "ÀIGC"])
def test_a_key_that_not_every_format_can_hold_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="four capitals"):
        packer("wav", 8000, bit_rate=None, tags={key: ""})


def test_tags_that_would_not_fit_on_a_page_are_refused() -> None:
    with pytest.raises(ValueError, match="32768 bytes together"):
        packer("opus", 8000, bit_rate=None, tags={"AIGC": "你" * 11000})
