"""Which timbre speaks for which CosyVoice voice, so that a woman, a man and a child differ.

The one English voice that is here by default is a woman's; the others are shaped from it. Unknown
names of a known generation are women's: that is the voice untouched.
"""

import re
import zlib

from bridge.ttsserver.voice import Timbre

__all__ = ["timbre_of"]

_WOMAN = Timbre()
_MAN = Timbre(pitch=0.62, rate=0.98, formant=0.87)
_BOY = Timbre(pitch=1.14, rate=1.02, formant=1.10)
_GIRL = Timbre(pitch=1.24, rate=1.03, formant=1.12)
_OLD_MAN = Timbre(pitch=0.58, rate=0.88, formant=0.85)
_OLD_WOMAN = Timbre(pitch=0.86, rate=0.90, formant=0.96)
_ROBOT = Timbre(pitch=0.80, rate=0.92, formant=1.0)

_CAST = {
    _MAN: """
        longanyang longanyun longanlang longyingxun longanyue longlaotie longshange loongandy loongeric
        longcheng longze longzhe longtian longshuo longshu longsanshu longfei longhouge
        longxiaocheng longxiang
    """,
    _BOY: "longjielidou longniuniu longtong longpaopao",
    _GIRL: "longhuhu longshanshan longling longanmin longfeifei",
    _OLD_MAN: "longlaobo",
    _OLD_WOMAN: "longlaoyi",
    _ROBOT: "longjiqi",
}
_TIMBRE = {name: timbre for timbre, names in _CAST.items() for name in names.split()}
_GENERATION = re.compile(r"_v\d(?:\.\d)?$")


def timbre_of(voice: str) -> Timbre:
    """Cast a voice; the same name always sounds the same, and two names of a family differ a little."""
    name = _GENERATION.sub("", voice)
    family = _TIMBRE.get(name, _WOMAN)
    # A steady number between -1 and 1 for each name; crc32, because hash() changes with every start.
    lean = zlib.crc32(name.encode()) / 0x7FFFFFFF - 1.0
    return Timbre(
        pitch=round(family.pitch * (1.0 + 0.04 * lean), 4),
        rate=round(family.rate * (1.0 + 0.02 * lean), 4),
        formant=family.formant,
    )
