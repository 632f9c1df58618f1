import pytest

from bridge.text.dates_en import read_date, read_time


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("2000/01", "two thousand, oh one"),
        ("1900-01", "nineteen hundred, oh one"),
        ("2001-02", "twenty oh one, oh two"),
        ("2019-20", "twenty nineteen, twenty"),
        ("1999-00", "nineteen ninety nine, oh oh"),
        ("1905", "nineteen oh five"),
        ("mon-wed", "monday to wednesday"),
        ("sat&sun", "saturday and sunday"),
        ("Friday", "friday"),
        ("19-20 Jan, 2000", "the nineteenth to the twentieth of january two thousand"),
        ("05&06 Apr, 2009", "the fifth and the sixth of april two thousand nine"),
        ("Feb 01 - 03", "february the first to the third"),
        ("Aug 10~20", "august the tenth to the twentieth"),
        ("Jul - Dec", "july to december"),
        ("1990 - 2000", "nineteen ninety to two thousand"),
        ("Sun 20 Nov 2011", "sunday the twentieth of november twenty eleven"),
        ("Sun Nov 20", "sunday november the twentieth"),
        ("Sat 2010-10-01", "saturday october the first twenty ten"),
        ("11/20/2011", "november the twentieth twenty eleven"),
        ("10 Mar, 2001", "the tenth of march two thousand one"),
        ("Mar 2001", "march two thousand one"),
        ("Fri. 10/Mar/2001", "friday the tenth of march two thousand one"),
        ("Mar 10th, 2001", "march the tenth two thousand one"),
        ("2001/03/10", "march the tenth two thousand one"),
        ("3/10", "march the tenth"),
        ("2000s", "two thousands"),
        ("1900's", "nineteen hundreds"),
        ("1990s", "nineteen nineties"),
    ],
)
def test_dates_are_said_as_documented(text: str, reading: str) -> None:
    assert read_date(text) == reading


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("09:00 AM", "nine A M"),
        ("09:03 PM", "nine oh three P M"),
        ("09:13 p.m.", "nine thirteen p m"),
        ("21:00", "twenty one hundred"),
        ("100", "one oclock"),
        ("5:00am", "five a m"),
        ("10:20:30", "ten twenty and thirty seconds"),
        ("10:00:30", "ten and thirty seconds"),
        ("8:00 am - 05:30 pm", "eight a m to five thirty p m"),
        ("7:05~10:15 AM", "seven oh five to ten fifteen A M"),
        ("09:00-13:00", "nine oclock to thirteen hundred"),
    ],
)
def test_times_are_said_as_documented(text: str, reading: str) -> None:
    assert read_time(text) == reading


@pytest.mark.parametrize("text", ["", "x", "99:99", "foo-bar", "mon-foo", "1-2-3", "5"])
def test_what_is_neither_has_no_reading(text: str) -> None:
    assert read_date(text) is None
    assert read_time(text) is None
