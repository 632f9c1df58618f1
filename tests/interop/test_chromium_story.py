"""What the page makes of a call's events and timeline, asked in the browser that runs it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Page

from tests.e2e.running import RunningBridge
from tests.interop.browser_page import chromium, opened

pytestmark = [pytest.mark.interop("chromium"), pytest.mark.timeout(60)]

S = 1_000_000_000
TELL = """async notes => {
  const { Story } = await import("/web/story.js");
  const story = new Story();
  for (const note of notes) story.add(note);
  const floor = story.floor(story.zero, story.last).map(each => [each.owner, each.from / 1e9, each.to / 1e9]);
  return { floor, lines: story.lines, marks: story.marks, summary: story.summary("You") };
}"""
RECOUNT = """async ([detail, terms]) => {
  const { recount } = await import("/web/recount.js");
  const story = recount(detail, terms);
  const floor = story.floor(story.zero, story.last).map(each => [each.owner, each.from / 1e9, each.to / 1e9]);
  return { floor, lines: story.lines, marks: story.marks };
}"""


@pytest.fixture
async def page(peer: str) -> AsyncIterator[Page]:
    with RunningBridge({"media.standby": "false"}) as bridge:
        async with chromium(peer) as browser:
            page, faults = await opened(browser, f"http://127.0.0.1:{bridge.http_port}/?token={bridge.token}")
            yield page
    assert not faults


def note(kind: str, at_s: float, **rest: object) -> dict[str, Any]:
    return {"type": kind, "at_ns": round(at_s * S), "seq": int(at_s * 10), **rest}


async def test_a_call_is_told_as_it_happens_and_afterwards(page: Page) -> None:
    told = await page.evaluate(
        TELL,
        [
            note("call.answered", 1),
            note("speech.started", 2, id=None),
            note("voice.started", 4),
            note("speech.ducked", 4.1, at_ms=2000),
            note("speech.flushed", 4.3, at_ms=2100, cause="speech"),
            note(
                "speech.ended",
                4.3,
                interrupted=True,
                played_ms=2300,
                error=None,
                heard="Good",
                unheard=" day",
            ),
            note("voice.words", 5, id=1, text="Stop", final=False, began_ns=4 * S, ended_ns=5 * S),
            note("voice.words", 5.2, id=1, text="Stop it.", final=True, began_ns=4 * S, ended_ns=5 * S),
            note("voice.stopped", 5),
            note("digit", 6, digit="5", duration_ms=80),
            note("call.ended", 7, reason="caller hung up", status=None),
        ],
    )

    assert told["floor"] == [["bot", 2, 4.1], ["doubt", 4.1, 4.3], ["you", 4.3, 5]]
    assert [(line["who"], line["text"]) for line in told["lines"]] == [
        ("bot", "Good"),
        ("you", "Stop it."),
        ("you", "pressed 5"),
    ]
    assert told["lines"][0]["unheard"] == " day"
    assert [(mark["what"], mark["at"] / S) for mark in told["marks"]] == [("cut", 4.3), ("key", 6)]
    assert told["summary"] == "You spoke once, the bot once; it was interrupted once."

    detail = {
        "timeline": {
            "caller": [{"number": 1, "began_ns": 4 * S, "ended_ns": 5 * S}],
            "bot": [{"number": 1, "began_ns": 2 * S, "ended_ns": round(4.3 * S), "interrupted": True}],
            "ducks": [
                {"number": 1, "began_ns": round(4.1 * S), "ended_ns": round(4.3 * S), "outcome": "flushed"}
            ],
            "keys": [],
            "barge_ins": [{"number": 1, "began_ns": 4 * S, "cause": "speech", "stages": []}],
        },
        "transcript": None,
    }
    afterwards = await page.evaluate(RECOUNT, [detail, {"zero": S, "now": 7 * S, "isOver": True}])
    assert afterwards["floor"] == told["floor"]
    assert afterwards["lines"] == []
    assert afterwards["marks"][0]["what"] == "cut"


async def test_an_utterance_whose_beginning_was_missed_is_drawn_all_the_same(page: Page) -> None:
    told = await page.evaluate(
        TELL,
        [
            {"type": "hello", "seq": 1, "calls": [{"id": "a", "answered_ns": S, "started_ns": 0}]},
            note("speech.ended", 5, interrupted=False, played_ms=2000, error=None),
            {"type": "pong"},
        ],
    )

    assert told["floor"] == [["bot", 3, 5]]
    assert told["lines"][0]["seconds"] == 2
    assert not told["lines"][0]["hasText"]


async def test_words_that_fit_no_shape_are_shown_as_words(page: Page) -> None:
    """Nothing that is said becomes part of the page."""
    shown = await page.evaluate(
        """async () => {
          const { Story } = await import("/web/story.js"), { fill } = await import("/web/transcript.js");
          const story = new Story(), list = document.createElement("ol");
          story.add({ type: "text", seq: 1, at_ns: 1, text: "<img src=x onerror=alert(1)><b>bold" });
          fill(list, story, { empty: "" });
          return [list.querySelectorAll("img, b").length, list.textContent];
        }"""
    )

    assert shown == [0, "You<img src=x onerror=alert(1)><b>bold"]
