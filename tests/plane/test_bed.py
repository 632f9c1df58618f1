import numpy as np
import pytest

from bridge.plane.bed import MOST_SECONDS, Beds, loop_of
from bridge.plane.columns import FRAME_SAMPLES
from bridge.plane.events import Flushed
from bridge.plane.floor import DUCKED, IDLE, SPEAKING
from bridge.plane.g711 import encode_ulaw
from bridge.plane.meter import SILENT_DB
from tests.plane.clicks import click, worst_click
from tests.plane.rig import Pcm, Rig, hiss, slam, spec, speech_onsets


def hum(samples: int = 16_000, *, level: int = 4000, hz: float = 200.0) -> Pcm:
    """A tone whose period is a part of the loop."""
    wave: Pcm = (level * np.sin(2 * np.pi * hz / 8000 * np.arange(samples))).astype(np.int16)
    return wave


def level_of(sound: Pcm) -> float:
    return float(np.sqrt(np.mean(sound.astype(np.float64) ** 2)))


def flat(level: int = 1000) -> Pcm:
    """A loop that is everywhere the same, so that its level can be read off a single sample."""
    return np.full(4000, level, np.int16)


def test_a_bed_is_heard_while_nothing_is_said() -> None:
    rig = Rig()
    bed = hum()
    rig.lay(bed)

    rig.wait(200)

    sent = rig.sent()
    assert sent[640:].tolist() == bed[640:1600].tolist()
    assert rig.counter("bed_packets") == 10
    assert rig.counter("silence_idle") == 10
    assert rig.columns.played[1] == 0


def test_a_bed_comes_in_over_80_ms_and_goes_out_over_20() -> None:
    rig = Rig()
    rig.lay(flat())
    rig.wait(100)

    rig.plane.lift(1)
    rig.wait(60)

    sent = rig.sent()
    assert (np.diff(sent[:640].astype(int)) >= 0).all()
    assert sent[0] < 5
    assert set(sent[640:800].tolist()) == {1000}
    assert (np.diff(sent[800:960].astype(int)) < 0).all()
    assert not sent[959:].any()
    assert rig.counter("bed_packets") == 6


def test_speech_lowers_the_bed_and_stays_what_it_is() -> None:
    rig = Rig()
    rig.lay(flat(), gain_db=0, under_speech_db=-20)
    rig.wait(100)
    rig.say(np.full(1600, 5000, np.int16))

    rig.wait(400)

    sent = rig.sent()
    assert (np.diff(sent[800:960].astype(int)) < 0).all()
    assert set(sent[960:2400].tolist()) == {5100}
    assert (np.diff(sent[2400:3000].astype(int)) >= 0).all()
    assert set(sent[3040:].tolist()) == {1000}
    assert rig.columns.played[1] == 1600


def test_a_bed_under_speech_that_is_late_stays_where_it_is() -> None:
    rig = Rig()
    rig.lay(flat(), under_speech_db=-20)
    rig.writer.open_utterance(0)
    rig.writer.write(np.full(160, 5000, np.int16), epoch=0)
    rig.wait(100)

    rig.sent()
    rig.wait(100)

    assert set(rig.sent().tolist()) == {100}
    assert rig.counter("silence_tts_late") == 9


def test_what_is_too_loud_together_stops_at_full_scale() -> None:
    rig = Rig()
    rig.lay(flat(20_000), under_speech_db=0)
    rig.say(np.full(3200, 20_000, np.int16))

    rig.wait(300)

    assert rig.sent().max() == 32767


def test_a_voice_that_ducks_us_hushes_the_bed_in_the_same_packet() -> None:
    rig = Rig()
    rig.lay(hum(), under_speech_db=-6)
    rig.drone()
    rig.wait(400)
    rig.sent()

    rig.talk(speech_onsets()[0][:320])
    assert rig.columns.floor_state[1] == DUCKED

    sent = rig.sent().reshape(-1, FRAME_SAMPLES)
    assert rig.counter("silence_ducked") == sum(not frame.any() for frame in sent) > 0


def test_after_an_interruption_the_bed_waits_until_the_caller_has_finished() -> None:
    rig = Rig()
    rig.lay(hum(), under_speech_db=-6)
    rig.drone()
    rig.wait(400)

    rig.talk(speech_onsets()[0])
    assert rig.columns.floor_state[1] == IDLE
    rig.sent()
    rig.talk(speech_onsets()[1])
    during = rig.sent()
    rig.wait(600)

    assert not during[:1600].any()
    assert level_of(rig.sent()[-1600:]) > 2000


def test_a_duck_in_vain_brings_the_bed_back_with_the_speech() -> None:
    rig = Rig()
    rig.lay(flat(), under_speech_db=-20)
    rig.say(np.full(16_000, 5000, np.int16))
    rig.wait(400)

    rig.talk(slam())
    rig.wait(500)

    assert rig.columns.floor_state[1] == SPEAKING
    assert set(rig.sent()[-320:].tolist()) == {5100}


