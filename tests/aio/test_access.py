"""Two tokens, and what each opens."""

import pytest

from bridge.aio.access import FULL, Access, Keys


def test_the_own_token_opens_everything() -> None:
    keys = Keys("own", "look", ("recordings",))

    assert keys.access("own") is FULL
    assert keys.is_owner("own")
    assert keys.opens("own")
    assert not keys.only_looks("own")


def test_the_second_one_opens_what_it_was_told_to() -> None:
    keys = Keys("own", "look", ("recordings",))

    assert keys.access("look") == Access(order=False, recordings=True, transcripts=False)
    assert keys.opens("look")
    assert keys.only_looks("look")
    assert not keys.is_owner("look")


@pytest.mark.parametrize("given", ["", "own ", "loo", "\udcff", "é"])
def test_nothing_else_opens_anything(given: str) -> None:
    assert Keys("own", "look").access(given) is None
    # Without a second token, an empty one is not it.
    assert Keys("own").access(given) is None
    assert not Keys("own").only_looks(given)
    assert not Keys("own").opens(given)
