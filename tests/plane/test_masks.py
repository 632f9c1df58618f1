import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bridge.plane.masks import everywhere, somewhere


@given(st.lists(st.booleans(), max_size=9))
def test_they_answer_as_any_and_all_do(bits: list[bool]) -> None:
    mask = np.array(bits, np.bool_)

    assert somewhere(mask) is any(bits)
    assert everywhere(mask) is all(bits)
