"""Checks pronunciations that clients give: pinyin with tone digits, and ARPABET as the CMU dictionary writes it."""

from bridge.text.characters import is_hanzi

__all__ = ["ALPHABETS", "check_sounds"]

ALPHABETS = ("py", "cmu")

# Standard Mandarin, each initial with the finals that follow it; v stands for ü.
_FINALS = {
    "": "a ai an ang ao e ei en eng er o ou m n ng",
    "b": "a ai an ang ao ei en eng i ian iao ie in ing o u",
    "p": "a ai an ang ao ei en eng i ian iao ie in ing o ou u",
    "m": "a ai an ang ao e ei en eng i ian iao ie in ing iu o ou u",
    "f": "a an ang ei en eng o ou u",
    "d": "a ai an ang ao e ei en eng i ia ian iao ie ing iu ong ou u uan ui un uo",
    "t": "a ai an ang ao e ei eng i ian iao ie ing ong ou u uan ui un uo",
    "n": "a ai an ang ao e ei en eng i ian iang iao ie in ing iu ong ou u uan ue un uo v ve",
    "l": "a ai an ang ao e ei eng i ia ian iang iao ie in ing iu o ong ou u uan ue un uo v ve",
    "g": "a ai an ang ao e ei en eng ong ou u ua uai uan uang ui un uo",
    "k": "a ai an ang ao e ei en eng ong ou u ua uai uan uang ui un uo",
    "h": "a ai an ang ao e ei en eng ong ou u ua uai uan uang ui un uo",
    "j": "i ia ian iang iao ie in ing iong iu u uan ue un",
    "q": "i ia ian iang iao ie in ing iong iu u uan ue un",
    "x": "i ia ian iang iao ie in ing iong iu u uan ue un",
    "zh": "a ai an ang ao e ei en eng i ong ou u ua uai uan uang ui un uo",
    "ch": "a ai an ang ao e en eng i ong ou u ua uai uan uang ui un uo",
    "sh": "a ai an ang ao e ei en eng i ou u ua uai uan uang ui un uo",
    "r": "an ang ao e en eng i ong ou u ua uan ui un uo",
    "z": "a ai an ang ao e ei en eng i ong ou u uan ui un uo",
    "c": "a ai an ang ao e en eng i ong ou u uan ui un uo",
    "s": "a ai an ang ao e en eng i ong ou u uan ui un uo",
    "y": "a an ang ao e i in ing o ong ou u uan ue un",
    "w": "a ai an ang ei en eng o u",
}
_SYLLABLES = frozenset(
    initial + final for initial, finals in _FINALS.items() for final in finals.split()
)
_VOWELS = frozenset("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split())
_CONSONANTS = frozenset("B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH".split())


def check_sounds(alphabet: str, sounds: str, text: str) -> str:
    """Return `sounds`, the pronunciation of `text`, in the spelling that the voices take.

    Raises:
        ValueError: If they are no sounds of that alphabet; the message says which, and what would be.
    """
    if alphabet == "py":
        return _check_pinyin(sounds, text)
    return _check_arpabet(sounds)


def _check_pinyin(sounds: str, text: str) -> str:
    syllables = sounds.lower().replace("u:", "v").replace("ü", "v").split()
    for syllable in syllables:
        if syllable[:-1] not in _SYLLABLES or syllable[-1] not in "12345":
            raise ValueError(
                f"{_cut(syllable)!r} is no pinyin syllable; write letters and a tone from 1 to 5, such as 'zhong4'"
            )
    # What is not a hanzi, a digit that is read as a word for instance, has a syllable of its own too.
    count = sum(is_hanzi(character) or character.isalnum() for character in text)
    if len(syllables) != count:
        raise ValueError(
            f"{len(syllables)} pinyin syllables for the {count} characters of {_cut(text)!r}; write one for each"
        )
    return " ".join(syllables)


def _check_arpabet(sounds: str) -> str:
    symbols = sounds.upper().split()
    for symbol in symbols:
        if symbol not in _CONSONANTS and symbol not in _VOWELS:
            if symbol[:-1] not in _VOWELS or symbol[-1] not in "012":
                raise ValueError(
                    f"{_cut(symbol)!r} is no ARPABET symbol; write those of the CMU dictionary, such as 'S AY1 N'"
                )
    if not symbols:
        raise ValueError("no ARPABET symbol is given; write those of the CMU dictionary, such as 'S AY1 N'")
    return " ".join(symbols)


def _cut(value: str) -> str:
    return value if len(value) <= 40 else value[:40] + "…"
