"""Every command of docs/api.md, run against a whole bridge as it stands on the page."""

import asyncio
import json
import re
import shlex
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from bridge.app.api.answers import CallDetail, CallSummary, Holding, Ordered, ProblemDetails, Stopped
from bridge.app.api.notes import EVENT, Hello
from bridge.app.webrtc_document import JoinToken
from tests.e2e.callee import Callee, callee
from tests.e2e.running import RunningBridge
from tests.e2e.test_api import steering, tone

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
COMMANDS = re.findall(r"```sh\n(curl .*?)```", PAGE, re.DOTALL)
ANSWERS: list[tuple[int, type[BaseModel] | None]] = [
    (201, CallSummary),
    (200, CallDetail),
    (403, ProblemDetails),
    (202, Ordered),
    (202, Ordered),
    (202, Ordered),
    (200, Stopped),
    (202, Ordered),
    (200, Holding),
    (200, Holding),
    (202, None),
    (204, None),
    (201, JoinToken),
    (201, CallSummary),
]
"""What each command is answered with, in the order of the page."""


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBridge]:
    folder = tmp_path_factory.mktemp("prompts")
    (folder / "welcome.wav").write_bytes(tone(1000, 0.6))
    with RunningBridge({"prompts.folder": str(folder), "media.standby": "false"}) as running:
        yield running


@pytest.fixture
async def phone() -> AsyncIterator[Callee]:
    async with callee() as made:
        made.outcomes = (180, 486)  # the call goes on, and is hung up by the page's next command
        yield made


def run(command: str, values: dict[str, str]) -> tuple[int, Any]:
    """Do what curl would do: the page uses -s, -X, -H and -d."""
    for name, value in values.items():
        command = command.replace(f"${name}", value)
    words = shlex.split(command.replace("\\\n", " "))
    assert words[:2] == ["curl", "-s"]
    method, headers, data, url = "GET", dict[str, str](), None, ""
    rest = iter(words[2:])
    for word in rest:
        match word:
            case "-X":
                method = next(rest)
            case "-H":
                name, _, text = next(rest).partition(": ")
                headers[name] = text
            case "-d":
                data = next(rest).encode()
            case _:
                assert not url, f"what is {word}?"
                url = word
    request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310  our child
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  our child
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.loads(refused.read())


async def test_every_command_of_the_page_does_what_the_page_says(
    bridge: RunningBridge, phone: Callee
) -> None:
    assert len(COMMANDS) == len(ANSWERS)
    values = {"BRIDGE": f"http://127.0.0.1:{bridge.http_port}", "TOKEN": bridge.token}
    async with steering(bridge) as api:
        for number, (command, (status, model)) in enumerate(zip(COMMANDS, ANSWERS, strict=True)):
            answered, body = await asyncio.to_thread(
                run, command.replace("sip:100@127.0.0.1:5070", phone.uri), values
            )
            assert answered == status, (command, body)
            if model is not None:
                model.model_validate(body)
            if number == 0:
                values["CALL"] = body["id"]
                await api.until("call.answered")
                assert phone.headers["X-Case"] == "17"


def test_what_the_page_shows_is_what_is_sent() -> None:
    shown = [json.loads(line) for line in PAGE.splitlines() if line.startswith('{"type"')]
    assert Hello.model_validate(shown[0])
    for event in shown[1:]:
        assert EVENT.validate_python(event)
    (problem,) = re.findall(r"```json\n(\{\"title\".*?)```", PAGE, re.DOTALL)
    assert ProblemDetails.model_validate_json(problem).fix


def test_the_page_names_every_event_and_every_path() -> None:
    schema = EVENT.json_schema()
    kinds = set(schema["discriminator"]["mapping"])
    assert {kind for kind in kinds if f"`{kind}`" not in PAGE} == set()
    assert {
        path
        for path in ("say", "play", "stop", "dtmf", "hold", "resume", "transfer")
        if f"/{path}" not in PAGE
    } == set()
