"""Recognisers that know nothing of us listen to what a telephone would carry."""

import pytest

from bridge.ttsserver.studio import Studio
from bridge.ttsserver.voice import Delivery, Rendered
from tests.ttsserver.recogniser import Score, characters, hear_chinese, hear_english, telephone, words
from tests.ttsserver.sentences import CHINESE, ENGLISH


def spoken(voice: str, text: str) -> Rendered:
    studio = Studio(1)
    try:
        return studio.engine(voice).render(text, Delivery(with_words=False))
    finally:
        studio.close()


@pytest.mark.e2e
@pytest.mark.timeout(120)
@pytest.mark.parametrize("voice", ["longanyang", "longanhuan"])
def test_a_recogniser_understands_english_at_8_khz(voice: str) -> None:
    score = Score()

    for sentence in ENGLISH[:6]:
        score.add(words(sentence), hear_english(telephone(spoken(voice, sentence))))

    assert score.rate < 0.1


@pytest.mark.e2e
@pytest.mark.timeout(120)
@pytest.mark.parametrize("voice", ["longanyang", "longanhuan"])
def test_a_recogniser_understands_chinese_at_8_khz(voice: str) -> None:
    score = Score()

    for sentence in CHINESE[:5]:
        score.add(characters(sentence), hear_chinese(telephone(spoken(voice, sentence))))

    assert score.rate < 0.15
