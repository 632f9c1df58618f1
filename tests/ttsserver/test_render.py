import io
import itertools
import wave

import numpy as np
import pytest

from bridge.cosyvoice.formats import TaskParameters
from bridge.ports import WordTime
from bridge.ttsserver.render import FRAME_MS, TaskRenderer, UnsupportedFormatError, wav_header
from bridge.ttsserver.tone import ToneEngine


def renderer(**parameters: object) -> TaskRenderer:
    asked = {
        "voice": "tone",
        "format": "pcm",
        "sample_rate": 8000,
        "word_timestamp_enabled": True,
    } | parameters
    return TaskRenderer(ToneEngine(), TaskParameters(**asked))  # type: ignore[arg-type]


def sound(speaker: TaskRenderer, sentence: str) -> bytes:
    return b"".join(frame for piece in speaker.plan(sentence) for frame in speaker.render(piece).frames)


LONG = (
    "Thank you for calling the bridge today, your appointment is confirmed for Tuesday, the fourteenth of "
    "March, at ten thirty in the morning, and we will send you a message on the day before."
)


@pytest.mark.parametrize("sentence", ["Hello there.", LONG])
def test_the_same_sentence_lasts_the_same_at_every_rate(sentence: str) -> None:
    lengths = {
        rate: len(sound(renderer(sample_rate=rate), sentence)) / 2 / rate for rate in (8000, 16000, 24000)
    }

    assert max(lengths.values()) - min(lengths.values()) < 0.0005


def test_a_short_sentence_is_one_piece() -> None:
    (piece,) = renderer().plan("Hello, and welcome to the bridge.")

    assert (piece.text, piece.offset, piece.pause_ms) == ("Hello, and welcome to the bridge.", 0, 0)


def test_a_long_sentence_is_cut_where_one_breathes_and_nothing_is_lost() -> None:
    pieces = renderer().plan(LONG)

    assert "".join(piece.text for piece in pieces) == LONG
    assert pieces[0].text == "Thank you for calling the bridge today, "
    assert len(pieces) > 1
    assert all(LONG[piece.offset :].startswith(piece.text) for piece in pieces)


@pytest.mark.parametrize("sentence", ["no comma in it " * 30, "x" * 500])
def test_no_piece_is_long_even_without_a_comma(sentence: str) -> None:
    pieces = renderer().plan(sentence)

    assert "".join(piece.text for piece in pieces) == sentence
    assert max(len(piece.text) for piece in pieces) <= 140


def test_there_is_a_pause_between_sentences_but_none_before_the_first() -> None:
    speaker = renderer()

    first = np.frombuffer(sound(speaker, "one."), "<i2")
    second = np.frombuffer(sound(speaker, "one."), "<i2")

    assert len(second) - len(first) == 280 * 8
    assert not second[: 280 * 8].any()
    assert second[280 * 8 :].tolist() == first.tolist()


def test_word_times_count_from_the_first_sample_of_the_sentence() -> None:
    speaker = renderer()
    sound(speaker, "one.")

    words = [word for piece in speaker.plan(LONG) for word in speaker.render(piece).words]

    assert words[0].begin_ms == 280 + 30
    assert [LONG[word.begin_index : word.end_index] for word in words] == [word.text for word in words]
    borders = [border for word in words for border in (word.begin_ms, word.end_ms)]
    assert borders == sorted(borders)


def test_word_times_fit_the_sound() -> None:
    speaker = renderer()
    pcm = b""
    words: list[WordTime] = []
    for piece in speaker.plan(LONG):
        rendering = speaker.render(piece)
        pcm += b"".join(rendering.frames)
        words += rendering.words

    level = np.abs(np.frombuffer(pcm, "<i2").astype(int))
    for word, following in itertools.pairwise(words):
        assert level[word.begin_ms * 8 + 80 : word.end_ms * 8 - 80].max() > 5000
        assert level[word.end_ms * 8 + 40 : following.begin_ms * 8 - 40].max() < 300


def test_a_frame_is_about_a_tenth_of_a_second() -> None:
    speaker = renderer()
    frames = speaker.render(speaker.plan("several words to fill some frames")[0]).frames

    size = 2 * 8000 * FRAME_MS // 1000
    assert {len(frame) for frame in frames[:-1]} == {size}
    assert size <= len(frames[-1]) < 2 * size


def test_a_wav_task_has_one_header_on_its_first_frame() -> None:
    speaker = renderer(format="wav", sample_rate=16000)

    stream = sound(speaker, "one.") + sound(speaker, "two.")

    assert stream.startswith(wav_header(16000))
    assert stream.count(b"RIFF") == 1
    with wave.open(io.BytesIO(stream)) as opened:
        assert (opened.getframerate(), opened.getnchannels(), opened.getsampwidth()) == (16000, 1, 2)
        assert opened.readframes(10**6) == stream[44:]


@pytest.mark.parametrize(("container", "rate"), [("mp3", 22050), ("opus", 16000), ("pcm", 44100)])
def test_a_format_that_is_not_made_here_is_refused_by_name(container: str, rate: int) -> None:
    with pytest.raises(UnsupportedFormatError, match=f"pcm and wav at 8000.*not {container} at {rate}"):
        renderer(format=container, sample_rate=rate)


def test_a_piece_without_a_word_takes_no_time() -> None:
    speaker = renderer()

    assert sound(speaker, " — ") == b""
    assert speaker.plan("one.")[0].pause_ms == 0
