"""`python -m tests.bench.intelligibility`: how much a recogniser understands, and what the telephone costs.

Fifty sentences in each language are spoken by a woman and a man in turn, and heard twice: as they left the
voice, and through 8 kHz mu-law. The telephone may cost three points. Takes some minutes.
"""

import argparse
import asyncio
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bridge.ttsserver.studio import Studio
from bridge.ttsserver.voice import Delivery
from tests.ttsserver.recogniser import (
    Score,
    characters,
    clean,
    hear_chinese,
    hear_english,
    telephone,
    words,
)
from tests.ttsserver.sentences import CHINESE, ENGLISH

_VOICES = ("longanhuan", "longanyang")
_ALLOWED_POINTS = 3.0

Hear = Callable[[NDArray[np.float32]], list[str]]
Split = Callable[[str], list[str]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.intelligibility", description=__doc__)
    parser.add_argument("--sentences", type=int, default=50, help="of each language")
    parser.add_argument("--verbose", action="store_true", help="print what was misheard")
    told = parser.parse_args()
    console = Console(width=116)
    table = Table("", "clean 24 kHz", "8 kHz G.711", "cost", "speaking", title="errors of a recogniser")
    for name, sentences, split, hear in (
        ("English, words", ENGLISH, words, hear_english),
        ("Chinese, characters", CHINESE, characters, hear_chinese),
    ):
        before, after, speed = asyncio.run(heard(sentences[: told.sentences], split, hear, told.verbose))
        points = 100 * (after.rate - before.rate)
        verdict = "" if points <= _ALLOWED_POINTS else "  too much"
        table.add_row(
            f"{name} ({before.total})",
            f"{before.rate:.1%}",
            f"{after.rate:.1%}",
            f"{points:+.1f} points{verdict}",
            f"{speed:.2f} s a second",
        )
    console.print(table)


async def heard(
    sentences: Sequence[str], split: Split, hear: Hear, is_verbose: bool
) -> tuple[Score, Score, float]:
    """Errors without and with the telephone, and the time it took to speak a second."""
    studio = Studio(1)
    engines = [studio.engine(voice) for voice in _VOICES]
    before, after = Score(), Score()
    took_s = sounded_s = 0.0
    for index, sentence in enumerate(sentences):
        began = time.perf_counter()
        rendered = engines[index % len(engines)].render(sentence, Delivery())
        took_s += time.perf_counter() - began
        sounded_s += len(rendered.samples) / rendered.rate
        said = split(sentence)
        for score, sound in ((before, clean(rendered)), (after, telephone(rendered))):
            understood = hear(sound)
            score.add(said, understood)
            if is_verbose and understood != said:
                print(f"{sentence}  ->  {' '.join(understood)}", flush=True)
    studio.close()
    return before, after, took_s / sounded_s


if __name__ == "__main__":
    main()