def test_a_bed_that_does_not_yield_plays_on_under_the_callers_voice() -> None:
    rig = Rig()
    rig.lay(flat(), under_speech_db=-20, yields=False)
    rig.drone()
    rig.wait(400)

    rig.talk(speech_onsets()[0][:320])

    assert rig.columns.floor_state[1] == DUCKED
    assert set(rig.sent()[-160:].tolist()) == {100}


def test_a_bed_stops_for_keys_and_ends_within_5_ms_under_a_tone() -> None:
    rig = Rig(spec(dtmf_payload_type=-1))
    rig.lay(hum(level=12_000))
    rig.wait(200)
    rig.sent()

    rig.plane.press(1, "5", ticket=1, duration_ms=100, pause_ms=100, now_ns=rig.now_ns)
    rig.wait(400)

    quiet = Rig(spec(dtmf_payload_type=-1))
    quiet.plane.press(1, "5", ticket=1, duration_ms=100, pause_ms=100, now_ns=0)
    quiet.wait(200)
    sent, tone = rig.sent(), quiet.sent()
    assert sent[:40].any()
    assert sent[40:1600].tolist() == tone[40:].tolist()
    assert sent[1600:].any()


def test_an_event_takes_the_place_of_the_bed_and_of_its_end() -> None:
    rig = Rig()
    rig.lay(hum())
    rig.wait(200)
    rig.sent()

    rig.plane.press(1, "5", ticket=1, duration_ms=100, pause_ms=100, now_ns=rig.now_ns)
    rig.wait(80)

    assert not rig.sent().any()


def test_the_recording_and_the_phone_hear_the_same_bed() -> None:
    rig = Rig()
    rig.lay(hum())
    rig.drone(500)

    rig.wait(400)

    assert encode_ulaw(rig.sent()).tolist() == rig.sound().tolist()


def test_the_meter_shows_a_bed() -> None:
    rig = Rig()
    rig.wait(40)
    assert rig.columns.level_db[1, 1] == SILENT_DB

    rig.lay(hum(level=3277))
    rig.wait(200)

    assert rig.columns.level_db[1, 1] == pytest.approx(-23, abs=0.5)


def test_a_bed_that_comes_back_over_the_line_does_not_take_the_floor() -> None:
    voice = np.concatenate(speech_onsets())
    flushes = []
    for is_ours in (True, False):
        rig = Rig()
        rig.wait(400)
        rig.say(np.zeros(32_000, np.int16))  # an utterance in which only the bed can be heard
        if is_ours:
            rig.lay(voice, under_speech_db=0)
        rig.wait(20)
        for at in range(150):
            line = rig.sent()[-FRAME_SAMPLES:] if is_ours else voice[at * FRAME_SAMPLES :][:FRAME_SAMPLES]
            rig.tick((line * 0.3 + hiss(seed=at)).astype(np.int16))
        flushes.append(sum(isinstance(event, Flushed) for event in rig.events))

    assert flushes == [0, 1]


def test_one_bed_goes_before_another_comes() -> None:
    rig = Rig()
    rig.lay(flat(1000), place=0)
    rig.wait(100)

    rig.lay(flat(-1000), place=1)
    rig.wait(120)

    sent = rig.sent()
    assert (np.diff(sent[800:960].astype(int)) < 0).all()
    assert sent[959] == 0
    assert (np.diff(sent[960:1600].astype(int)) <= 0).all()
    assert set(sent[1600:].tolist()) == {-1000}


def test_the_same_bed_at_another_level_goes_on_where_it_is() -> None:
    rig = Rig()
    bed = hum()
    rig.lay(bed)
    rig.wait(100)

    rig.lay(bed, gain_db=-20)
    rig.wait(100)

    assert np.abs(rig.sent()[960:] - bed[960:1600] / 10).max() <= 1


def test_a_lift_that_is_taken_back_changes_nothing() -> None:
    rig = Rig()
    rig.lay(flat())
    rig.wait(100)

    rig.plane.lift(1)
    rig.lay(flat())
    rig.wait(100)

    assert set(rig.sent()[640:].tolist()) == {1000}


def test_a_bed_is_silent_while_the_leg_is_held_and_comes_back_in_a_fade() -> None:
    rig = Rig()
    rig.lay(flat())
    rig.wait(100)
    rig.plane.update(1, spec(sending=False), now_ns=rig.now_ns)
    rig.wait(100)
    rig.sent()
    held = rig.counter("bed_packets")

    rig.plane.update(1, spec(), now_ns=rig.now_ns)
    rig.wait(100)

    assert held == 5
    sent = rig.sent()
    assert sent[0] < 5
    assert set(sent[640:].tolist()) == {1000}


