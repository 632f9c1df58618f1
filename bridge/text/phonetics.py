"""Checks given pronunciations: pinyin with tone digits, and ARPABET as the CMU dictionary writes it."""

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
_SYLLABLES = frozenset(initial + final for initial, finals in _FINALS.items() for final in finals.split())
_VOWELS = frozenset(
    ["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"]
)
_CONSONANTS = frozenset(["B", "D", "F", "G", "K", "L", "M", "N", "P", "R", "S", "T", "V", "W", "Y", "Z"])
_CONSONANTS |= {"CH", "DH", "HH", "JH", "NG", "SH", "TH", "ZH"}
# Two spellings of one syllable; the voices take the second.
_SPELLINGS = {"lue": "lve", "nue": "nve"}
_ARPABET_FIX = "write those of the CMU dictionary, such as 'S AY1 N'"


def check_sounds(alphabet: str, sounds: str, text: str) -> str:
    """Return `sounds`, the pronunciation of `text`, in the spelling that the voices take.

    Raises:
        ValueError: If they are no sounds of that alphabet; the message says which, and what would be.
    """
    if alphabet == "py":
        return _check_pinyin(sounds, text)
    return _check_arpabet(sounds)


def _check_pinyin(sounds: str, text: str) -> str:
    syllables: list[str] = []
    for syllable in sounds.lower().replace("u:", "v").replace("ü", "v").split():
        letters, tone = syllable[:-1], syllable[-1]
        if letters not in _SYLLABLES or tone not in "12345":
            raise ValueError(
                f"{_cut(syllable)!r} is no pinyin syllable; write letters and a tone 1 to 5, such as 'zhong4'"
            )
        syllables.append(_SPELLINGS.get(letters, letters) + tone)
    # What is not a hanzi, a digit that is read as a word for instance, has a syllable of its own too.
    count = sum(character.isalnum() or is_hanzi(character) for character in text)
    if len(syllables) != count:
        raise ValueError(
            f"{_cut(text)!r} and its pinyin differ in length, {count} and {len(syllables)}; "
            "write one syllable for each character"
        )
    return " ".join(syllables)


def _check_arpabet(sounds: str) -> str:
    symbols = sounds.upper().split()
    for symbol in symbols:
        is_stressed = symbol[:-1] in _VOWELS and symbol[-1] in "012"
        if symbol not in _CONSONANTS and symbol not in _VOWELS and not is_stressed:
            raise ValueError(f"{_cut(symbol)!r} is no ARPABET symbol; {_ARPABET_FIX}")
    if not symbols:
        raise ValueError(f"no ARPABET symbol is given; {_ARPABET_FIX}")
    return " ".join(symbols)


def _cut(value: str) -> str:
    return value if len(value) <= 40 else value[:40] + "…"
