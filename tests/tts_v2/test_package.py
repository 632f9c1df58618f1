import subprocess
import sys

import pytest

import bridge.tts_v2 as package


def test_one_import_line_brings_what_the_sdk_brings_and_its_errors() -> None:
    names: dict[str, object] = {}

    exec("from bridge.tts_v2 import *", names)  # noqa: S102  the line users write

    assert {
        "SpeechSynthesizer",
        "ResultCallback",
        "AudioFormat",
        "SpeechSynthesizerObjectPool",
    } <= names.keys()
    assert {"HotFix", "InputRequired", "ModelRequired", "InvalidTask", "RequestFailure"} <= names.keys()


def test_every_name_it_promises_is_there() -> None:
    assert all(getattr(package, name).__name__ == name for name in package.__all__)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'VoiceEnrollmentService'"):
        package.VoiceEnrollmentService  # noqa: B018


def test_the_package_loads_nothing_before_it_is_used() -> None:
    script = "import sys, bridge.tts_v2; print('aiohttp' in sys.modules)"

    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "False\n"
