import contextlib
import re
import time
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.text.hot_fix import HotFix
from bridge.text.markup import SsmlError, written_text
from bridge.text.passage import Break, Manner, Say, Sentence, Sound
from bridge.text.reader import Reader, ReadingOptions
from bridge.text.say_as import KINDS
from bridge.text.ssml import read_ssml as reading_ssml

PLAIN = ReadingOptions()
ALL = ReadingOptions(
    markdown=True,
    latex=True,
    hot_fix=HotFix.from_wire({"pronunciation": [{"天气": "tian1 qi4"}], "replace": [{"a": "bc"}]}),
)
SOUND = "<soundEvent src='a'/>"
LONGEST_SUBSTITUTE = f"<sub alias='{'b' * 400}'>a</sub>"
TEXTS = st.text(alphabet="ab 1.!。，天气$x*\n<&>'\"", max_size=20)
MARKUP = st.lists(
    st.sampled_from(
        [
            "<speak>",
            "</speak>",
            "<break/>",
            '<break time="1s">',
            "</break>",
            "<sub alias='x'>",
            "</sub>",
            "<say-as",
            "<",
            ">",
            "&",
            "&lt;",
            ' interpret-as="date">',
            "</say-as>",
            "<phoneme alphabet='py' ph='a1'>",
            "</phoneme>",
            "a",
            "啊",
            " ",
            "<speak rate='2'>",
            '"',
        ]
    ),
    max_size=12,
).map("".join)
ELEMENTS = st.one_of(
    TEXTS.map(lambda text: (escape(text), text)),
    st.integers(50, 10_000).map(lambda ms: (f'<break time="{ms}ms"/>', "")),
    st.just(('<soundEvent src="a.wav"></soundEvent>', "")),
    st.tuples(TEXTS.filter(str.strip), TEXTS).map(
        lambda pair: (f"<sub alias={quoteattr(pair[0])}>{escape(pair[1])}</sub>", pair[1])
    ),
    st.tuples(st.sampled_from(KINDS), TEXTS).map(
        lambda pair: (f'<say-as interpret-as="{pair[0]}">{escape(pair[1])}</say-as>', pair[1])
    ),
    st.just(('<phoneme alphabet="cmu" ph="S AY1 N">sin</phoneme>', "sin")),
)


def read_ssml(text: str, options: ReadingOptions) -> list[Sentence]:
    return list(reading_ssml(text, options))


def said(sentence: Sentence) -> list[str | int]:
    parts: list[str | int] = []
    for item in sentence.items:
        if isinstance(item, Say):
            parts.append(item.spoken.text)
        else:
            parts.append(item.ms if isinstance(item, Break) else item.src)
    return parts


def spoken(document: str, options: ReadingOptions = PLAIN) -> list[list[str | int]]:
    return [said(sentence) for sentence in read_ssml(f"<speak>{document}</speak>", options)]


def test_breaks_stay_at_their_place() -> None:
    sentences = read_ssml('<speak>请闭上眼睛<break time="500ms"/>休息。<break/>好了。</speak>', PLAIN)

    assert [sentence.text for sentence in sentences] == ["请闭上眼睛休息。", "好了。"]
    assert [said(sentence) for sentence in sentences] == [["请闭上眼睛", 500, "休息。", 1000], ["好了。"]]


def test_breaks_in_a_row_add_up_to_ten_seconds_at_most() -> None:
    assert spoken('一。<break time="5s"/>\n <break time="3s"></break>二') == [
        ["一。", 8000],
        [" 二".rjust(3)],
    ]
    assert spoken('一<break time="5s"/><break time="5s"/><break time="5s"/>二') == [["一", 10_000, "二"]]
    assert spoken('<break time="6s"/>一<break time="6s"/><soundEvent src="x"/><break time="6s"/>') == [
        [6000, "一", 6000, "x", 6000]
    ]


def test_a_break_may_stand_alone() -> None:
    assert read_ssml("<speak><break/></speak>", PLAIN) == [Sentence("", (Break(1000),))]
    assert read_ssml("<speak> <break/> </speak>", PLAIN) == [Sentence("  ", (Break(1000),))]


def test_a_passage_without_text_is_none() -> None:
    assert read_ssml("<speak/><speak></speak>", PLAIN) == []


def test_sounds_come_with_their_source() -> None:
    (sentence,) = read_ssml('<speak>马<soundEvent src="http://a/b?x=1&amp;y=2"/>跑</speak>', PLAIN)

    assert sentence.items[1] == Sound("http://a/b?x=1&y=2")


