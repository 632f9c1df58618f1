"""Cuts a sentence where a voice may breathe, so that its first sound need not wait for its last."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bridge.text.passage import Break, Pronunciation, Say, Sentence, Sound, Spoken
from bridge.text.sentence import split_clauses

__all__ = ["CLAUSE_PAUSE_MS", "SENTENCE_PAUSE_MS", "Piece", "pieces_of"]

# With the edges that level.EDGE_MS leaves, about the pauses that the voice makes by itself.
SENTENCE_PAUSE_MS = 280
CLAUSE_PAUSE_MS = 80


@dataclass(frozen=True, slots=True)
class Piece:
    """What is rendered at one go; either words, or a sound, or only a pause."""

    pause_ms: float
    """Silence before it."""
    spoken: Spoken | None = None
    pronunciations: tuple[Pronunciation, ...] = ()
    """Offsets in ``spoken.text``."""
    src: str = ""
    """Of a sound."""


def pieces_of(sentence: Sentence, *, breath: tuple[int, int], rate: float, is_first: bool) -> list[Piece]:
    """Cut `sentence`; no pieces if it holds nothing.

    Args:
        sentence: What is to be spoken.
        breath: Characters up to which the first piece is spoken in one go, and which no piece exceeds.
        rate: Speaking rate; pauses of speech follow it, asked for ones do not.
        is_first: Whether it opens the task: then no pause stands before it.
    """
    pieces: list[Piece] = []
    pause_ms = 0.0 if is_first else SENTENCE_PAUSE_MS / rate
    for item in sentence.items:
        match item:
            case Break(ms):
                # A break says how long the voice is silent; the usual pause would come on top.
                pieces.append(Piece(ms))
                pause_ms = 0.0
            case Sound(src):
                pieces.append(Piece(pause_ms, src=src))
                pause_ms = 0.0
            case Say():
                for spoken, given in _breaths(item, *breath):
                    pieces.append(Piece(pause_ms, spoken, given))
                    pause_ms = CLAUSE_PAUSE_MS / rate
                pause_ms = 0.0
    return pieces


def _breaths(say: Say, whole: int, longest: int) -> Iterator[tuple[Spoken, tuple[Pronunciation, ...]]]:
    begin = 0
    for end in _cuts(say.spoken.text, whole, longest, say.pronunciations):
        given = tuple(
            replace(one, begin=one.begin - begin, end=one.end - begin)
            for one in say.pronunciations
            if begin <= one.begin and one.end <= end
        )
        yield say.spoken.slice(begin, end), given
        begin = end


def _cuts(text: str, whole: int, longest: int, given: Sequence[Pronunciation]) -> list[int]:
    """Ends of the pieces: the first clause alone, so that it sounds soon; then as much as flows well."""
    if len(text) <= whole:
        return [len(text)] if text else []
    pieces: list[str] = []
    for clause in split_clauses(text, shortest=min(24, whole // 2)):
        for part in _bounded(clause, longest):
            if len(pieces) > 1 and len(pieces[-1]) + len(part) <= longest:
                pieces[-1] += part
            else:
                pieces.append(part)
    ends: list[int] = []
    at = 0
    for piece in pieces:
        at += len(piece)
        # A word whose sounds are given stays whole.
        inside = any(one.begin < at < one.end for one in given)
        if not inside:
            ends.append(at)
    return ends


def _bounded(clause: str, longest: int) -> Iterator[str]:
    while len(clause) > longest:
        cut = clause.rfind(" ", 1, longest) + 1 or longest
        yield clause[:cut]
        clause = clause[cut:]
    if clause:
        yield clause
