import asyncio
import time

import pytest

from bridge.cosyvoice.formats import TaskParameters
from bridge.cosyvoice.task import Begin
from bridge.text.passage import Say
from bridge.text.ssml import SsmlError
from bridge.ttsserver.prompter import Prompter
from bridge.ttsserver.voice import UnspeakableError


def prompter(model: str = "cosyvoice-v3-flash", **parameters: object) -> Prompter:
    return Prompter(Begin("t", model, TaskParameters.from_wire({"voice": "tone"} | parameters), "r"))


async def all_of(prompter: Prompter) -> list[tuple[str, str]]:
    """What was written and what is read, of each sentence."""
    found = []
    while (sentence := await prompter.next()) is not None:
        spoken = "".join(item.spoken.text for item in sentence.items if isinstance(item, Say))
        found.append((sentence.text, spoken))
    return found


async def test_complete_sentences_can_be_had_and_the_rest_waits() -> None:
    task = prompter()
    task.push("One two. Thr")

    first = await task.next()
    waiting = asyncio.create_task(task.next())
    await asyncio.sleep(0)

    assert first is not None
    assert first.text == "One two. "
    assert not waiting.done()
    task.flush()
    second = await waiting
    assert second is not None
    assert second.text == "Thr"


async def test_after_the_end_there_is_nothing() -> None:
    task = prompter()
    task.push("One")
    task.end()

    assert await all_of(task) == [("One", "One")]
    assert await task.next() is None


async def test_markup_is_read_only_by_those_who_enabled_it() -> None:
    text = "<speak>One.</speak>"
    marked, plain = prompter(enable_ssml=True), prompter()
    for task in (marked, plain):
        task.push(text)
        task.end()

    assert await all_of(marked) == [("One.", "One.")]
    assert [written for written, _ in await all_of(plain)] == [text]


async def test_plain_text_stays_plain_where_markup_is_enabled() -> None:
    task = prompter(enable_ssml=True)
    task.push("3 < 5 & so on.")
    task.end()

    assert await all_of(task) == [("3 < 5 & so on.", "3 < 5 & so on.")]


async def test_broken_markup_is_told_to_whoever_waits_for_it() -> None:
    task = prompter(enable_ssml=True)
    task.push("<speak>One.")
    task.end()

    with pytest.raises(SsmlError):
        await task.next()


async def test_text_is_read_as_the_task_asks() -> None:
    task = prompter(
        enable_markdown_filter=True, hot_fix={"replace": [{"colour": "color"}]}, language_hints=["en"]
    )
    task.push("A **colour**.")
    task.end()

    assert await all_of(task) == [("A **colour**.", "A color.")]


async def test_a_hot_fix_that_makes_too_much_of_a_sentence_is_told_to_whoever_waits() -> None:
    fix = {"replace": [{"a": "b c, " * 200}]}
    for text in ("a" * 400 + ". ", f"<speak>{'a' * 400}.</speak>"):
        task = prompter(enable_ssml=True, hot_fix=fix)
        task.push(text)
        task.end()

        with pytest.raises(UnspeakableError, match=r"hot_fix\.replace makes .* characters of a sentence"):
            await task.next()


async def test_markup_of_many_passages_comes_sentence_by_sentence() -> None:
    task = prompter(enable_ssml=True)
    task.push("<speak>One. Two.</speak>" * 3)
    task.end()

    assert [written for written, _ in await all_of(task)] == ["One. ", "Two."] * 3
    assert await task.next() is None


async def test_a_task_that_is_cancelled_while_its_markup_is_read_holds_nobody_up() -> None:
    hostile = [prompter(enable_ssml=True) for _ in range(40)]
    for task in hostile:
        task.push("<speak>" + "<sub alias='b'>a</sub>" * 9000 + "</speak>")
    reading = [asyncio.create_task(task.next()) for task in hostile]
    await asyncio.sleep(0)
    for waiting in reading:
        waiting.cancel()
    victim = prompter(enable_ssml=True)
    victim.push("<speak>Hello.</speak>")
    victim.end()
    begin_s = time.monotonic()

    assert [written for written, _ in await all_of(victim)] == ["Hello."]
    # Two of the forty may have been begun: about a fifth of a second each.
    assert time.monotonic() - begin_s < 3


async def test_formulas_are_read_by_models_that_can() -> None:
    read = {}
    for model in ("cosyvoice-v1", "cosyvoice-v3-flash"):
        task = prompter(model)
        task.push("$2+3=5$")
        task.end()
        read[model] = (await all_of(task))[0][1]

    assert read["cosyvoice-v1"] == "$2+3=5$"
    assert "加" in read["cosyvoice-v3-flash"]
