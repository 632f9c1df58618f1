import io
import itertools
import wave
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.cosyvoice.formats import CONTAINERS, RATES, TaskParameters
from bridge.media.tags import aigc_tags, read_tags
from bridge.ports import WordTime
from bridge.text.passage import Break, Item, Manner, Say, Sentence, Sound, Spoken
from bridge.ttsserver.render import FRAME_MS, Rendering, TaskRenderer
from bridge.ttsserver.sounds import Sounds
from bridge.ttsserver.tone import ToneEngine
from bridge.ttsserver.voice import Style, UnspeakableError

TONE = ToneEngine()
LONG = (
    "Thank you for calling the bridge today, your appointment is confirmed for Tuesday, the fourteenth of "
    "March, at ten thirty in the morning, and we will send you a message on the day before."
)


def renderer(
    folder: Path | None = None, tags: dict[str, str] | None = None, **parameters: object
) -> TaskRenderer:
    asked = {
        "voice": "tone",
        "format": "pcm",
        "sample_rate": 8000,
        "word_timestamp_enabled": True,
    } | parameters
    return TaskRenderer(
        TaskParameters(**asked),  # type: ignore[arg-type]
        style=Style(),
        sounds=Sounds(folder),
        tags=tags or {},
    )


def plain(text: str, manner: Manner | None = None) -> Sentence:
    return Sentence(text, (Say(Spoken.plain(text)),), manner or Manner())


def renderings(task: TaskRenderer, sentence: Sentence | str) -> list[Rendering]:
    asked = plain(sentence) if isinstance(sentence, str) else sentence
    return [task.render(part) for part in task.plan(asked, TONE)]


def sound(task: TaskRenderer, sentence: Sentence | str) -> bytes:
    frames = [frame for rendering in renderings(task, sentence) for frame in rendering.frames]
    return b"".join([*frames, *task.settle()])


def samples(pcm: bytes) -> NDArray[np.int16]:
    return np.frombuffer(pcm, "<i2")


def decoded(data: bytes) -> tuple[float, int]:
    """Duration in seconds, and sampling frequency."""
    with av.open(io.BytesIO(data), "r") as container:
        frames = list(container.decode(audio=0))
    return sum(frame.samples for frame in frames) / frames[0].sample_rate, frames[0].sample_rate


@pytest.mark.parametrize("sentence", ["Hello there.", LONG])
def test_the_same_sentence_lasts_the_same_at_every_rate(sentence: str) -> None:
    lengths = {rate: len(sound(renderer(sample_rate=rate), sentence)) / 2 / rate for rate in RATES}

    assert max(lengths.values()) - min(lengths.values()) < 0.0008


def test_there_is_a_pause_between_sentences_but_none_before_the_first() -> None:
    task = renderer()

    first, second = (samples(sound(task, "one.")) for _ in range(2))

    assert len(second) - len(first) == 280 * 8
    assert not second[: 280 * 8].any()
    assert second[280 * 8 :].tolist() == first.tolist()


def test_word_times_count_from_the_first_sample_of_the_sentence() -> None:
    task = renderer()
    sound(task, "one.")

    words = [word for rendering in renderings(task, LONG) for word in rendering.words]

    assert words[0].begin_ms == 280 + 30
    assert [LONG[word.begin_index : word.end_index] for word in words] == [word.text for word in words]
    borders = [border for word in words for border in (word.begin_ms, word.end_ms)]
    assert borders == sorted(borders)


def test_word_times_fit_the_sound() -> None:
    pcm = b""
    words: list[WordTime] = []
    for rendering in renderings(renderer(), LONG):
        pcm += b"".join(rendering.frames)
        words += rendering.words

    level = np.abs(samples(pcm).astype(int))
    for word, following in itertools.pairwise(words):
        assert level[word.begin_ms * 8 + 80 : word.end_ms * 8 - 80].max() > 5000
        assert level[word.end_ms * 8 + 40 : following.begin_ms * 8 - 40].max() < 300


def test_what_is_read_otherwise_than_written_is_one_word_of_what_was_written() -> None:
    text = "x is $1+2$ now"
    spoken = Spoken.plain(text).replaced(5, 10, "one plus two")

    words = [
        word
        for rendering in renderings(renderer(), Sentence(text, (Say(spoken),)))
        for word in rendering.words
    ]

    assert [word.text for word in words] == ["x", "is", "$1+2$", "now"]
    assert [(word.begin_index, word.end_index) for word in words][2] == (5, 10)
    assert words[2].end_ms - words[2].begin_ms > 3 * (words[0].end_ms - words[0].begin_ms)


def test_a_frame_is_about_a_tenth_of_a_second() -> None:
    frames = renderings(renderer(), "several words to fill some frames")[0].frames

    size = 2 * 8000 * FRAME_MS // 1000
    assert {len(frame) for frame in frames[:-1]} == {size}
    assert size <= len(frames[-1]) < 2 * size


def test_a_wav_task_has_one_header_on_its_first_frame() -> None:
    task = renderer(format="wav", sample_rate=16000)

    stream = sound(task, "one.") + sound(task, "two.") + b"".join(task.finish())

    assert stream.startswith(b"RIFF\xff\xff\xff\xffWAVE")
    assert stream.count(b"RIFF") == 1
    with wave.open(io.BytesIO(stream)) as opened:
        assert (opened.getframerate(), opened.getnchannels(), opened.getsampwidth()) == (16000, 1, 2)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("rate", RATES)
