"""Which voice belongs to which generation of models; a mismatch is refused with 418."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["MODELS", "VOICES", "matches"]

MODELS: Mapping[str, str] = MappingProxyType(
    {
        "cosyvoice-v1": "v1",
        "cosyvoice-v2": "v2",
        "cosyvoice-v3-flash": "v3-flash",
        "cosyvoice-v3-plus": "v3-plus",
        "cosyvoice-v3.5-flash": "v3.5",
        "cosyvoice-v3.5-plus": "v3.5",
    }
)
"""Model name to generation. The v3.5 models speak with cloned and designed voices only."""

_V1 = """
longxiaochun longxiaoxia longxiaocheng longxiaobai longwan longcheng longhua longlaotie longshu longshuo
longjing longmiao longyue longyuan longfei longjielidou longtong longxiang loongstella loongbella
"""

_V2 = """
longxiaochun_v2 longxiaoxia_v2 longwan_v2 longcheng_v2 longhua_v2 longshu_v2 loongbella_v2 longyumi_v2
longhuhu longanpei longdaiyu
"""

_V3_FLASH = """
longanyang longanhuan longanhuan_v3 longxiaochun_v3 longxiaoxia_v3 longyumi_v3 longanyun_v3 longanwen_v3
longanli_v3 longanlang_v3 longyingmu_v3 longyingxun_v3 longyingjing_v3 longyingling_v3 longyingtao_v3
longyingxiao_v3 longhuhu_v3 longpaopao_v3 longjielidou_v3 longxian_v3 longling_v3 longshanshan_v3
longniuniu_v3 longjiaxin_v3 longjiayi_v3 longanyue_v3 longlaotie_v3 longshange_v3 longanmin_v3
loongabby_v3 loongandy_v3 loongemily_v3 loongeric_v3 loongkyong_v3 loongriko_v3 loongindah_v3
longhua_v3 longcheng_v3 longze_v3 longzhe_v3 longyan_v3 longxing_v3 longtian_v3 longwan_v3 longshuo_v3
longshu_v3 loongbella_v3 longmiao_v3 longsanshu_v3 longfei_v3 longfeifei_v3 longlaobo_v3 longlaoyi_v3
longjiqi_v3 longhouge_v3 longdaiyu_v3 longanran_v3 longanxuan_v3
"""

_V3_PLUS = "longanyang longanhuan"


def _by_voice() -> dict[str, frozenset[str]]:
    listed = {"v1": _V1, "v2": _V2, "v3-flash": _V3_FLASH, "v3-plus": _V3_PLUS}
    found: dict[str, set[str]] = {}
    for generation, names in listed.items():
        for name in names.split():
            found.setdefault(name, set()).add(generation)
    return {name: frozenset(generations) for name, generations in found.items()}


VOICES: Mapping[str, frozenset[str]] = MappingProxyType(_by_voice())
"""Every documented system voice, and the generations it speaks with."""


def matches(model: str, voice: str) -> bool:
    """Tell whether the cloud would let `model` speak with the system voice `voice`."""
    return MODELS.get(model, "") in VOICES.get(voice, frozenset())
