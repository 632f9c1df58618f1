"""Opus packets of the voice, sent as they are wherever nothing is done to their sound."""

from dataclasses import replace

import numpy as np
import pytest

from bridge.media.ogg_opus import OggOpusReader
from bridge.media.opus import OpusPacker
from bridge.plane.codec import L16_16K, OPUS
from bridge.plane.columns import PACKET_BYTES
from bridge.plane.events import Ducked, Resumed
from bridge.plane.floor import SPEAKING
from bridge.plane.passing import is_passable
from bridge.plane.ring import PlayoutWriter
from tests.plane.rig import Pcm, hiss, slam
from tests.plane.wide import WideRig, glide, wide_spec

TOC = 31 << 3
"""CELT, full band, 20 ms, mono, one frame."""


def written(rig: WideRig, count: int) -> tuple[list[bytes], Pcm]:
    """Write so many packets and their sound as one utterance."""
    writer, frame = rig.writer, rig.shape.frame
    pcm = glide(frame * count, rig.call.rate_hz)
    payloads = [bytes([TOC, number, 7]) for number in range(count)]
    writer.open_utterance(writer.epoch)
    for number, payload in enumerate(payloads):
        sound = pcm[number * frame : (number + 1) * frame]
        assert writer.write_packet(payload, sound, epoch=writer.epoch) == frame
    writer.close_utterance(writer.epoch)
    return payloads, pcm


@pytest.mark.parametrize("rate_hz", [16000, 24000, 48000])
def test_what_nothing_is_done_to_is_sent_as_the_voice_made_it(rate_hz: int) -> None:
    rig = WideRig(wide_spec(OPUS, rate_hz))
    payloads, pcm = written(rig, 12)

    for _ in range(12):
        rig.tick()

    assert [packet.payload for packet in rig.heard] == payloads
    assert rig.capture.read(10**6)[1].tobytes() == pcm.tobytes()
    assert rig.counter("tx_passed") == rig.counter("tx_packets") == 12
    assert set((np.diff([packet.timestamp for packet in rig.heard]) % 2**32).tolist()) == {960}


def test_packets_are_passed_on_all_round_the_ring() -> None:
    rig = WideRig(wide_spec(OPUS, 24000))
    frame = rig.shape.frame
    rig.writer.open_utterance(0)
    pcm = glide(frame, 24000)

    for number in range(3 * rig.shape.packets):
        rig.writer.write_packet(bytes([TOC]) + number.to_bytes(2), pcm, epoch=0)
        rig.tick()

    assert [int.from_bytes(packet.payload[1:]) for packet in rig.heard] == list(range(3 * rig.shape.packets))


def test_a_louder_row_is_encoded() -> None:
    rig = WideRig(wide_spec(OPUS, 48000, gain_db=6))
    written(rig, 2)

    made = rig.tick()

    assert len(made[0].payload) == 1920
    assert rig.counter("tx_passed") == 0


def test_a_row_of_another_codec_sends_no_opus() -> None:
    rig = WideRig(wide_spec(L16_16K))
    written(rig, 2)

    assert len(rig.tick()[0].payload) == 640


def test_a_duck_resumes_at_the_packet_that_was_cut() -> None:
    rig = WideRig(wide_spec(OPUS, 16000))
    payloads, pcm = written(rig, 120)
    for number in range(20):
        rig.tick(rig.packet(np.repeat(hiss(seed=number), 2)))
    door = np.concatenate((slam(), np.zeros(160 * 40, np.int16)))[: 160 * 40].reshape(-1, 160)
    for number, frame in enumerate(door):
        sound = (frame + hiss(seed=number)).clip(-32768, 32767)
        rig.tick(rig.packet(np.repeat(sound.astype(np.int16), 2)))

    ducked = next(event for event in rig.events if isinstance(event, Ducked))
    resumed = next(event for event in rig.events if isinstance(event, Resumed))
    cut = ducked.position // 320
    spoken = [packet.payload for packet in rig.heard if np.any(np.frombuffer(packet.payload, np.uint8))]
    assert ducked.position == resumed.position
    assert ducked.position % 320 == 0
    assert spoken[:cut] == payloads[:cut]
    # The fade is not in the packet, so its sound is encoded; the ones after it are passed on again.
    assert len(spoken[cut]) == 640
    assert np.array_equal(np.frombuffer(spoken[cut], np.int16)[80:], pcm[cut * 320 :][80:320])
    assert spoken[cut + 1 : cut + 6] == payloads[cut + 1 : cut + 6]


def test_keys_take_the_place_of_packets_and_lose_none() -> None:
    rig = WideRig(wide_spec(OPUS, 48000))
    payloads, _ = written(rig, 20)
    rig.tick()

    rig.plane.press(1, "5", ticket=3, duration_ms=40, pause_ms=40, now_ns=rig.now_ns)
    for _ in range(19):
        rig.tick()

    spoken = [packet.payload for packet in rig.heard if packet.payload[0] == TOC]
    assert rig.columns.floor_state[1] == SPEAKING
    assert spoken[0] == payloads[0]
    assert spoken[1:] == payloads[2 : len(spoken) + 1]


