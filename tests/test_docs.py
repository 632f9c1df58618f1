import pytest

from tests.draw import DOCS, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_pages_drawn_from_code_are_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text() == PAGES[name](), "run: .venv/bin/python -m tests.draw"
