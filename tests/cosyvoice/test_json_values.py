from hypothesis import given
from hypothesis import strategies as st

from bridge.cosyvoice.json_values import object_of, text_of, whole_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_whatever_a_stranger_writes_becomes_what_is_wanted_or_nothing(value: object) -> None:
    assert isinstance(object_of(value), dict)
    assert isinstance(text_of(value), str)
    assert whole_of(value) is None or type(whole_of(value)) is int


def test_a_number_is_whole_however_it_is_written() -> None:
    assert [whole_of(value) for value in (263, 263.0, 263.5, True, float("inf"), "263")] == [
        263,
        263,
        None,
        None,
        None,
        None,
    ]