def test_silence_sends_no_packet_twice() -> None:
    rig = WideRig(wide_spec(OPUS, 48000))
    rig.writer.write_packet(bytes([TOC, 1]), np.zeros(960, np.int16), epoch=0)

    made = [rig.tick()[0].payload for _ in range(3)]

    assert made == [bytes([TOC, 1]), bytes(1920), bytes(1920)]


def test_a_packet_of_an_epoch_that_is_over_is_never_sent() -> None:
    rig = WideRig(wide_spec(OPUS, 48000))
    written(rig, 10)
    rig.tick()
    rig.plane.flush(1, now_ns=rig.now_ns)
    epoch = rig.writer.epoch

    assert rig.writer.write_packet(bytes([TOC, 9]), glide(960, 48000), epoch=epoch - 1) == 0
    rig.writer.write(glide(960, 48000, begin=500), epoch=epoch)
    rig.tick()
    made = rig.tick()

    assert rig.counter("tx_passed") == 1
    assert len(made[0].payload) == 1920


def test_sound_that_lies_between_the_packets_frames_is_encoded() -> None:
    rig = WideRig(wide_spec(OPUS, 48000))
    rig.writer.open_utterance(0)
    rig.writer.write(glide(100, 48000), epoch=0)
    for number in range(3):
        rig.writer.write_packet(bytes([TOC, number]), glide(960, 48000), epoch=0)

    rig.tick()
    rig.tick()

    assert rig.counter("tx_passed") == 0
    assert rig.counter("tx_packets") == 2


def test_what_ogg_says_to_skip_is_silent_and_the_packets_behind_it_are_passed_on() -> None:
    rig = WideRig(wide_spec(OPUS, 48000))
    pcm = glide(1920, 48000)
    rig.writer.write_packet(bytes([TOC, 0]), pcm[:960], epoch=0, skip=312)
    rig.writer.write_packet(bytes([TOC, 1]), pcm[960:], epoch=0)

    first, second = rig.tick()[0].payload, rig.tick()[0].payload

    sound = np.frombuffer(first, np.int16)
    assert not sound[:312].any()
    assert np.array_equal(sound[312:], pcm[312:960])
    assert second == bytes([TOC, 1])


def test_a_voice_in_ogg_reaches_the_caller_as_it_was_coded() -> None:
    rig = WideRig(wide_spec(OPUS, 24000))
    packer = OpusPacker(24000, bit_rate=32, tags={})
    pages = packer.push(glide(480 * 20, 24000).tobytes()) + packer.finish()

    sounds = OggOpusReader(24000).push(pages)
    for sound in sounds:
        written = rig.writer.write_packet(sound.payload, sound.pcm, epoch=0, skip=sound.skip)
        assert written == len(sound.pcm)
    for _ in sounds:
        rig.tick()

    assert [packet.payload for packet in rig.heard[1:20]] == [sound.payload for sound in sounds[1:20]]
    # What Ogg has us skip is not in the first packet's sound any more.
    assert rig.counter("tx_passed") in (19, 20)


def test_a_packet_that_finds_no_room_leaves_nothing() -> None:
    rig = WideRig(wide_spec(OPUS, 48000))
    rig.writer.write(glide(rig.shape.play - 900, 48000), epoch=0)

    assert rig.writer.write_packet(bytes([TOC, 1]), glide(960, 48000), epoch=0) == 0
    assert not rig.columns.packet_length[1].any()
    assert PlayoutWriter(rig.columns, 1, 99).write_packet(bytes([TOC]), glide(960, 48000), epoch=0) == 0


def test_a_packet_too_long_for_its_place_is_encoded() -> None:
    rig = WideRig(wide_spec(OPUS, 48000))
    rig.writer.write_packet(bytes([TOC]) + bytes(PACKET_BYTES), glide(960, 48000), epoch=0)

    assert len(rig.tick()[0].payload) == 1920


def test_the_next_leg_of_a_row_finds_no_packet_of_the_one_before() -> None:
    rig = WideRig(wide_spec(OPUS, 48000))
    written(rig, 5)
    rig.plane.close(1)
    rig.plane.open(1, replace(rig.call, generation=8), now_ns=0)
    PlayoutWriter(rig.columns, 1, 8).write(glide(960, 48000), epoch=0)

    assert len(rig.tick()[0].payload) == 1920
    assert not rig.columns.packet_bytes[1].any()


@pytest.mark.parametrize(
    ("first", "passes"),
    [
        (1 << 3, True),
        (0 << 3, False),
        (13 << 3, True),
        (14 << 3, False),
        (15 << 3, True),
        (19 << 3, True),
        (18 << 3, False),
        (31 << 3 | 4, False),
        (31 << 3 | 1, False),
        (31 << 3 | 3, False),
    ],
)
def test_only_one_mono_frame_of_20_ms_is_passed_on(first: int, passes: bool) -> None:
    assert is_passable(bytes([first, 1, 2])) is passes


def test_an_empty_packet_is_none() -> None:
    assert not is_passable(b"")