def test_passages_stand_side_by_side_each_with_its_manner() -> None:
    sentences = read_ssml(
        '<?xml version="1.0"?>\n<speak rate="2">一</speak>\n<speak voice="v">二</speak>', PLAIN
    )

    assert [(sentence.text, sentence.manner) for sentence in sentences] == [
        ("一", Manner(rate=2.0)),
        ("二", Manner(voice="v")),
    ]


def test_a_substitute_points_to_what_it_stands_for() -> None:
    (sentence,) = read_ssml('<speak>用<sub alias="网络协议标准">W3C</sub>吧</speak>', PLAIN)
    (say,) = sentence.items

    assert sentence.text == "用W3C吧"
    assert isinstance(say, Say)
    assert say.spoken.text == "用网络协议标准吧"
    assert say.spoken.source(1, 7) == (1, 4)
    assert say.spoken.source(7, 8) == (4, 5)


def test_a_substitute_for_nothing_is_said_all_the_same() -> None:
    assert spoken('一<sub alias="二"></sub>三<sub alias="四"/>') == [["一二三四"]]


def test_sounds_of_a_phoneme_point_into_what_is_said() -> None:
    (sentence,) = read_ssml(
        '<speak><sub alias="好的">OK</sub>去<phoneme alphabet="py" ph="dang4 diao4"> 当掉 </phoneme></speak>',
        PLAIN,
    )
    (say,) = sentence.items

    assert isinstance(say, Say)
    assert [(sound.begin, sound.end, sound.sounds) for sound in say.pronunciations] == [(4, 6, "dang4 diao4")]
    assert say.spoken.text[4:6] == "当掉"


def test_the_hot_fix_yields_to_a_phoneme() -> None:
    (sentence,) = read_ssml('<speak>天气<phoneme alphabet="py" ph="tian2 qi1">天气</phoneme></speak>', ALL)
    (say,) = sentence.items

    assert isinstance(say, Say)
    assert [sound.sounds for sound in say.pronunciations] == ["tian1 qi4", "tian2 qi1"]


@pytest.mark.parametrize(
    ("document", "language", "reading"),
    [
        ("有<say-as interpret-as='cardinal'>12</say-as>个", "", "有十二个"),
        ("have <say-as interpret-as='cardinal'>12</say-as>", "", "have twelve"),
        ("有<say-as interpret-as='cardinal'>12</say-as>个", "en", "有twelve个"),
        ("have <say-as interpret-as='cardinal'>12</say-as>", "zh", "have 十二"),
        ("<say-as interpret-as='cardinal'>12</say-as>", "", "twelve"),
        ("<say-as interpret-as='date'>soon</say-as>", "", "soon"),
        ("<say-as interpret-as='cardinal'></say-as>有", "", "有"),
    ],
)
def test_the_text_around_or_the_hint_decides_the_language(document: str, language: str, reading: str) -> None:
    assert spoken(document, ReadingOptions(language=language)) == [[reading]]


def test_a_passage_of_numbers_is_in_the_language_of_the_document() -> None:
    document = "<speak><say-as interpret-as='cardinal'>12</say-as></speak><speak>个</speak>"

    assert [said(sentence) for sentence in read_ssml(document, PLAIN)] == [["十二"], ["个"]]


def test_a_name_begins_with_the_sound_of_a_surname() -> None:
    (sentence,) = read_ssml("<speak>她是<say-as interpret-as='name'>曾小凡</say-as></speak>", PLAIN)
    (say,) = sentence.items

    assert isinstance(say, Say)
    assert [(sound.begin, sound.sounds) for sound in say.pronunciations] == [(2, "zeng1")]
    assert spoken("She is <say-as interpret-as='name'>Zeng</say-as>") == [["She is Zeng"]]


def test_an_element_ends_no_sentence() -> None:
    assert spoken("一<sub alias='二'>a. b。c</sub>三。四") == [["一二三。"], ["四"]]


def test_an_element_longer_than_any_sentence_is_said_once() -> None:
    sentences = read_ssml(f"<speak><sub alias='长'>{'x' * 900}</sub>完。</speak>", PLAIN)

    assert [said(sentence) for sentence in sentences] == [["长"], ["完。"]]
    (say,) = sentences[0].items
    assert isinstance(say, Say)
    assert say.spoken.source(0, 1) == (0, 900)


def test_too_long_a_sentence_is_cut_beside_an_element() -> None:
    phoneme = "<phoneme alphabet='py' ph='tian1 qi4'>天气</phoneme>"

    sentences = read_ssml(f"<speak>{'好' * 399}{phoneme}{'好' * 9}</speak>", PLAIN)

    assert [len(sentence.text) for sentence in sentences] == [399, 11]


def test_what_is_too_long_for_its_kind_is_text() -> None:
    assert spoken(f"<say-as interpret-as='id'>{'x' * 401}</say-as>") == [["x" * 400], ["x"]]


