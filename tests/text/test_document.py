import pytest

from bridge.text.document import Part, read_passages, read_sounds
from bridge.text.markup import Open, SsmlError
from bridge.text.passage import Break, Manner, Pronunciation, Sound


def test_a_passage_is_its_text_and_what_stands_in_it() -> None:
    (passage,) = read_passages(
        '<speak rate="2">a<break/>b<sub alias="x">cd</sub><soundEvent src="e"/></speak>'
    )

    assert passage.manner == Manner(rate=2.0)
    assert passage.text == "abcd"
    assert passage.parts == [
        Part(0, 1),
        Part(1, 1, item=Break(1000)),
        Part(1, 2),
        Part(2, 4, Open("sub", {"alias": "x"})),
        Part(4, 4, item=Sound("e")),
    ]


def test_an_empty_root_is_a_passage_of_nothing() -> None:
    passages = list(read_passages("<speak/> <speak></speak>"))

    assert [passage.parts for passage in passages if passage.parts] == []


def test_sounds_point_to_what_is_not_blank() -> None:
    tag = Open("phoneme", {"alphabet": "py", "ph": "dang4 diao4"})

    assert read_sounds(tag, " 当掉 ") == Pronunciation(1, 3, "py", "dang4 diao4")
    with pytest.raises(
        SsmlError, match="<phoneme ph='dang4 diao4'>: '当' and its pinyin differ in length, 1 and 2"
    ):
        read_sounds(tag, "当")
