"""Which model speaks with which voice, and what each of them allows; a mismatch is refused with 418."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

__all__ = ["INSTRUCTABLE", "MODELS", "VOICES", "Kind", "Model", "SystemVoice", "is_instructable", "matches"]


class Kind(StrEnum):
    """Whose voice it is."""

    WOMAN = "woman"
    MAN = "man"
    GIRL = "girl"
    BOY = "boy"
    OLD_WOMAN = "old woman"
    OLD_MAN = "old man"
    ROBOT = "robot"


@dataclass(frozen=True, slots=True)
class Model:
    """What a model allows beyond plain speech."""

    generation: str
    opus: bool = True
    ssml: bool = True
    latex: bool = True
    instruct: bool = False
    """With the voices of `INSTRUCTABLE`."""
    instruct_custom: bool = False
    """With cloned and designed voices."""
    hot_fix: bool = False
    markdown_filter: bool = False
    aigc_tag: bool = True
    system_voices: bool = True
    """False: it speaks with cloned and designed voices only."""


_FLASH = Model("v3-flash", instruct=True, instruct_custom=True, hot_fix=True, markdown_filter=True)

MODELS: Mapping[str, Model] = MappingProxyType(
    {
        "cosyvoice-v1": Model("v1", opus=False, ssml=False, latex=False, aigc_tag=False),
        "cosyvoice-v2": Model("v2"),
        "cosyvoice-v3-flash": _FLASH,
        "cosyvoice-v3-plus": Model("v3-plus", instruct=True),
        "cosyvoice-v3.5-flash": Model("v3.5", instruct_custom=True, hot_fix=True, system_voices=False),
        "cosyvoice-v3.5-plus": Model("v3.5", instruct_custom=True, hot_fix=True, system_voices=False),
    }
)

INSTRUCTABLE = frozenset({"longanyang", "longanhuan", "longanhuan_v3", "longhuhu_v3"})
"""System voices that follow an instruction."""


@dataclass(frozen=True, slots=True)
class SystemVoice:
    """One documented voice."""

    kind: Kind
    language: str
    """Of its speaker: ``zh`` (who speaks English too), ``en``, ``ja``, ``ko`` or ``id``."""
    generations: frozenset[str]


# Names of the documented tables: generation, then whose voice, then the speaker's language where not Chinese.
_TABLE = {
    ("v1", Kind.WOMAN, "zh"): """
        longxiaochun longxiaoxia longxiaobai longwan longhua longjing longmiao longyue longyuan
        loongstella loongbella
    """,
    ("v1", Kind.MAN, "zh"): "longxiaocheng longcheng longlaotie longshu longshuo longfei longxiang",
    ("v1", Kind.BOY, "zh"): "longjielidou longtong",
    ("v2", Kind.WOMAN, "zh"): """
        longxiaochun_v2 longxiaoxia_v2 longwan_v2 longhua_v2 loongbella_v2 longyumi_v2 longanpei longdaiyu
        longyingxiao longyingmu longyingda longyingjing longyingyan longyingtian longyingbing longyingtao
        longyingling longanran longanxuan longanping longbaizhi longwanjun longmiao_v2 longyue_v2 longyuan_v2
        longanqin longanya longanling longanrou longqiang_v2 longxing_v2 longfeifei_v2 longyan_v2
        longjixin longgangmei longanmin longanli longanwen longjiayi_v2 longtao_v2 longxiaobai_v2 longjing_v2
        loongstella_v2
    """,
    ("v2", Kind.MAN, "zh"): """
        longcheng_v2 longshu_v2 longanyun longanlang longanyue longshange longgaoseng longhouge longyichen
        longsanshu longxiu_v2 longnan_v2 longanshuo longanzhi longhan_v2 longxiaocheng_v2 longzhe_v2
        longtian_v2 longze_v2 longshao_v2 longhao_v2 kabuleshen_v2 longyingxun longyingcui longanchong
        longlaotie_v2 longfei_v2 libai_v2 longjin_v2 longshuo_v2
    """,
    ("v2", Kind.GIRL, "zh"): "longhuhu longling_v2 longke_v2 longxian_v2 longshanshan",
    ("v2", Kind.BOY, "zh"): "longjielidou_v2 longniuniu longpaopao longwangwang",
    ("v2", Kind.OLD_WOMAN, "zh"): "longlaoyi",
    ("v2", Kind.OLD_MAN, "zh"): "longlaobo",
    ("v2", Kind.ROBOT, "zh"): "longjiqi",
    ("v2", Kind.WOMAN, "en"): """
        loongeva_v2 loongluna_v2 loongemily_v2 loongabby_v2 loongannie_v2 loongava_v2 loongbeth_v2
        loongbetty_v2 loongcindy_v2 loongcally_v2 loongdonna_v2
    """,
    ("v2", Kind.MAN, "en"): "loongbrian_v2 loongluca_v2 loongeric_v2 loongandy_v2 loongdavid_v2",
    ("v2", Kind.WOMAN, "ja"): "loongyuuna_v2 loongtomoka_v2",
    ("v2", Kind.MAN, "ja"): "loongyuuma_v2 loongtomoya_v2",
    ("v2", Kind.WOMAN, "ko"): "loongkyong_v2",
    ("v2", Kind.MAN, "ko"): "loongjihun_v2",
    ("v3-flash", Kind.WOMAN, "zh"): """
        longanhuan longanhuan_v3 longxiaochun_v3 longxiaoxia_v3 longyumi_v3 longanwen_v3 longanli_v3
        longyingmu_v3 longyingjing_v3 longyingling_v3 longyingtao_v3 longyingxiao_v3 longjiaxin_v3
        longjiayi_v3 longanmin_v3 longantai_v3 longhua_v3 longyan_v3 longxing_v3 longwan_v3 longqiang_v3
        longfeifei_v3 longanrou_v3 longanling_v3 longanya_v3 longanqin_v3 longmiao_v3 longyuan_v3 longyue_v3
        longwanjun_v3 longdaiyu_v3 longanran_v3 longanxuan_v3 loongbella_v3
    """,
    ("v3-flash", Kind.MAN, "zh"): """
        longanyang longanyun_v3 longanlang_v3 longyingxun_v3 longanyue_v3 longlaotie_v3 longshange_v3
        longfei_v3 longcheng_v3 longze_v3 longzhe_v3 longtian_v3 longhao_v3 longhan_v3 longanzhi_v3
        longsanshu_v3 longxiu_v3 longnan_v3 longyichen_v3 longhouge_v3 longshuo_v3 longshu_v3
    """,
    ("v3-flash", Kind.GIRL, "zh"): "longhuhu_v3 longxian_v3 longling_v3 longshanshan_v3",
    ("v3-flash", Kind.BOY, "zh"): "longjielidou_v3 longniuniu_v3 longpaopao_v3",
    ("v3-flash", Kind.OLD_WOMAN, "zh"): "longlaoyi_v3",
    ("v3-flash", Kind.OLD_MAN, "zh"): "longlaobo_v3",
    ("v3-flash", Kind.ROBOT, "zh"): "longjiqi_v3",
    ("v3-flash", Kind.WOMAN, "en"): """
        loongabby_v3 loongannie_v3 loongava_v3 loongbeth_v3 loongbetty_v3 loongcally_v3 loongcindy_v3
        loongdonna_v3 loongemily_v3 loongluna_v3
    """,
    ("v3-flash", Kind.MAN, "en"): "loongandy_v3 loongdavid_v3 loongeric_v3 loongluca_v3",
    ("v3-flash", Kind.WOMAN, "ja"): "loongriko_v3 loongtomoka_v3 loongyuuna_v3",
    ("v3-flash", Kind.MAN, "ja"): "loongtomoya_v3 loongyuuma_v3",
    ("v3-flash", Kind.WOMAN, "ko"): "loongkyong_v3",
    ("v3-flash", Kind.MAN, "ko"): "loongjihun_v3",
    ("v3-flash", Kind.WOMAN, "id"): "loongindah_v3",
    ("v3-plus", Kind.MAN, "zh"): "longanyang",
    ("v3-plus", Kind.WOMAN, "zh"): "longanhuan",
}


def _by_voice() -> dict[str, SystemVoice]:
    found: dict[str, SystemVoice] = {}
    for (generation, kind, language), names in _TABLE.items():
        for name in names.split():
            known = found[name].generations if name in found else frozenset()
            found[name] = SystemVoice(kind, language, known | {generation})
    return found


VOICES: Mapping[str, SystemVoice] = MappingProxyType(_by_voice())
"""Every documented system voice."""

# A cloned or designed voice carries its model's name: "cosyvoice-v3-flash-shop-1f2e3d".
_CUSTOM = re.compile(r"-(?:vd-)?[A-Za-z0-9]{1,10}-[A-Za-z0-9]+")


def matches(model: str, voice: str) -> bool:
    """Tell whether the cloud would let `model` speak with `voice`, a system voice or one made for it."""
    if model not in MODELS:
        return False
    if _is_custom(model, voice):
        return True
    known = VOICES.get(voice)
    return known is not None and MODELS[model].system_voices and MODELS[model].generation in known.generations


def is_instructable(model: str, voice: str) -> bool:
    """Tell whether `voice` follows an instruction with `model`."""
    allowed = MODELS[model]
    return allowed.instruct_custom if _is_custom(model, voice) else allowed.instruct and voice in INSTRUCTABLE


def _is_custom(model: str, voice: str) -> bool:
    return voice.startswith(model) and _CUSTOM.fullmatch(voice, len(model)) is not None
