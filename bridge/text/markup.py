"""Reads the XML that SSML is made of: tags, their attributes, and text with its entities resolved.

Neither document types nor entities of one's own: nothing here grows when it is read, and no tag is looked at
twice. What is well formed and what is allowed where is the caller's to say.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from bridge.errors import RemoteProtocolError

__all__ = ["Close", "Open", "SsmlError", "Text", "Token", "is_ssml", "read_markup", "written_text"]


class SsmlError(RemoteProtocolError):
    """The text is no SSML that we know; the message names the tag and what is allowed."""


@dataclass(frozen=True, slots=True)
class Open:
    """A start tag, or an empty one."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    is_empty: bool = False


@dataclass(frozen=True, slots=True)
class Close:
    """An end tag."""

    name: str


@dataclass(frozen=True, slots=True)
class Text:
    """Text between tags, as it is read: entities are characters."""

    text: str


Token = Open | Close | Text

_NAME = r"[A-Za-z_][\w.:-]*+"
_ATTRIBUTE = re.compile(rf"\s++(?P<name>{_NAME})\s*+=\s*+(?:\"(?P<double>[^\"<]*+)\"|'(?P<single>[^'<]*+)')")
_START = re.compile(rf"<(?P<name>{_NAME})")
_START_END = re.compile(r"\s*+(?P<slash>/?)>")
_END = re.compile(rf"</(?P<name>{_NAME})\s*+>")
_ENTITY = re.compile(r"&([A-Za-z]+|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});")
_ENTITIES = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}

# A document type before the root makes it a document all the same: one that is refused.
_ROOT = re.compile(
    r"[\ufeff\s]*+(?:<\?xml[^<>]*+>\s*+)?(?:<!--(?:[^<>-]|-(?!->))*+-->\s*+)*+(?:<speak(?=[\s/>]|$)|<!DOCTYPE\s++speak)"
)

# The same once more, for who only needs the text: at the speed of a search, and of texts that are wrong too.
# What is not closed reaches to the end; no character is looked at more than twice.
_COMMENT = r"<!--(?:[^-]++|-(?!->))*+(?:-->|\Z)"
_OUTSIDE = rf"(?:\s++|{_COMMENT})*+"
_HEAD = re.compile(rf"[\ufeff\s]*+(?:<\?xml(?:[^?]++|\?(?!>))*+(?:\?>|\Z))?{_OUTSIDE}")
_NO_TEXT = re.compile(
    rf"{_COMMENT}"
    r"|<!\[CDATA\[((?:[^\]]++|\](?!\]>))*+)(?:\]\]>|\Z)"
    rf"|(?:</speak\s*+>|<speak(?:\s(?:[^<>\"'/]++|\"[^\"<]*+\"|'[^'<]*+'|/(?!>))*+)?/>){_OUTSIDE}"
    r"|<(?:[^<>\"']++|\"[^\"<]*+\"|'[^'<]*+')*+>"
    rf"(?:{_OUTSIDE}(?=</(?:break|soundEvent)[\s>]))?"
)

# What may be skipped or taken as it stands, with its end.
_DECLARATION = "<?xml"
_ASIDES = {"<!--": "-->", "<![CDATA[": "]]>"}
_SHOWN = 40


def is_ssml(text: str) -> bool:
    """Whether `text` is to be read as SSML: its first tag is ``<speak>``.

    The official SDK sends all text as if it were; what begins otherwise is plain text, whatever it holds.
    """
    return _ROOT.match(text) is not None


def written_text(document: str) -> str:
    """The text in a document, as the sentences that are read of it hold it; something of any other text.

    Cheap, whatever it is: what breaks a rule is not told apart here.
    """
    parts = _NO_TEXT.split(_HEAD.sub("", document, count=1))
    # In CDATA an entity is none.
    parts[1::2] = [cdata.replace("&", "&amp;") if cdata else "" for cdata in parts[1::2]]
    parts = _ENTITY.split("".join(parts))
    characters = {name: _character(name) or f"&{name};" for name in set(parts[1::2])}
    parts[1::2] = [characters[name] for name in parts[1::2]]
    return "".join(parts)


def read_markup(text: str) -> Iterator[Token]:
    """The tags and texts of a document, in order.

    Raises:
        SsmlError: If it cannot be XML.
    """
    at = len(text) - len(text.lstrip("\ufeff \t\r\n"))
    if text.startswith(_DECLARATION, at):
        at = _behind(text, "?>", at, _DECLARATION)
    while at < len(text):
        tag = text.find("<", at)
        if tag != at:
            end = tag if tag > 0 else len(text)
            yield Text(_resolve(text[at:end]))
            at = end
            continue
        aside = next((opening for opening in _ASIDES if text.startswith(opening, at)), None)
        if aside is not None:
            end = _behind(text, _ASIDES[aside], at + len(aside), aside)
            if aside != "<!--":
                yield Text(text[at + len(aside) : end - len(_ASIDES[aside])])
            at = end
        elif (match := _END.match(text, at)) is not None:
            yield Close(match["name"])
            at = match.end()
        else:
            token, at = _read_start(text, at)
            yield token


def _read_start(text: str, at: int) -> tuple[Open, int]:
    if text.startswith(("<!", "<?"), at):
        raise SsmlError(f"{_show(text, at)} is not allowed in SSML; remove it")
    start = _START.match(text, at)
    if start is None:
        raise SsmlError(f"a '<' before {_show(text, at + 1)} opens no tag; write &lt; for the sign")
    name, at = start["name"], start.end()
    attributes: dict[str, str] = {}
    while (attribute := _ATTRIBUTE.match(text, at)) is not None:
        if attribute["name"] in attributes:
            raise SsmlError(f"<{name}> has the attribute {attribute['name']} twice; keep one")
        value = attribute["double"] if attribute["double"] is not None else attribute["single"]
        attributes[attribute["name"]] = _resolve(value)
        at = attribute.end()
    end = _START_END.match(text, at)
    if end is None:
        raise SsmlError(
            f'<{name}> goes on with {_show(text, at)}; attributes are written name="value", the end is >'
        )
    return Open(name, attributes, bool(end["slash"])), end.end()


def _behind(text: str, end: str, at: int, opening: str) -> int:
    found = text.find(end, at)
    if found < 0:
        raise SsmlError(f"{opening} is not closed; write {end} behind it")
    return found + len(end)


def _resolve(text: str) -> str:
    """Text with its entities read.

    Raises:
        SsmlError: At a lone ampersand or an unknown entity.
    """
    if "&" not in text:
        return text
    parts: list[str] = []
    at = 0
    while (ampersand := text.find("&", at)) >= 0:
        entity = _ENTITY.match(text, ampersand)
        character = _character(entity[1]) if entity is not None else None
        if entity is None or character is None:
            raise SsmlError(
                f"{_show(text, ampersand)} is no entity; write &amp; for the sign, "
                "or one of &lt; &gt; &quot; &apos; &#N;"
            )
        parts += (text[at:ampersand], character)
        at = entity.end()
    return "".join((*parts, text[at:]))


def _character(name: str) -> str | None:
    """What ``&name;`` is; None if it is nothing."""
    if name[0] != "#":
        return _ENTITIES.get(name)
    code = int(name[2:], 16) if name[1] == "x" else int(name[1:])
    is_character = 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0x10FFFF or code in (0x9, 0xA, 0xD)
    return chr(code) if is_character else None


def _show(text: str, at: int) -> str:
    shown = text[at : at + _SHOWN]
    return repr(shown if at + _SHOWN >= len(text) else shown + "…") if shown else "the end of the text"