def test_a_new_leg_has_no_bed() -> None:
    rig = Rig()
    rig.lay(flat())
    rig.wait(100)
    rig.plane.close(1)

    rig.plane.lay(1, 0, samples=100, gain_db=0, under_speech_db=0, yields=True)
    rig.plane.open(1, spec(generation=8), now_ns=rig.now_ns)
    rig.wait(100)

    assert rig.counter("bed_packets") == 0
    assert set(rig.sound()[-160:].tolist()) == {0xFF}


@pytest.mark.parametrize(
    ("bed", "samples", "gain_db", "under_speech_db"),
    [(16, 100, 0, 0), (-1, 100, 0, 0), (0, 0, 0, 0), (0, 1 << 30, 0, 0), (0, 100, 21, 0), (0, 100, 0, -101)],
)
def test_what_no_bed_can_be_is_refused(bed: int, samples: int, gain_db: int, under_speech_db: int) -> None:
    rig = Rig()

    with pytest.raises(ValueError, match="bed"):
        rig.plane.lay(1, bed, samples=samples, gain_db=gain_db, under_speech_db=under_speech_db, yields=True)


def test_the_lowest_level_is_silence() -> None:
    rig = Rig()
    rig.lay(flat(32767), gain_db=-100)

    rig.wait(200)

    assert not rig.sent().any()
    assert rig.counter("bed_packets") == 0


def test_rows_play_one_bed_from_places_of_their_own() -> None:
    rig = Rig()
    rig.plane.open(2, spec(generation=9), now_ns=0)
    bed = hum()
    rig.lay(bed)
    beds = Beds(rig.columns, rig.shelf)
    rows = np.array([1, 2])
    beds.lay(1, 0, samples=len(bed), gain_db=0, under_speech_db=0, yields=True)

    def frames() -> Pcm:
        pcm = np.zeros((2, 480), np.int16)
        nobody = np.zeros(2, np.bool_)
        beds.mix(rows, pcm, sends=~nobody, keys=None, caller_speaks=nobody)
        return pcm

    alone = [frames() for _ in range(5)]
    beds.lay(2, 0, samples=len(bed), gain_db=0, under_speech_db=0, yields=True)
    both = [frames() for _ in range(5)]

    assert not any(pcm[1].any() for pcm in alone)
    assert both[4][0].tolist() == bed[480 * 9 : 480 * 10].tolist()
    assert both[4][1].tolist() == bed[480 * 4 : 480 * 5].tolist()
    assert beds.count == 2


def test_rows_without_a_bed_are_left_alone() -> None:
    rig = Rig()
    rig.plane.open(2, spec(generation=9), now_ns=0)
    rig.lay(flat())

    rig.plane.build(np.array([2]), now_ns=20_000_000)

    assert rig.columns.bed_packets.tolist() == [0, 0, 0, 0]


def test_nothing_of_a_bed_clicks() -> None:
    rig = Rig()
    bed = hum(hz=210.0, samples=8000)
    rig.lay(bed)
    rig.wait(300)
    rig.say(np.zeros(1600, np.int16))  # speech that cannot click itself
    rig.wait(500)
    rig.lay(bed, gain_db=-30)
    rig.wait(200)
    rig.lay(bed, gain_db=6)
    rig.wait(200)
    rig.plane.lift(1)
    rig.wait(100)

    assert worst_click(rig.sent(), like=bed) < 2.5


@pytest.mark.parametrize("hz", [111.1, 333.3, 555.5])
def test_the_seam_of_a_tone_cannot_be_found(hz: float) -> None:
    sound = hum(12_345, hz=hz)
    loop = loop_of(sound, 8000)

    twice = np.concatenate((loop, loop))

    assert click(np.concatenate((sound, sound)), len(sound), like=sound) > 3
    assert click(twice, len(loop), like=loop) < 1.5
    seam = [level_of(twice[len(loop) + at : len(loop) + at + 160]) for at in range(-480, 640, 80)]
    assert min(seam) > 0.7 * level_of(sound)


def test_the_seam_of_noise_neither_dips_nor_clicks() -> None:
    sound = np.random.default_rng(1).normal(0, 3000, 80_000).astype(np.int16)
    loop = loop_of(sound, 8000)

    twice = np.concatenate((loop, loop))

    assert 80_000 - 480 <= len(loop) <= 80_000 - 160
    assert click(twice, len(loop), like=loop) < 1.5
    seam = [level_of(twice[len(loop) + at : len(loop) + at + 160]) for at in range(-480, 640, 80)]
    assert 0.8 < min(seam) / level_of(sound) < max(seam) / level_of(sound) < 1.2


@pytest.mark.parametrize("samples", [319, MOST_SECONDS * 8000 + 1])
def test_a_sound_that_is_no_bed_is_refused(samples: int) -> None:
    with pytest.raises(ValueError, match=r"0.04 to 60 s"):
        loop_of(np.zeros(samples, np.int16), 8000)


def test_the_shortest_sound_becomes_a_loop() -> None:
    assert len(loop_of(hum(320), 8000)) == 160