def test_line_breaks_are_blanks_and_blanks_are_no_sentence() -> None:
    sentences = read_ssml("<speak>\n  It goes\n  on here.\n  Then\n  more.\n</speak>", PLAIN)

    assert [sentence.text for sentence in sentences] == ["\n  It goes\n  on here.\n", "  Then\n  more.\n"]
    assert said(sentences[0]) == ["   It goes   on here. "]


def test_text_in_ssml_is_read_as_the_request_wants() -> None:
    assert spoken("**设** $a &lt; 1$。", ALL) == [["设 b c小于一。"]]


@pytest.mark.parametrize("text", ["a < b & c. Then", "<b>5</b>", "", "见 <speak>", "$x+1$ <"])
def test_what_is_no_ssml_is_plain_text(text: str) -> None:
    reader = Reader(ALL)

    assert read_ssml(text, ALL) == reader.push(text) + reader.flush()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("<speak>a", "<speak> is not closed; write </speak> behind its text"),
        ("<speak>a</speak>b", "'b' stands outside of <speak>; put all text inside of one"),
        ("<speak>a</speak></speak>", "</speak> ends nothing; no tag is open"),
        ("<speak>a</speak><break/>", "<break> stands outside of <speak>; put it inside of one"),
        ("<speak><speak>a</speak></speak>", "<speak> stands within <speak>; close the first one before"),
        ("<speak>a</sub></speak>", "</sub> ends nothing here; <speak> is open"),
        (
            "<speak><emphasis>a</emphasis></speak>",
            "<emphasis> is no tag of SSML here; <speak> holds break, sub,",
        ),
        ("<speak tone='1'>a</speak>", "<speak> has no attribute 'tone'"),
        ("<speak><break strength='weak'/></speak>", "<break> has no attribute 'strength'; it takes time"),
        (
            "<speak><break time='0s'/></speak>",
            "<break time='0s'> is out of range; it is 1s to 10s or 50ms to 10000ms",
        ),
        ("<speak><break time='11s'/></speak>", "<break time='11s'> is out of range"),
        ("<speak><break time='49ms'/></speak>", "<break time='49ms'> is out of range"),
        ("<speak><break time='1.5s'/></speak>", "<break time='1.5s'> is out of range"),
        ("<speak><break>a</break></speak>", "<break> holds 'a'; it is empty, write <break/>"),
        ("<speak><soundEvent/></speak>", "<soundEvent> needs the attribute src"),
        ("<speak><sub>a</sub></speak>", "<sub> needs the attribute alias"),
        (
            "<speak><sub alias='b'>a<break/></sub></speak>",
            "<break> stands within <sub>, which holds no other tag",
        ),
        ("<speak><sub alias='b'>a</speak>", "</speak> stands where </sub> is due"),
        ("<speak><sub alias='b'>a", "<sub> is not closed; write </sub> behind its text"),
        ("<speak><say-as>1</say-as></speak>", "<say-as> needs the attribute interpret-as"),
        (
            "<speak><say-as interpret-as='nick'>1</say-as></speak>",
            "<say-as interpret-as='nick'> is unknown; it is one of",
        ),
        ("<speak><phoneme ph='a1'>啊</phoneme></speak>", "<phoneme> needs the attribute alphabet"),
        (
            "<speak><phoneme alphabet='ipa' ph='a'>啊</phoneme></speak>",
            "<phoneme alphabet='ipa'> is unknown; it is one of py, cmu",
        ),
        ("<speak><phoneme alphabet='py'>啊</phoneme></speak>", "<phoneme> needs the attribute ph"),
        ("<speak><phoneme alphabet='py' ph='a1'> </phoneme></speak>", "<phoneme> holds no text"),
        (
            "<speak><phoneme alphabet='py' ph='a1'>典当</phoneme></speak>",
            "<phoneme ph='a1'>: '典当' and its pinyin differ in length",
        ),
        (
            f"<speak><sub alias='{'x' * 401}'>a</sub></speak>",
            "<sub alias> has 401 characters; 400 are allowed",
        ),
        (
            f"<speak><phoneme alphabet='cmu' ph='AY'>{'x' * 401}</phoneme></speak>",
            "<phoneme> holds 401 characters; 400 are allowed",
        ),
        ("<speak>a & b</speak>", "is no entity"),
        ("<speak>a < b</speak>", "opens no tag"),
        ("<!DOCTYPE speak [<!ENTITY a 'b'>]><speak>&a;</speak>", "is not allowed in SSML"),
        (f"<speak>a</speak>{'x' * 99}", f"'{'x' * 40}…' stands outside"),
        ("<speak/>" * 1001, "there are more than 1000 <speak>; put more text into each"),
        (f"<speak>{'<break/>' * 10_001}</speak>", "<break> is element 10001; 10000 are allowed"),
        (
            f"<speak>{SOUND * 101}</speak>",
            "a sentence holds more than 100 breaks and sounds; make it two",
        ),
        (
            f"<speak>{LONGEST_SUBSTITUTE * 11}</speak>",
            "what is said for one sentence is longer than 4000 characters; make it two",
        ),
    ],
)
def test_what_is_wrong_with_a_document_is_said(text: str, complaint: str) -> None:
    with pytest.raises(SsmlError, match=re.escape(complaint)):
        read_ssml(text, PLAIN)


