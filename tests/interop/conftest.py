"""Runs `sdk_script.py` once with every SDK and with our facade, and keeps what each of them saw."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.interop.network import network
from tests.interop.sdk_expected import FACADE, FORMATS, PARAMETERS, SCENARIOS_OF, SDKS
from tests.interop.sdk_service import KEY, Service, speak_plainly
from tests.interop.sdk_stage import LONG, MARKED, TEXTS, digest
from tests.ttsserver.client import Heard

__all__ = ["network"]  # a fixture that lives elsewhere

_ROOT = Path(__file__).parents[2]
_SDKS = Path(sys.prefix) / "sdk"
_LIMIT_S = 60


class SdkRun:
    """One process of the script."""

    def __init__(self, subject: str, service: Service, scenarios: tuple[str, ...]) -> None:
        module, paths = "bridge.tts_v2", []
        if subject != FACADE:
            module, paths = "dashscope.audio.tts_v2", [_SDKS / subject, _SDKS / "needs"]
            if not (_SDKS / subject / "dashscope").is_dir():
                pytest.fail(f"dashscope {subject} is not in {_SDKS}; `make test` installs it")
        environment = dict(os.environ) | {
            "PYTHONPATH": os.pathsep.join(map(str, (*paths, _ROOT))),
            "DASHSCOPE_API_KEY": KEY,
            "no_proxy": "127.0.0.1",
        }
        command = [
            sys.executable,
            "-m",
            "tests.interop.sdk_script",
            module,
            service.url,
            service.rude_url,
            *scenarios,
        ]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True
        )

    def document(self) -> dict[str, Any]:
        """Wait for the end of the process and return what it printed."""
        try:
            out, errors = self._process.communicate(timeout=_LIMIT_S)
        finally:
            self._process.kill()
        assert out, errors[-3000:]
        document = json.loads(out)
        assert isinstance(document, dict)
        return document


@pytest.fixture(scope="session")
def sdk_service() -> Iterator[Service]:
    with Service() as service:
        yield service


@pytest.fixture(scope="session")
def seen(sdk_service: Service) -> dict[str, dict[str, Any]]:
    """What each subject saw in each scenario. They wait much and compute little, so all run side by side."""
    runs = {
        subject: SdkRun(subject, sdk_service, scenarios)
        for subject, scenarios in SCENARIOS_OF.items()
        if subject in (*SDKS, FACADE)
    }
    return {subject: run.document() for subject, run in runs.items()}


@pytest.fixture(scope="session")
def spoken(sdk_service: Service) -> Mapping[str, Any]:
    """The sounds that the scenarios ask for, as the service sends them to a client without an SDK."""
    heard = asyncio.run(_speak_all(sdk_service))
    found: dict[str, Any] = {name: digest(each.sound) for name, each in heard.items()}
    times = ("text", "begin_index", "end_index", "begin_time", "end_time")
    found["word times"] = [
        [word[key] for key in times] for end in heard["timed"].ends() for word in end["sentence"]["words"]
    ]
    return found | {"nothing": digest(b""), "first frame": digest(heard["texts"].frames[0])}


@pytest.fixture(scope="session")
def plain_formats(sdk_service: Service) -> Mapping[str, bytes]:
    """One sentence in every format, as a client without an SDK gets it."""

    async def speak_in_each() -> dict[str, bytes]:
        return {
            each.name: (
                await speak_plainly(
                    sdk_service,
                    "Hello there.",
                    enable_ssml=True,
                    format=each.container,
                    sample_rate=each.rate,
                    **({"bit_rate": each.kbps} if each.container == "opus" else {}),
                )
            ).sound
            for each in FORMATS
        }

    return asyncio.run(speak_in_each())


async def _speak_all(service: Service) -> dict[str, Heard]:
    asked: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
        "texts": (TEXTS, {}),
        "timed": (TEXTS, {"word_timestamp_enabled": True}),
        "hello": (("Hello.",), {}),
        "half": (("Half a sen",), {}),
        "there": (("Hello there.",), {}),
        "signs": (("3 < 5 & so on.",), {"enable_ssml": True}),
        "cut": ((LONG[:200],), {"x_fault": "fail_mid_word"}),
        "marked": ((MARKED,), {}),
        "hot_fix": (("Hello there.",), {"hot_fix": {"replace": [{"there": "everybody"}]}}),
        "additional": (("Hello there.",), {"volume": 80, "pitch": 1.5}),
        "ssml": (
            ("<speak>Hello <break time='500ms'/> there.</speak>",),
            {"voice": "longanyang", "enable_ssml": True},
        ),
    }
    asked |= {name: ((MARKED,), {"enable_ssml": True} | more) for name, more in PARAMETERS.items()}
    return {name: await speak_plainly(service, *texts, **more) for name, (texts, more) in asked.items()}
