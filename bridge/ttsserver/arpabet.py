"""Pronunciations given in ARPABET, the alphabet of the CMU dictionary, in the signs of the English voice."""

from bridge.ttsserver.voice import UnspeakableError

__all__ = ["from_arpabet"]

_VOWELS = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "W", "AY": "I", "EH": "ɛ", "ER": "ɜɹ", "EY": "A",
    "IH": "ɪ", "IY": "i", "OW": "O", "OY": "Y", "UH": "ʊ", "UW": "u",
}  # fmt: skip
_WEAK = {"AH": "ə", "ER": "əɹ"}
_CONSONANTS = {
    "B": "b", "CH": "ʧ", "D": "d", "DH": "ð", "F": "f", "G": "ɡ", "HH": "h", "JH": "ʤ", "K": "k", "L": "l",
    "M": "m", "N": "n", "NG": "ŋ", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ", "T": "t", "TH": "θ", "V": "v",
    "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ",
}  # fmt: skip
_STRESS = {"1": "ˈ", "2": "ˌ"}


def from_arpabet(sounds: str) -> str:
    """Translate such as ``HH AH0 L OW1``; a vowel without a digit has no stress.

    Raises:
        UnspeakableError: If a symbol is none of ARPABET's.
    """
    found = "".join(map(_sign, sounds.split()))
    if not found:
        raise UnspeakableError("a pronunciation in the alphabet cmu is empty: write it like HH AH0 L OW1")
    return found


def _sign(symbol: str) -> str:
    name = symbol.upper()
    if name in _CONSONANTS:
        return _CONSONANTS[name]
    stress = ""
    if name[-1] in "012":
        name, stress = name[:-1], name[-1]
    if name not in _VOWELS:
        raise UnspeakableError(
            f"{symbol[:20]!r} is no symbol of the alphabet cmu: write it like HH AH0 L OW1"
        )
    if stress in ("", "0") and name in _WEAK:
        return _WEAK[name]
    return _STRESS.get(stress, "") + _VOWELS[name]
