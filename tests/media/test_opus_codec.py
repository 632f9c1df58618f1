import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bridge.errors import SetupError
from bridge.media.opus_codec import (
    CLOCK_HZ,
    OpusDecoder,
    OpusEncoder,
    carries_previous,
    library_files,
    load,
    packet_ticks,
)
from tests.media.listening import compare, level_db, tone, voice

RATES = (8000, 16000, 24000, 48000)


def coded(said: NDArray[np.int16], encoder: OpusEncoder, frame: int) -> list[bytes]:
    return [encoder.encode(said[at : at + frame]) for at in range(0, len(said) - frame + 1, frame)]


def heard(packets: list[bytes], rate_hz: int) -> NDArray[np.int16]:
    decoder = OpusDecoder(rate_hz)
    return np.concatenate([decoder.decode(packet) for packet in packets])


@pytest.mark.parametrize("rate_hz", RATES)
def test_a_voice_comes_out_much_as_it_went_in(rate_hz: int) -> None:
    said = voice(rate_hz)

    packets = coded(said, OpusEncoder(rate_hz, bit_rate=32000), rate_hz // 50)
    likeness = compare(said, heard(packets, rate_hz))

    assert likeness.late_samples <= rate_hz // 100
    assert abs(likeness.gain_db) < 1
    assert likeness.likeness > 0.8


@pytest.mark.parametrize("rate_hz", RATES)
def test_any_rate_can_be_decoded_at_any_other(rate_hz: int) -> None:
    packets = coded(tone(440, 48000), OpusEncoder(48000, bit_rate=32000), 960)

    sound = heard(packets, rate_hz)[rate_hz // 2 :].astype(float)

    assert len(sound) == rate_hz // 2
    assert np.argmax(np.abs(np.fft.rfft(sound))) == 220  # Half a second: steps of 2 Hz.


def test_both_channels_of_a_stereo_peer_are_heard() -> None:
    # Code 0, stereo, fullband CELT of 20 ms: libopus decodes what it can and mixes it down.
    sound = OpusDecoder(16000).decode(bytes([0xFC]) + bytes(range(1, 60)))

    assert len(sound) == 320


def test_the_bit_rate_is_what_was_asked_for() -> None:
    said = voice(24000, 2.0)

    sizes = {
        rate: sum(map(len, coded(said, OpusEncoder(24000, bit_rate=rate), 480))) for rate in (12000, 40000)
    }

    assert sizes[12000] * 4 == pytest.approx(12000, rel=0.35)
    assert sizes[40000] * 4 == pytest.approx(40000, rel=0.35)


def test_no_wider_band_is_sent_than_the_far_end_plays() -> None:
    noise = (np.random.default_rng(1).standard_normal(48000) * 3000).astype(np.int16)

    sound = heard(coded(noise, OpusEncoder(48000, bit_rate=64000, max_rate_hz=8000), 960), 48000)
    spectrum = np.abs(np.fft.rfft(sound.astype(float)))

    assert level_db(spectrum[4500:20000]) < level_db(spectrum[500:3500]) - 30


def test_silence_costs_next_to_nothing_with_dtx() -> None:
    silence = np.zeros(24000 * 2, np.int16)

    packets = coded(silence, OpusEncoder(24000, bit_rate=24000, is_dtx=True), 480)

    assert sum(len(packet) <= 2 for packet in packets) > 70


def test_a_packet_repeats_the_one_before_only_if_told_to() -> None:
    said = voice(16000)
    with_fec = coded(said, OpusEncoder(16000, bit_rate=24000, is_fec=True, loss_percent=20), 320)
    without = coded(said, OpusEncoder(16000, bit_rate=24000), 320)

    assert sum(map(carries_previous, with_fec)) > 20
    assert not any(map(carries_previous, without))


@pytest.mark.parametrize("ms", [10, 20, 40, 60])
def test_what_a_packet_repeats_is_like_what_was_lost(ms: int) -> None:
    encoder = OpusEncoder(16000, bit_rate=32000, is_fec=True, loss_percent=30)
    packets = coded(voice(16000, 2.0), encoder, 16 * ms)
    at = next(n for n in range(400 // ms, len(packets)) if carries_previous(packets[n]))
    decoder, other = OpusDecoder(16000), OpusDecoder(16000)
    for packet in packets[: at - 1]:
        decoder.decode(packet)
        other.decode(packet)

    state = other.save()

    right = decoder.decode(packets[at - 1])
    recovered = other.recover(packets[at], len(right))
    other.restore(state)
    made_up = other.conceal(len(right))

    assert np.corrcoef(right, recovered)[0, 1] > max(0.5, np.corrcoef(right, made_up)[0, 1])


def test_celt_alone_repeats_nothing() -> None:
    music = coded(voice(48000), OpusEncoder(48000, bit_rate=256000, is_fec=True, loss_percent=10), 120)

    assert not any(map(carries_previous, music))


def test_a_hybrid_packet_tells_it_too() -> None:
    encoder = OpusEncoder(48000, bit_rate=40000, is_fec=True, loss_percent=10)

    packets = coded(voice(48000), encoder, 960)

    assert any(12 <= packet[0] >> 3 < 16 and carries_previous(packet) for packet in packets)


def test_either_channel_of_a_stereo_packet_may_repeat() -> None:
    stereo_silk_20_ms = 0x4C
    bits = {0b0000_0000: False, 0b0100_0000: True, 0b0001_0000: True, 0b1010_1111: False}

    assert {head: carries_previous(bytes([stereo_silk_20_ms, head, 1, 2])) for head in bits} == bits


def test_made_up_sound_goes_on_where_the_voice_was() -> None:
    packets, decoder = coded(voice(16000), OpusEncoder(16000, bit_rate=24000), 320), OpusDecoder(16000)
    before = [decoder.decode(packet) for packet in packets[:20]][-1]

    made_up = decoder.conceal(320)

    assert len(made_up) == 320
    assert abs(level_db(made_up) - level_db(before)) < 6


def test_a_saved_state_decodes_the_same_again() -> None:
    packets, decoder = coded(voice(16000), OpusEncoder(16000, bit_rate=24000), 320), OpusDecoder(16000)
    for packet in packets[:10]:
        decoder.decode(packet)

    state = decoder.save()
    first = decoder.decode(packets[10])
    decoder.decode(packets[11])
    decoder.restore(state)

    assert np.array_equal(decoder.decode(packets[10]), first)


@pytest.mark.parametrize(("ms", "count"), [(2.5, 1), (5, 1), (10, 1), (20, 1), (40, 1), (60, 1)])
def test_a_packet_knows_how_long_it_is(ms: float, count: int) -> None:
    packet = OpusEncoder(48000, bit_rate=24000).encode(np.zeros(round(48 * ms), np.int16))

    assert packet_ticks(packet) == CLOCK_HZ * ms / 1000 * count


def test_two_frames_of_60_ms_are_the_longest_packet() -> None:
    assert packet_ticks(bytes([0x59, 1, 2, 3, 4])) == 5760


@pytest.mark.parametrize("garbage", [bytes([0x5B, 0]), bytes([0x5B, 3, 1]), bytes([0x01, 1]), bytes([0x02])])
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(ValueError, match="Opus: corrupted stream"):
        carries_previous(garbage)
    with pytest.raises(ValueError, match="Opus: corrupted stream"):
        OpusDecoder(16000).decode(garbage)


@given(st.binary(min_size=1, max_size=1500))
def test_any_bytes_are_sound_or_no_opus(payload: bytes) -> None:
    try:
        sound = OpusDecoder(8000).decode(payload)
    except ValueError:
        return

    assert len(sound) * 6 == packet_ticks(payload)


def test_libopus_refuses_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match="invalid argument"):
        OpusEncoder(44100, bit_rate=24000)
    with pytest.raises(ValueError, match="invalid argument"):
        OpusEncoder(16000, bit_rate=24000).encode(np.zeros(321, np.int16))


def test_without_a_library_the_message_says_what_to_install() -> None:
    with pytest.raises(SetupError, match="pip install av"):
        load(("/nowhere/libopus.so",))


def test_the_wheel_s_library_comes_before_the_system_s() -> None:
    files = library_files()

    assert "av.libs" in files[0] or ".dylibs" in files[0]
    assert files[-2:] == ["libopus.so.0", "libopus.0.dylib"]
