import re

import pytest

from bridge.text.markup import Close, Open, SsmlError, Text, is_ssml, read_markup


def test_tags_and_texts_come_in_order() -> None:
    document = """\ufeff<?xml version="1.0"?> <speak a="1" b = '&lt;"'>x &amp; y<break/>"""
    document += "<!-- c --><![CDATA[<z>]]></speak >\n"

    assert list(read_markup(document)) == [
        Text(" "),
        Open("speak", {"a": "1", "b": '<"'}),
        Text("x & y"),
        Open("break", {}, True),
        Text("<z>"),
        Close("speak"),
        Text("\n"),
    ]


@pytest.mark.parametrize(
    ("text", "resolved"),
    [
        ("&lt;&gt;&amp;&quot;&apos;", "<>&\"'"),
        ("&#20013;&#x4e2d;", "中中"),
        ("&#10;a", "\na"),
        ("&amp;lt;", "&lt;"),
    ],
)
def test_entities_are_characters_and_read_once(text: str, resolved: str) -> None:
    assert list(read_markup(text)) == [Text(resolved)]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a & b", "'& b' is no entity; write &amp; for the sign"),
        ("&nbsp;", "'&nbsp;' is no entity"),
        ("&#0;", "'&#0;' is no entity"),
        ("&#xD800;", "'&#xD800;' is no entity"),
        ("&#x110000;", "'&#x110000;' is no entity"),
        ("a < b", "a '<' before ' b' opens no tag; write &lt; for the sign"),
        ("a <", "a '<' before the end of the text opens no tag"),
        ("<a", '<a> goes on with the end of the text; attributes are written name="value"'),
        ("<a b>", "<a> goes on with ' b>'"),
        ("<a b=c>", "<a> goes on with ' b=c>'"),
        ('<a b="1" b="2">', "<a> has the attribute b twice; keep one"),
        ("</a b>", "opens no tag"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]>", "is not allowed in SSML; remove it"),
        ("<?php ?>", "'<?php ?>' is not allowed in SSML"),
        ("<!-- a", "<!-- is not closed; write --> behind it"),
        ("<![CDATA[ a", "<![CDATA[ is not closed; write ]]> behind it"),
        ("<?xml a", "<?xml is not closed; write ?> behind it"),
        ("<" + "+" * 100, f"a '<' before '{'+' * 40}…' opens no tag"),
    ],
)
def test_what_is_no_xml_is_said(text: str, complaint: str) -> None:
    with pytest.raises(SsmlError, match=re.escape(complaint)):
        list(read_markup(text))


@pytest.mark.parametrize(
    "text",
    [
        "<speak>",
        " \n<speak rate='2'>",
        "<speak/>",
        "\ufeff<?xml version='1.0'?>\n<!-- a - b --><speak>",
        "<speak",
        "<!DOCTYPE speak []><speak>",
    ],
)
def test_what_begins_with_speak_is_ssml(text: str) -> None:
    assert is_ssml(text)


@pytest.mark.parametrize(
    "text", ["", "a <speak>", "<speaker>", "<b>", "a < b & c", "<SPEAK>", "<!DOCTYPE html>"]
)
def test_all_else_is_plain_text(text: str) -> None:
    assert not is_ssml(text)