def test_a_wrong_document_is_the_peers_fault() -> None:
    assert issubclass(SsmlError, RemoteProtocolError)


def test_as_much_as_is_allowed_is_read() -> None:
    sentence = f"a{'<break/>b' * 100}. "
    (substituted,) = spoken(LONGEST_SUBSTITUTE * 10)

    assert [len(found.items) for found in read_ssml(f"<speak>{sentence * 3}</speak>", PLAIN)] == [201] * 3
    assert substituted == ["b" * 4000]
    assert len(read_ssml("<speak>a</speak>" * 1000, PLAIN)) == 1000


def test_sentences_are_read_one_by_one_once_the_document_is_known_to_be_right() -> None:
    right = f"<speak>One. Two{SOUND * 101}</speak>"
    sentences = reading_ssml(right, PLAIN)

    assert next(sentences).text == "One. "
    with pytest.raises(SsmlError):
        next(sentences)
    with pytest.raises(SsmlError):
        next(reading_ssml("<speak>One. </speak><speak>Two.", PLAIN))


def test_a_hot_fix_is_prepared_once_for_all_passages() -> None:
    words = [{f"{n:03}. {'x' * 5}": "y"} for n in range(900)]
    options = ReadingOptions(hot_fix=HotFix.from_wire({"replace": words}))
    list(reading_ssml("<speak>a</speak>", options))
    begin_ns = time.thread_time_ns()

    list(reading_ssml("<speak>a</speak>" * 1000, options))

    assert time.thread_time_ns() - begin_ns < 1_000_000_000


@given(st.text(max_size=40) | MARKUP | MARKUP.map("<speak>{}".format), st.sampled_from([PLAIN, ALL]))
def test_any_text_is_read_or_refused(text: str, options: ReadingOptions) -> None:
    with contextlib.suppress(SsmlError):
        assert all(isinstance(sentence, Sentence) for sentence in reading_ssml(text, options))


@given(st.lists(ELEMENTS, max_size=8), st.sampled_from([PLAIN, ALL]))
def test_the_sentences_are_the_text_and_all_that_is_said_was_written_there(
    elements: list[tuple[str, str]], options: ReadingOptions
) -> None:
    document = "".join(markup for markup, _ in elements)
    sentences = read_ssml(f"<speak>{document}</speak>", options)

    assert "".join(sentence.text for sentence in sentences) == "".join(text for _, text in elements)
    assert written_text(f"<speak>{document}</speak>") == "".join(text for _, text in elements)
    for sentence in sentences:
        for item in sentence.items:
            if isinstance(item, Say):
                assert list(item.spoken.begins) == sorted(item.spoken.begins)
                assert all(
                    0 <= begin <= end <= len(sentence.text)
                    for begin, end in zip(item.spoken.begins, item.spoken.ends, strict=True)
                )
                assert all(sound.begin < sound.end <= len(item.spoken) for sound in item.pronunciations)
            elif isinstance(item, Break):
                assert 50 <= item.ms <= 10_000


@pytest.mark.parametrize(
    "pattern",
    [
        "<break/>",
        "<sub alias='x'/>",
        "<sub alias='x'>a</sub>",
        "a",
        "好。",
        "&lt;",
        "<say-as interpret-as='digits'>1</say-as>",
        "<phoneme alphabet='py' ph='tian1 qi4'>天气</phoneme>天气",
        "<!-- a -->",
        " ",
    ],
)
def test_the_work_grows_with_the_text_and_not_with_its_square(pattern: str) -> None:
    short_ns, long_ns = work_ns(pattern, 100), work_ns(pattern, 800)

    # Eight times the text: the square would be 64 times the work.
    assert long_ns < 24 * short_ns


def work_ns(pattern: str, count: int) -> int:
    document = f"<speak>{pattern * count}</speak>"
    best_ns = 1 << 62
    for _ in range(3):
        begin_ns = time.thread_time_ns()
        read_ssml(document, ALL)
        best_ns = min(best_ns, time.thread_time_ns() - begin_ns)
    return best_ns
