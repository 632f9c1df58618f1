import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.ttsserver.numerals import read_numbers


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("0", "零"),
        ("7", "七"),
        ("10", "十"),
        ("15", "十五"),
        ("110", "一百一十"),
        ("105", "一百零五"),
        ("2000", "两千"),
        ("10086人", "一万零八十六人"),
        ("20,300", "两万零三百"),
        ("100000000", "一亿"),
        ("120030040", "一亿两千零三万零四十"),
        ("3.14", "三点一四"),
        ("-5℃", "负五摄氏度"),
        ("气温-5℃", "气温负五摄氏度"),
        ("007", "零零七"),
        ("202611250001234", "二零二六、一一二五、零零零一、二三四"),
        ("２３个", "二十三个"),
    ],
)
def test_a_number_is_read_as_it_is_said(written: str, read: str) -> None:
    assert read_numbers(written).text == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026年11月25日", "二零二六年十一月二十五日"),
        ("2026-03-04", "二零二六年三月四日"),
        ("10:30", "十点三十分"),
        ("20:05", "二十点零五分"),
        ("2:00", "两点"),
        ("08:15:30", "八点十五分三十秒"),
        ("3.5%", "百分之三点五"),
        ("5‰", "千分之五"),
        ("3/4", "四分之三"),
        ("¥1,234.50", "一千二百三十四点五元"),
        ("¥12元", "十二元"),
        ("$2万", "两万美元"),
        ("3-5天", "三到五天"),
        ("12.5km", "十二点五公里"),
        ("5 kg", "五公斤"),
        ("2个", "两个"),
        ("2年级", "二年级"),
        ("2月2日", "二月二日"),
        ("1+2=3", "一加二等于三"),
        ("192.168.1.1", "一九二点一六八点一点一"),
    ],
)
def test_dates_times_amounts_and_units_are_read_in_chinese(written: str, read: str) -> None:
    assert read_numbers(written).text == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("13812345678", "幺三八、幺二三四、五六七八"),
        ("400-123-4567", "四零零、幺二三、四五六七"),
        ("+86 13812345678", "八六、幺三八、幺二三四、五六七八"),
        ("拨打10086", "拨打幺零零八六"),
        ("验证码是102938", "验证码是幺零二九三八"),
        ("房间：1203", "房间：幺二零三"),
        ("电话10.5元", "电话十点五元"),
    ],
)
def test_what_is_dialled_or_typed_is_read_digit_by_digit(written: str, read: str) -> None:
    assert read_numbers(written).text == read


def test_every_sign_knows_what_it_was_written_as() -> None:
    spoken = read_numbers("共15件")

    assert spoken.text == "共十五件"
    assert spoken.begins == (0, 1, 1, 3)
    assert spoken.ends == (1, 3, 3, 4)


@given(st.text("0123456789,.-:/%¥年月日km两 +", max_size=60))
def test_no_heap_of_signs_breaks_it_and_no_digit_is_left(text: str) -> None:
    spoken = read_numbers(text)

    assert not any(character.isdigit() for character in spoken.text)
    assert len(spoken.text) == len(spoken.begins) == len(spoken.ends)
    assert list(spoken.begins) == sorted(spoken.begins)
