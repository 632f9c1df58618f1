"""Takes the symbols of Markdown out of text that is to be spoken, and leaves its words."""

import re

from bridge.text.passage import Spoken

__all__ = ["filter_markdown"]

Edit = tuple[int, int, str]

# Texts come from strangers: within a line no pattern may look at a character more than a few times.
_FENCE = re.compile(r"[ \t]*+(?:`{3,}+|~{3,}+)[ \t]*+[^\s`~]*+[ \t]*+(?=\n|$)")
_RULE = re.compile(r"[ \t]*+(?:(?:\*[ \t]*+){3,}+|(?:-[ \t]*+){3,}+|(?:_[ \t]*+){3,}+)(?=\n|$)")
_UNDERLINE = re.compile(r"={2,}+[ \t]*+(?=\n|$)")
_DELIMITER_ROW = re.compile(r"[ \t]*+\|?[ \t]*+:?-{2,}+[ \t:|-]*+(?=\n|$)")
_LEAD = re.compile(r"[ \t]*+(?:>[ \t]*+)*+(?:[-*+][ \t]++(?:\[[ xX]\][ \t]++)?|\#{1,6}(?:[ \t]++|(?=\n|$)))?")
_HEADING_TAIL = re.compile(r"(?<![ \t])[ \t]++\#++[ \t]*+(?=\n|$)")
_SIGNS = re.compile(
    r"\\[!-/:-@\[-`{-~]"
    r"|!?\[(?=[^\[\]\n]*+\](?:\(|\[))"  # the opening of an image or a link
    r"|\]\((?:[^()\s]|\([^()\s]*+\))*+(?:[ \t]++(?:\"[^\"\n]*+\"|'[^'\n]*+'))?[ \t]*+\)"
    r"|(?<=[^\s\[])\]\[[^\[\]\n]*+\]"
    r"|\[\^[^\[\]\s]++\]:?"
    r"|<(?:https?|mailto):[^<>\s]++>"
    r"|`++|~~++|\*++|_++"
)
_OPERAND = re.compile(r"[0-9A-Za-z()]")
_WIDE = re.compile(r"[\u2e80-\U0003ffff]")


def filter_markdown(spoken: Spoken, *, at_line_start: bool = True) -> Spoken:
    """Leave out headings' and lists' marks, emphasis, code ticks, link targets and the like.

    Text may be half of what a pair of marks encloses: each mark is judged by its neighbours alone. What
    reads as arithmetic or as a name stays: ``2 * 3``, ``a_b``.

    Args:
        spoken: Any part of a text.
        at_line_start: Whether it begins where a line begins; headings and lists do.
    """
    edits: list[Edit] = []
    begin = 0
    while begin < len(spoken.text):
        end = spoken.text.find("\n", begin) + 1 or len(spoken.text)
        edits += _line_edits(spoken.text, begin, end, at_line_start or begin > 0)
        begin = end
    return spoken.rewritten(edits)


def _line_edits(text: str, begin: int, end: int, at_line_start: bool) -> list[Edit]:
    edits: list[Edit] = []
    tail = end
    if at_line_start:
        for whole in (_FENCE, _RULE, _UNDERLINE, _DELIMITER_ROW):
            if (match := whole.match(text, begin, end)) is not None:
                return [(begin, match.end(), "")]
        # Every part of this pattern may be missing, so it always matches.
        mark = (_LEAD.match(text, begin, end) or [""])[0]
        if mark.strip():
            edits.append((begin, begin + len(mark), ""))
            begin += len(mark)
            if "#" in mark and (closing := _HEADING_TAIL.search(text, begin, end)) is not None:
                tail = closing.start()
    if at_line_start and text[begin:tail].lstrip().startswith("|"):
        edits += _row_edits(text, begin, tail)
    else:
        edits += _inner_edits(text, begin, tail)
    if tail < end:
        edits.append((tail, end - text.endswith("\n", tail, end), ""))
    return edits


def _inner_edits(text: str, begin: int, end: int) -> list[Edit]:
    edits: list[Edit] = []
    for sign in _SIGNS.finditer(text, begin, end):
        mark = sign[0]
        if mark[0] == "\\":
            edits.append((sign.start(), sign.start() + 1, ""))
        elif mark[0] == "<":
            edits += ((sign.start(), sign.start() + 1, ""), (sign.end() - 1, sign.end(), ""))
        elif mark[0] not in "*_" or _is_emphasis(text, sign.start(), sign.end()):
            edits.append((*sign.span(), ""))
    return edits


def _row_edits(text: str, begin: int, end: int) -> list[Edit]:
    """A table's row: a comma for the line between two cells, nothing for those around them."""
    comma = "，" if _WIDE.search(text, begin, end) is not None else ","
    edits: list[Edit] = []
    row = text[begin:end].rstrip()
    outer = (len(row) - len(row.lstrip()), len(row) - 1)
    cell = begin
    for offset, character in enumerate(row):
        if character == "|" and not row.endswith("\\", 0, offset):
            at = begin + offset
            edits += _inner_edits(text, cell, at)
            edits.append((at, at + 1, "" if offset in outer else comma))
            cell = at + 1
    return edits + _inner_edits(text, cell, end)


def _is_emphasis(text: str, begin: int, end: int) -> bool:
    """Whether the run of stars or underscores at [begin, end) stands at the edge of words."""
    before = text[begin - 1 : begin] or " "
    after = text[end : end + 1] or " "
    if before.isspace() and after.isspace():
        return False
    if text[begin] == "_":
        return not (before.isalnum() and after.isalnum())
    if before.isdigit() and after.isdigit():
        return False
    is_product = end - begin == 1 and _OPERAND.match(before) and _OPERAND.match(after)
    return not is_product
