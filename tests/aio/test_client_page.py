"""What docs/client.md shows is done here."""

import ast
import inspect
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge import CosyVoice, WordTime
from tests.aio.cosyvoice_fake import eventually, pcm_of, running

TEXT = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


async def language_model(prompt: str) -> AsyncIterator[str]:
    for word in ("Once ", "upon ", "a ", "time."):
        yield word


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
async def test_an_example_of_the_page_runs(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    played: list[bytes] = []
    async with running() as service:
        names = {
            "CosyVoice": CosyVoice,
            "WordTime": WordTime,
            "URL": service.url,
            "play": played.append,
            "language_model": language_model,
        }
        code = compile(EXAMPLES[number], "docs/client.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        running_code = eval(code, names)  # noqa: S307  our own page
        if inspect.iscoroutine(running_code):
            await running_code
            assert service.texts
        await eventually(lambda: service.open_now == 0)

    spoken = "".join(service.texts)
    if played:
        assert b"".join(played) in (pcm_of(spoken, 8000), pcm_of(spoken, 24_000))
    if "heard" in EXAMPLES[number]:
        assert capsys.readouterr().out.splitlines()[-1] == "One two  | three."


def test_the_page_has_examples_of_everything() -> None:
    assert len(EXAMPLES) == 5
