from dataclasses import replace

import pytest

from bridge.cosyvoice import limits
from bridge.cosyvoice.hearing import HearingParameters, hearing_parameters, is_hearing, run_hearing
from bridge.cosyvoice.limits import Refusal
from bridge.cosyvoice.message import RunTask, decode_action, encode_action

RUN = run_hearing("t", "paraformer-realtime-v2", sample_rate=16000, language="en")


def refused(run: RunTask) -> str:
    told = hearing_parameters(run)
    assert isinstance(told, Refusal)
    return told.message


def test_a_client_opens_a_task_that_the_service_takes() -> None:
    opened = decode_action(encode_action(RUN))

    assert isinstance(opened, RunTask)
    assert is_hearing(opened)
    assert hearing_parameters(opened) == HearingParameters(16000, ("en",))


def test_a_language_need_not_be_named() -> None:
    run = run_hearing("t", "fun-asr-realtime", sample_rate=8000)

    assert "language_hints" not in run.parameters
    assert hearing_parameters(run) == HearingParameters(8000)


def test_the_voice_is_asked_for_by_another_task() -> None:
    assert not is_hearing(RunTask("t", "cosyvoice-v3-flash"))


def test_what_is_no_recognition_is_refused_by_name() -> None:
    assert refused(replace(RUN, function="translation")) == "No such task: audio/asr/translation"
    assert hearing_parameters(replace(RUN, model="cosyvoice-v3-flash")) == limits.MODEL_NOT_FOUND


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("format", "mp3"),
        ("format", ["pcm"]),
        ("sample_rate", None),
        ("sample_rate", 7999),
        ("sample_rate", 48001),
        ("sample_rate", "16000"),
        ("language_hints", "en"),
        ("language_hints", ["en", 7]),
    ],
)
def test_a_parameter_that_cannot_be_is_refused_by_name(parameter: str, value: object) -> None:
    run = replace(RUN, parameters={**RUN.parameters, parameter: value})

    assert f"Parameter '{parameter}' must be" in refused(run)


def test_hints_are_bounded() -> None:
    run = replace(RUN, parameters={"sample_rate": 8000, "language_hints": ["e" * 99] * 99})

    assert hearing_parameters(run) == HearingParameters(8000, ("e" * 16,) * 8)
