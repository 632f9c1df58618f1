import io
import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.app.log import REDACTED, JsonLines, TextLines, configure


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def record(message: str = "call ended", **fields: object) -> logging.LogRecord:
    made = logging.makeLogRecord(
        {"name": "bridge.call.session", "levelno": 20, "levelname": "INFO", "msg": message}
    )
    made.created = 1_800_000_000.25
    vars(made).update(fields)
    return made


def test_a_line_says_when_where_what_and_the_fields() -> None:
    line = TextLines().format(record(call="4f2a", reason="caller hung up", seconds=1.5, empty=""))

    assert line == (
        '2027-01-15T08:00:00.250Z info    call.session: call ended call=4f2a reason="caller hung up" '
        'seconds=1.5 empty=""'
    )


def test_a_collector_gets_the_same_as_json() -> None:
    line = json.loads(JsonLines().format(record(call="4f2a", at="12", peer=("192.0.2.1", 5060))))

    assert line == {
        "time": "2027-01-15T08:00:00.250Z",
        "level": "info",
        "room": "call.session",
        "message": "call ended",
        "call": "4f2a",
        "field_at": "12",
        "peer": ["192.0.2.1", 5060],
    }


@pytest.mark.parametrize("field", sorted(REDACTED))
@pytest.mark.parametrize("form", [TextLines(), JsonLines()])
def test_what_callers_say_type_or_are_called_is_not_written(form: logging.Formatter, field: str) -> None:
    line = form.format(record(**{field: "4929 0000 1111"}))

    assert "4929" not in line
    assert "***" in line


@given(st.text())
def test_nothing_that_is_logged_ends_its_line(text: str) -> None:
    for form in (TextLines(), JsonLines()):
        line = form.format(record(text.replace("%", ""), note=text))
        assert len(line.splitlines()) == 1 or isinstance(form, JsonLines)
        assert "\n" not in line
        assert "\x1b" not in line


def test_a_long_value_is_cut() -> None:
    assert len(TextLines().format(record(note="x" * 5000))) < 500


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_bug_takes_one_line_with_the_places_it_passed_through(stream: io.StringIO, form: str) -> None:
    configure("info", "json" if form == "json" else "text", stream=stream)

    try:
        int("x")
    except ValueError:
        logging.getLogger("bridge.call").exception("a call failed")

    line = stream.getvalue()
    assert line.count("\n") == 1
    assert "invalid literal for int()" in line
    assert "test_log.py:" in line


def test_less_than_the_level_is_not_printed_and_configuring_again_replaces(stream: io.StringIO) -> None:
    configure("debug", stream=io.StringIO())
    configure("warning", stream=stream)

    logging.getLogger("bridge.sip").info("not this")
    logging.getLogger("bridge.sip").warning("but this")

    assert stream.getvalue().count("\n") == 1
    assert "warning sip: but this" in stream.getvalue()


def test_the_libraries_keep_messages_and_keys_to_themselves_even_when_debugging(stream: io.StringIO) -> None:
    configure("debug", stream=stream)

    logging.getLogger("websockets.client").debug("> Authorization: Bearer sk-1")
    logging.getLogger("aiohttp.server").debug("GET /?token=abc")

    assert stream.getvalue() == ""
