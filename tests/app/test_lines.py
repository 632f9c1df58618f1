from hypothesis import given
from hypothesis import strategies as st

from bridge.app.lines import one_line


def test_plain_text_of_any_script_stays_as_it_is() -> None:
    assert one_line("Grüße, 你好 → ok") == "Grüße, 你好 → ok"


@given(st.text())
def test_any_text_becomes_one_printable_line(text: str) -> None:
    assert one_line(text).isprintable()
