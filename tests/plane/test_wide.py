"""Rows that speak by codec objects, at every rate."""

from dataclasses import replace

import numpy as np
import pytest

from bridge.plane.codec import G722, L16_16K, L16_48K, OPUS
from bridge.plane.events import Ducked, RowFailed, SpeechStarted, VoiceStarted
from bridge.plane.g711 import decode_ulaw, encode_ulaw
from bridge.plane.packets import Arrivals
from bridge.plane.plane import Plane
from bridge.plane.ring import CaptureReader
from bridge.plane.spec import PlaneSettings
from bridge.rtp.header import RtpPacket, build
from tests.fakes import MS
from tests.plane.rig import PEER, Pcm, hiss, spec
from tests.plane.wide import WideRig, glide, wide_spec

EVERY = [(OPUS, 8000), (G722, 16000), (L16_16K, 16000), (OPUS, 16000), (OPUS, 24000), (OPUS, 48000)]


def start(rig: WideRig, frames: int = 6) -> Pcm:
    """Let the caller speak so many frames; return what it said after its first, which only proved it."""
    said = glide(rig.shape.frame * frames, rig.call.rate_hz)
    for frame in said.reshape(frames, -1):
        rig.tick(rig.packet(frame))
    return said[rig.shape.frame :]


@pytest.mark.parametrize(("codec", "rate_hz"), EVERY)
def test_what_the_caller_says_is_recorded_bit_for_bit(codec: int, rate_hz: int) -> None:
    rig = WideRig(wide_spec(codec, rate_hz))

    said = start(rig, frames=12)

    heard = rig.hear(rate_hz)
    assert said[: rig.shape.frame * 8].tobytes() in heard.tobytes()
    assert rig.counter("rx_packets") == 12
    assert rig.columns.jitter_ticks[1] < 1e-9


