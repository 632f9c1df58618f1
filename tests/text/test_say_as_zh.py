import pytest

from bridge.text.say_as_zh import READERS


@pytest.mark.parametrize(
    ("kind", "text", "reading"),
    [
        ("cardinal", "145", "一百四十五"),
        ("cardinal", " -10,124 ", "负一万零一百二十四"),
        (
            "cardinal",
            "99999999999999999999",
            "九千九百九十九亿亿九千九百九十九万九千九百九十九亿九千九百九十九万九千九百九十九",
        ),
        ("cardinal", "1/2", "二分之一"),
        ("cardinal", "-3/4", "负四分之三"),
        ("cardinal", "23.10%", "百分之二十三点一零"),
        ("cardinal", "-5%", "负百分之五"),
        ("cardinal", "5‰", "千分之五"),
        ("cardinal", "10~15", "十至十五"),
        ("digits", "129090909", "一二九零九零九零九"),
        ("digits", "12345678901", "一，二，三，四，五，六，七，八，九，零，一"),
        ("digits", "1-23 4", "一，二三，四"),
        ("telephone", "110", "幺幺零"),
        ("address", "元和镇嘉元30-9", "元和镇嘉元三十杠九"),
        ("address", "市台路388弄1107-1108号", "市台路三八八弄幺幺零七杠幺幺零八号"),
        ("address", "圣华名都大厦2幢2006室", "圣华名都大厦二幢二零零六室"),
        ("address", "芙蓉江路150弄19号", "芙蓉江路幺五零弄十九号"),
        ("address", "富路国际1号楼3单元04", "富路国际一号楼三单元零四"),
        ("id", "myid_1998", "M，Y，I，D，下划线，一，九，九，八"),
        ("id", "AiTest", "A，I，T，E，S，T"),
        ("characters", "ISBN 1-001", "I，S，B，N，一，杠，零，零，一"),
        ("characters", "版本号2.0", "版本号，二，点，零"),
        ("characters", "苏M MA000", "苏，M，M，A，零，零，零"),
        ("characters", "希腊字母αβ", "希腊字母，阿尔法，贝塔"),
        ("punctuation", " -./:;", "杠，点，斜杠，冒号，分号"),
        ("punctuation", "……", "省略号"),
        ("date", "2018-8-8", "二零一八年八月八日"),
        ("time", "5:30 am", "凌晨五点半"),
        ("currency", "12.50 RMB", "十二点五零人民币"),
        ("currency", "$12,000.99", "一万两千点九九美元"),
        ("currency", "-$2", "负两美元"),
        ("currency", "3万EUR", "三万欧元"),
        ("currency", "1,000.98 KML", "一千点九八K M L"),
        ("currency", "12,000", "一万两千"),
        ("measure", "2片", "两片"),
        ("measure", "100多毫克", "一百多毫克"),
        ("measure", "1厘米20毫米", "一厘米二十毫米"),
        ("measure", "120 ㎡ 56 cm²", "一百二十平方米五十六平方厘米"),
        ("measure", "100m12cm6mm", "一百米十二厘米六毫米"),
        ("measure", "10~15 kg", "十至十五千克"),
        ("measure", "10.24 cm~19.08 cm", "十点二四厘米至十九点零八厘米"),
        ("measure", "199~299元/件", "一百九十九至二百九十九元每件"),
        ("measure", "3HKD/g", "三港币每克"),
        ("measure", "30 rm", "三十r m"),
        ("measure", "-5℃", "负五摄氏度"),
        ("measure", "5m2", "五平方米"),
        ("measure", "2", "二"),
    ],
)
def test_each_kind_is_said_as_documented(kind: str, text: str, reading: str) -> None:
    assert READERS[kind](text) == reading


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("cardinal", "x"),
        ("cardinal", "123456789012345678901"),
        ("digits", "1a"),
        ("digits", ""),
        ("name", "曾小凡"),
        ("characters", "  "),
        ("punctuation", "a."),
        ("currency", "x"),
        ("measure", "米"),
        ("measure", "1米~x"),
        ("measure", "1米~2米~3米"),
        ("measure", ""),
    ],
)
def test_what_is_not_of_its_kind_has_no_reading(kind: str, text: str) -> None:
    assert READERS[kind](text) is None
