import tomllib

from hypothesis import given
from hypothesis import strategies as st

from bridge.app.toml_lines import line_of, lines_of_keys

SAMPLE = '''# a comment
top = 1

[sip]
listen = "0.0.0.0:5060" # [http]
allow = [ # ["not.a.table"]
  "10.0.0.0/8", # ]
  "key = 3",
]
banner = """
[http]
port = "in a text"
"""
literal = \'\'\'one line\'\'\'
after = { a = 1, b = { c = 2 } }

[bargein.budget_ms]
"mute" = 150
dotted.key = 1
[[routes]]
to = "1*"
[[routes]]
to = '2*'
[routes.extra]
note = "x"
'''


def test_every_key_stands_on_the_line_where_it_is_written() -> None:
    found = lines_of_keys(SAMPLE)

    lines = SAMPLE.split("\n")
    assert {path: lines[line - 1].split("=")[0].strip() for path, line in found.items()} == {
        ("top",): "top",
        ("sip",): "[sip]",
        ("sip", "listen"): "listen",
        ("sip", "allow"): "allow",
        ("sip", "banner"): "banner",
        ("sip", "literal"): "literal",
        ("sip", "after"): "after",
        ("bargein", "budget_ms"): "[bargein.budget_ms]",
        ("bargein", "budget_ms", "mute"): '"mute"',
        ("bargein", "budget_ms", "dotted", "key"): "dotted.key",
        ("routes",): "[[routes]]",
        ("routes", 0): "[[routes]]",
        ("routes", 0, "to"): "to",
        ("routes", 1): "[[routes]]",
        ("routes", 1, "to"): "to",
        ("routes", 1, "extra"): "[routes.extra]",
        ("routes", 1, "extra", "note"): "note",
    }


def test_elements_of_a_list_of_tables_are_told_apart() -> None:
    found = lines_of_keys(SAMPLE)

    assert found["routes", 0, "to"] < found["routes", 1, "to"]


def test_a_key_of_an_inline_table_stands_where_its_table_stands() -> None:
    found = lines_of_keys(SAMPLE)

    assert line_of(("sip", "after", "b", "c"), found) == found["sip", "after"]


def test_a_key_that_was_never_written_has_no_line() -> None:
    assert line_of(("http", "listen"), lines_of_keys(SAMPLE)) is None


def test_a_text_of_several_lines_that_ends_in_a_quote_is_not_read_as_open() -> None:
    found = lines_of_keys('a = """\nsaid \\"\\"\\" x\n"""\nb = 1\n')

    assert found == {("a",): 1, ("b",): 4}


NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,6}", fullmatch=True)
VALUES = st.sampled_from(
    [
        "1",
        "true",
        '"a"',
        '"# ["',
        "'['",
        '""',
        "[\n 1,\n 2,\n]",
        '"""\n[x]\ny = 1\n"""',
        "'''\n'\n'''",
        "{ z = [1] }",
    ]
)


@given(st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, max_size=4), max_size=4))
def test_whatever_tomllib_reads_is_found_and_nothing_else(tables: dict[str, dict[str, str]]) -> None:
    lines: list[str] = []
    expected: dict[tuple[str | int, ...], int] = {}
    for table, keys in tables.items():
        lines.append(f"[{table}]")
        expected[(table,)] = len(lines)
        for key, value in keys.items():
            expected[(table, key)] = len(lines) + 1
            lines.extend(f"{key} = {value}".split("\n"))
    text = "\n".join(lines)

    assert set(tomllib.loads(text)) == set(tables)
    assert lines_of_keys(text) == expected


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    assert all(line >= 1 for line in lines_of_keys(text).values())