@pytest.mark.parametrize(("codec", "rate_hz"), EVERY)
def test_what_we_say_is_sent_bit_for_bit_in_the_clock_of_the_codec(codec: int, rate_hz: int) -> None:
    rig = WideRig(wide_spec(codec, rate_hz))
    pcm = glide(rig.shape.frame * 10, rate_hz)
    rig.say(pcm)

    for _ in range(10):
        rig.tick()

    assert b"".join(packet.payload for packet in rig.heard) == pcm.tobytes()
    steps = np.diff([packet.timestamp for packet in rig.heard]) % 2**32
    assert set(steps.tolist()) == {rig.call.clock_hz // 50}
    assert [packet.sequence for packet in rig.heard] == [(65534 + at) % 2**16 for at in range(10)]
    assert [packet.marker for packet in rig.heard] == [True] + [False] * 9
    assert isinstance(rig.events[0], SpeechStarted)
    assert rig.counter("tx_packets") == 10


def test_every_other_packet_is_lost_and_brought_along_by_the_next() -> None:
    rig = WideRig(wide_spec(OPUS, 24000))
    start(rig, frames=30)
    frames = glide(480 * 20, 24000, begin=480 * 30).reshape(20, 480)

    for at in range(0, 20, 2):
        rig.packet(frames[at])
        rig.tick()
        rig.tick(rig.packet(frames[at + 1], before=frames[at]))

    for _ in range(4):
        rig.tick()
    heard = rig.hear(48000)
    assert frames.reshape(-1)[: 480 * 16].tobytes() in heard.tobytes()


def waiting_ticks(*, lossy: bool, repeats: bool) -> int:
    """What waits to be played after a stretch of noise, every tenth packet of it lost."""
    rig = WideRig(wide_spec(OPUS, 24000), settings=PlaneSettings(depth_start_ms=0))
    rig.decoder.made = 0
    frames = hiss(480 * 200).reshape(200, 480)
    for at, frame in enumerate(frames):
        if lossy and at % 10 == 8:
            rig.packet(frame)
            rig.tick()
        else:
            rig.tick(rig.packet(frame, before=frames[at - 1] if repeats and at % 10 == 9 else None))
    return int(rig.columns.depth_samples[rig.row])


def test_a_row_waits_a_packet_longer_only_where_lost_frames_come_with_the_next() -> None:
    at_least = waiting_ticks(lossy=False, repeats=False)

    assert waiting_ticks(lossy=True, repeats=False) == at_least
    assert waiting_ticks(lossy=True, repeats=True) == at_least + 160


def test_what_is_missing_at_the_end_of_all_that_came_is_asked_of_the_codec() -> None:
    rig = WideRig(wide_spec(OPUS, 48000))
    start(rig)
    rig.decoder.made = 777
    for _ in range(4):
        rig.tick()

    heard = rig.hear(48000)

    assert set(heard[-1920:].tolist()) == {777}
    assert rig.decoder.asked[-1] == 960
    assert rig.counter("rx_concealed") > 0


def test_a_codec_without_means_of_its_own_leaves_it_to_the_plane() -> None:
    rig = WideRig(wide_spec(G722))
    said = start(rig, frames=10)
    for _ in range(3):
        rig.tick()

    heard = rig.hear(16000)

    end = heard.tobytes().find(said[-320:].tobytes()) // 2 + 320
    assert rig.decoder.asked
    assert np.abs(heard[end : end + 160]).max() > 1000
    assert rig.counter("rx_concealed") > 0


def test_a_gap_with_sound_behind_it_is_bridged_by_the_plane() -> None:
    rig = WideRig(wide_spec(OPUS, 24000))
    rig.decoder.made = 1
    start(rig, frames=10)
    asked = len(rig.decoder.asked)
    frames = glide(480 * 8, 24000, begin=480 * 10).reshape(8, 480)

    rig.packet(frames[0])
    rig.tick(rig.packet(frames[1]), rig.packet(frames[2]))
    for frame in frames[3:]:
        rig.tick(rig.packet(frame))

    assert len(rig.decoder.asked) == asked
    assert rig.counter("rx_concealed") == 2


def test_a_codec_carries_on_for_a_second_and_then_there_is_silence() -> None:
    rig = WideRig(wide_spec(OPUS, 16000))
    start(rig)
    rig.decoder.made = 777

    for _ in range(70):
        rig.tick()
    heard = rig.hear(64000)
    said = start(rig, frames=8)

    assert 45 <= np.count_nonzero(heard == 777) / 320 <= 52
    assert not heard[-1600:].any()
    assert rig.counter("rx_concealed") < 20
    assert said[320 : 320 * 5].tobytes() in rig.hear(16000).tobytes()


def test_a_sender_that_said_it_is_quiet_is_not_made_up() -> None:
    rig = WideRig(wide_spec(OPUS, 16000))
    start(rig)
    rig.decoder.made = 777

    rig.deliver(rig.raw(bytes([60]), payload_type=13))
    rig.sequence += 1
    for _ in range(6):
        rig.tick()

    heard = rig.hear(16000)
    assert 777 not in heard
    assert heard[-640:].any()


def test_nobody_makes_up_what_was_never_begun() -> None:
    rig = WideRig(wide_spec(OPUS, 48000))
    rig.decoder.made = 777

    rig.tick()

    assert not rig.hear(960).any()


def test_what_no_codec_understands_is_counted_and_ends_nothing() -> None:
    rig = WideRig(wide_spec(OPUS, 48000))
    start(rig)

    rig.deliver(rig.raw(b"ab"))
    rig.sequence += 1
    rig.deliver(rig.raw(b"\xff"))

    assert rig.counter("rx_malformed") == 1
    assert rig.plane.due_ns[1] < 10**15


def test_a_row_whose_codec_breaks_ends_alone() -> None:
    rig = WideRig(wide_spec(OPUS, 48000))
    rig.plane.open(2, wide_spec(OPUS, 48000, generation=8), now_ns=0)
    rig.encoders[0].breaks = True

    departures = rig.plane.build(np.array([1, 2]), now_ns=0)

    assert departures.rows.tolist() == [2]
    failed = [event for event in rig.plane.drain() if isinstance(event, RowFailed)]
    assert [(event.row, event.message) for event in failed] == [(1, "RuntimeError: this encoder is broken")]
    assert rig.plane.due_ns[1] > 10**18
    assert rig.plane.due_ns[2] == 20 * MS


def test_timestamps_may_wrap_at_48_khz() -> None:
    rig = WideRig(wide_spec(OPUS, 48000, timestamp=2**32 - 960))
    rig.timestamp = 2**32 - 3 * 960

    said = start(rig, frames=12)
    for _ in range(3):
        rig.tick()

    assert said[: 960 * 8].tobytes() in rig.hear(48000).tobytes()
    assert [packet.timestamp for packet in rig.heard[:3]] == [2**32 - 960, 0, 960]


def test_another_source_is_heard_by_a_decoder_that_knows_nothing_of_the_first() -> None:
    rig = WideRig(wide_spec(OPUS, 16000))
    start(rig)
    before = rig.decoder

    rig.sequence += 5000
    start(rig)

    assert rig.decoder is not before


def test_packets_of_any_length_are_played_where_they_belong() -> None:
    rig = WideRig(wide_spec(L16_16K))
    start(rig, frames=3)
    said = glide(333 * 40, 16000)

    for at, piece in enumerate(said.reshape(40, 333)):
        rig.deliver(rig.packet(piece))
        if at % 24 != 23:
            rig.tick()
        else:
            rig.now_ns += 20 * MS
    heard = rig.hear(32000)

    assert said[333 * 3 : 333 * 20].tobytes() in heard.tobytes()


def test_silence_is_not_sent_where_the_codec_has_nothing_to_tell() -> None:
    rig = WideRig(wide_spec(OPUS, 48000, opus_dtx=True))
    rig.tick()
    rig.tick()
    rig.say(glide(960, 48000))

    rig.tick()
    rig.tick()

    assert len(rig.heard) == 1
    packet = rig.heard[0]
    assert packet.marker
    assert packet.sequence == 65534
    assert packet.timestamp == (rig.call.timestamp + 2 * 960) % 2**32
    assert rig.counter("tx_packets") == 1


def test_speech_of_ours_is_sent_however_faint_it_is() -> None:
    rig = WideRig(wide_spec(OPUS, 48000, opus_dtx=True))
    rig.say(np.full(960, 3, np.int16))

    rig.tick()

    assert [packet.payload for packet in rig.heard] == [b"\xff"]


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40])
def test_packets_have_the_length_that_the_peer_asked_for(ptime_ms: int) -> None:
    rig = WideRig(wide_spec(L16_16K, ptime_ms=ptime_ms))
    pcm = glide(320 * 12, 16000)
    rig.say(pcm)

    for _ in range(12):
        rig.tick()

    assert {len(packet.payload) for packet in rig.heard} == {ptime_ms * 32}
    assert b"".join(packet.payload for packet in rig.heard) == pcm.tobytes()
    assert set((np.diff([packet.timestamp for packet in rig.heard]) % 2**32).tolist()) == {ptime_ms * 16}
    assert [packet.sequence for packet in rig.heard] == [
        (65534 + at) % 2**16 for at in range(240 // ptime_ms)
    ]
    assert rig.counter("tx_packets") == 240 // ptime_ms


def test_l16_at_48_khz_leaves_in_packets_that_fit() -> None:
    rig = WideRig(wide_spec(L16_48K))
    pcm = glide(960, 48000)
    rig.say(pcm)

    made = rig.tick()

    assert [packet.payload for packet in made] == [pcm[:480].tobytes(), pcm[480:].tobytes()]


def test_what_waits_for_its_packet_is_not_kept_over_a_hold() -> None:
    rig = WideRig(wide_spec(L16_16K, ptime_ms=40))
    rig.say(glide(320 * 8, 16000))
    rig.tick()

    rig.plane.update(1, replace(rig.call, sending=False), now_ns=rig.now_ns)
    for _ in range(3):
        rig.tick()
    rig.plane.update(1, rig.call, now_ns=rig.now_ns)
    rig.tick()
    rig.tick()

    assert [(len(packet.payload), packet.marker) for packet in rig.heard] == [(1280, True)]
    assert rig.heard[0].timestamp == (rig.call.timestamp + 4 * 320) % 2**32


@pytest.mark.parametrize("rate_hz", [16000, 48000])
def test_a_voice_ducks_us_as_quickly_as_on_a_telephone(rate_hz: int) -> None:
    rig = WideRig(wide_spec(OPUS, rate_hz))
    per_tick = rate_hz // 8000
    rig.say(glide(rig.shape.frame * 100, rate_hz))
    for number in range(20):
        rig.tick(rig.packet(np.repeat(hiss(seed=number), per_tick)))

    for seed in range(2):
        rig.tick(rig.packet(np.repeat(hiss(level_db=-20, seed=seed), per_tick)))

    kinds = {type(event) for event in rig.events}
    assert {VoiceStarted, Ducked} <= kinds
    assert not np.frombuffer(rig.heard[-1].payload, np.int16).any()
    assert rig.counter("ducked_samples") == rig.counter("silence_ducked") * rig.shape.frame


@pytest.mark.parametrize("rate_hz", [16000, 24000])
def test_our_own_voice_on_the_line_is_known_at_any_rate(rate_hz: int) -> None:
    rig = WideRig(wide_spec(OPUS, rate_hz))
    frame, per_tick = rig.shape.frame, rate_hz // 8000
    dice = np.random.default_rng(5)
    wave = np.repeat(np.cumsum(dice.normal(0, 900, 160 * 200)) * 0.2, per_tick)
    wave -= np.convolve(wave, np.ones(400) / 400, "same")
    said: Pcm = wave.clip(-9000, 9000).astype(np.int16)
    for number in range(20):
        rig.tick(rig.packet(np.repeat(hiss(seed=number), per_tick)))
    rig.say(said[: frame * 100])

    sent: list[Pcm] = []
    for number in range(60):
        echo = sent[number - 4] // 4 if number >= 4 else np.zeros(frame, np.int16)
        echo = echo + np.repeat(hiss(seed=number), per_tick)
        rig.tick(rig.packet(echo.astype(np.int16)))
        sent.append(np.frombuffer(rig.heard[-1].payload, np.int16))

    assert rig.plane._bargein.echo.proven[1] > 10


def test_reports_count_jitter_in_the_clock_of_the_codec() -> None:
    rig = WideRig(wide_spec(OPUS, 48000), settings=PlaneSettings(rtcp_interval_ms=100))
    start(rig)
    rig.columns.jitter_ticks[1] = 40

    block = rig.plane._reporting._blocks(1, rig.plane._reporting._reporters[1], rig.now_ns)[0]

    assert block.jitter_ticks == 240


def test_a_change_of_what_the_codec_is_told_makes_it_anew() -> None:
    rig = WideRig(wide_spec(OPUS, 24000))

    rig.plane.update(1, replace(rig.call, interruptible=0), now_ns=0)
    rig.plane.update(1, replace(rig.call, opus_fec=True), now_ns=0)

    assert len(rig.decoders) == 2


def test_a_change_of_the_clock_is_no_gap() -> None:
    rig = WideRig(wide_spec(G722))
    start(rig, frames=10)
    concealed = rig.counter("rx_concealed")

    rig.call = wide_spec(OPUS, 16000)
    rig.plane.update(1, rig.call, now_ns=rig.now_ns)
    said = start(rig, frames=10)
    for _ in range(2):
        rig.tick()

    assert said[: 320 * 6].tobytes() in rig.hear(16000).tobytes()
    assert (rig.counter("rx_late"), rig.counter("rx_concealed")) == (0, concealed)


def test_a_row_keeps_its_rate() -> None:
    rig = WideRig(wide_spec(OPUS, 24000))

    with pytest.raises(ValueError, match="the rows here have 24000 Hz, not 48000"):
        rig.plane.update(1, wide_spec(OPUS, 48000), now_ns=0)


def test_a_codec_that_nobody_makes_is_refused() -> None:
    rig = WideRig(wide_spec(G722))
    plane = Plane(rig.columns, PlaneSettings())

    with pytest.raises(ValueError, match="nobody makes codec 2"):
        plane.open(0, wide_spec(G722), now_ns=0)


def test_g711_may_leave_in_packets_of_another_length_beside_others() -> None:
    rig = WideRig(replace(spec(), ptime_ms=30))
    rig.plane.open(0, replace(spec(), generation=8), now_ns=0)

    lengths = [
        sorted(rig.plane.build(np.array([0, 1]), now_ns=at * 20 * MS).lengths.tolist()) for at in range(3)
    ]

    assert lengths == [[172], [172, 252], [172, 252]]


def test_a_narrow_row_of_opus_is_heard_beside_g711_in_one_batch() -> None:
    rig = WideRig(wide_spec(OPUS, 8000))
    rig.plane.open(2, replace(spec(), generation=8), now_ns=0)
    table = CaptureReader(rig.columns, 2, 8)
    said = glide(160 * 10, 8000)
    codes = encode_ulaw(said).reshape(10, 160)

    for number, frame in enumerate(said.reshape(10, 160)):
        arrivals = Arrivals(2)
        arrivals.add(rig.packet(frame), row=1, source=PEER)
        packet = RtpPacket(0, number, number * 160, 5, codes[number].tobytes())
        arrivals.add(build(packet), row=2, source=PEER)
        rig.plane.receive(arrivals, now_ns=number * 20 * MS)
        rig.plane.build(np.array([1, 2]), now_ns=number * 20 * MS)

    assert said[160 : 160 * 6].tobytes() in rig.hear(8000).tobytes()
    assert decode_ulaw(codes[1:6]).tobytes() in table.read(8000)[0].tobytes()


def test_a_held_row_of_opus_sends_nothing() -> None:
    rig = WideRig(wide_spec(OPUS, 48000, sending=False))

    assert rig.tick() == []
    assert rig.counter("silence_held") == 1