def test_every_format_at_every_rate_decodes_to_what_pcm_would_have_been(container: str, rate: int) -> None:
    if container == "opus" and rate in (22050, 44100):
        rate = 48000
    task, reference = renderer(format=container, sample_rate=rate), renderer(sample_rate=rate)
    expected_s = sum(len(sound(reference, text)) for text in ("One two.", "Three.")) / 2 / rate

    stream = sound(task, "One two.") + sound(task, "Three.") + b"".join(task.finish())

    if container == "pcm":
        assert len(stream) / 2 / rate == expected_s
        return
    lasted_s, decoded_rate = decoded(stream)
    assert decoded_rate == (48000 if container == "opus" else rate)
    assert lasted_s == pytest.approx(expected_s, abs=0.25)


@pytest.mark.parametrize("container", ["wav", "mp3", "opus"])
def test_the_mark_of_made_sound_can_be_read_again(container: str) -> None:
    tags = aigc_tags(propagator="shop", propagate_id="p-1", produce_id="r-1")
    task = renderer(format=container, sample_rate=16000, tags=tags)

    stream = sound(task, "One.") + b"".join(task.finish())

    assert read_tags(stream, container) == tags


def test_a_break_is_silence_of_its_length() -> None:
    items: tuple[Item, ...] = (Say(Spoken.plain("one")), Break(700), Say(Spoken.plain("two", 3)))
    apart = samples(sound(renderer(), Sentence("onetwo", items)))
    alone = [samples(sound(renderer(), text)) for text in ("one", "two")]

    assert len(apart) - sum(map(len, alone)) == 700 * 8
    assert not apart[len(alone[0]) : len(alone[0]) + 700 * 8].any()


def test_a_break_behind_a_sentence_is_its_pause() -> None:
    task = renderer()
    with_break = sound(task, Sentence("one", (Say(Spoken.plain("one")), Break(1000))))
    after = sound(task, "two")

    alone = [sound(renderer(), text) for text in ("one", "two")]
    assert len(with_break) + len(after) == sum(map(len, alone)) + 2 * 8000


def test_a_passage_may_be_slower_higher_and_softer_than_the_task() -> None:
    usual = samples(sound(renderer(), "One two three."))
    slow = samples(sound(renderer(), plain("One two three.", Manner(rate=0.5, volume=10))))

    assert len(slow) > 1.8 * len(usual)
    assert np.abs(slow).max() == pytest.approx(np.abs(usual).max() / 5, rel=0.02)


def test_an_effect_shapes_its_passage_and_rings_out_before_the_next() -> None:
    task = renderer()
    echoing = sound(task, plain("One.", Manner(effect="echo")))
    dry = sound(renderer(), "One.")
    after = sound(task, "Two.")

    assert echoing != dry
    assert len(after) > len(sound(renderer(), "Two.")) + 2 * 280 * 8


def test_the_end_of_a_task_lets_the_last_effect_ring_out() -> None:
    task = renderer()
    sound(task, plain("One.", Manner(effect="echo")))

    assert len(b"".join(task.finish())) > 1000
    assert renderer().finish() == ()


def write_tone(path: Path, seconds: float) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        wave_samples = 3000 * np.sin(2 * np.pi * 200 * np.arange(round(16000 * seconds)) / 16000)
        file.writeframes(wave_samples.astype("<i2").tobytes())


def test_a_background_sound_goes_on_under_the_pauses(tmp_path: Path) -> None:
    write_tone(tmp_path / "music.wav", 0.3)
    items = (Say(Spoken.plain("one")), Break(1000))

    heard = samples(sound(renderer(tmp_path), Sentence("one", items, Manner(bed="music.wav"))))

    assert np.abs(heard[-6000:]).max() == pytest.approx(3000, rel=0.05)


def test_a_sound_file_is_heard_at_its_place(tmp_path: Path) -> None:
    write_tone(tmp_path / "ding.wav", 0.5)

    heard = samples(sound(renderer(tmp_path), Sentence("", (Sound("ding.wav"),))))

    assert len(heard) == pytest.approx(4000, abs=4)
    with pytest.raises(UnspeakableError, match="no such wav file"):
        renderer(tmp_path).plan(Sentence("", (Sound("dong.wav"),)), TONE)


def test_a_sentence_without_a_word_takes_no_time() -> None:
    task = renderer()

    assert sound(task, " — ") == b""
    assert task.plan(plain("one."), TONE)[0].piece.pause_ms == 0


@pytest.mark.parametrize(
    ("text", "hint", "languages"),
    [
        ("您好，欢迎致电客服中心，您的验证码是四位数，请您记好它：4711，8250。", "", ["zh"]),
        ("Your code is 4711.", "", [""]),
        ("4711", "de", ["de"]),
    ],
)
def test_digits_are_read_in_the_language_of_their_sentence(
    text: str, hint: str, languages: list[str]
) -> None:
    class Slow(ToneEngine):
        def breath(self, text: str) -> tuple[int, int]:
            return 6, 12

    task = renderer(language=hint)

    parts = task.plan(plain(text), Slow())

    assert parts[-1].is_slow == (languages == ["zh"])
    last = parts[-1]
    assert last.piece.spoken is not None
    assert [last.delivery.language] == languages
