"""The official SDK has the embedded service recognise what a telephone would carry."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.load.clip import render_clip
from bridge.media.resample import Resampler
from tests.hearing import word_errors
from tests.interop.sdk_expected import SDKS
from tests.interop.sdk_service import KEY, Service

pytestmark = [pytest.mark.interop("dashscope"), pytest.mark.timeout(150)]

SENTENCE = "I would like to change my appointment to Friday morning."
_ROOT = Path(__file__).parents[2]
_SDKS = Path(sys.prefix) / "sdk"


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with Service() as running:
        yield running


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sentence twice, with a pause between."""
    clip, pause = render_clip(SENTENCE), np.zeros(8000, np.int16)
    resampler = Resampler(8000, 16000)
    pcm = np.concatenate((pause, clip.pcm, pause, clip.pcm, pause)).astype("<i2").tobytes()
    file = tmp_path_factory.mktemp("ears") / "twice.pcm"
    file.write_bytes(resampler.push(pcm) + resampler.flush())
    return file


def told(version: str, service: Service, sound: Path, way: str, *, key: str = KEY) -> dict[str, Any]:
    """What a user of the SDK is told."""
    paths = (_SDKS / version, _SDKS / "needs", _ROOT)
    environment = dict(os.environ) | {
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "DASHSCOPE_API_KEY": key,
        "no_proxy": "127.0.0.1",
    }
    command = [sys.executable, "-m", "tests.interop.sdk_ears", service.url, str(sound), way]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    assert "Traceback" not in run.stderr, run.stderr[-2000:]
    found = json.loads(run.stdout)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("version", SDKS)
def test_a_stream_is_told_sentence_by_sentence(version: str, service: Service, sound: Path) -> None:
    seen = told(version, service, sound, "stream")

    assert seen["kinds"] == ["open", "sentence", "sentence", "complete", "close"]
    assert all(word_errors(SENTENCE, sentence["text"]) <= 0.1 for sentence in seen["sentences"])
    assert seen["sentences"][0]["end_time"] <= seen["sentences"][1]["begin_time"]
    assert [usage["duration"] for usage in seen["usages"]] == sorted(
        usage["duration"] for usage in seen["usages"]
    )


@pytest.mark.parametrize("version", SDKS)
def test_a_file_is_told_as_a_whole(version: str, service: Service, sound: Path) -> None:
    seen = told(version, service, sound, "call")

    assert seen["status"] == 200
    assert [word_errors(SENTENCE, each["text"]) <= 0.1 for each in seen["sentences"]] == [True, True]
