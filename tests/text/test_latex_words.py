from bridge.text.latex import read_formula
from bridge.text.latex_words import IGNORED, PREFIXES, RELATIONS, WORDS
from bridge.text.symbols import GREEK


def test_no_command_has_two_readings() -> None:
    tables = (RELATIONS, PREFIXES, WORDS)
    names = [name for table in tables for name in table]

    assert len(names) == len(set(names))
    assert not set(names) & IGNORED


def test_every_greek_letter_has_its_command_in_both_sizes() -> None:
    for name, reading in GREEK.items():
        assert read_formula(f"\\{name}") == read_formula(f"\\{name.capitalize()}") == reading
    assert WORDS[r"\omega"] == WORDS[r"\Omega"] == "欧米伽"
    assert WORDS[r"\varphi"] == WORDS[r"\phi"] == "斐"
