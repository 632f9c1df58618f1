"""The official SDK against the embedded service, version by version; and our facade in its place.

One script does everything that the reference describes and tells what its user could see (`sdk_script.py`).
"""

import io
from collections.abc import Mapping
from typing import Any

import av
import pytest

from tests.interop.sdk_expected import (
    DIFFERENCES,
    FACADE,
    FORMATS,
    PARAMETERS,
    SCENARIOS_OF,
    SDKS,
    Format,
    expected,
)
from tests.interop.sdk_stage import digest

pytestmark = [pytest.mark.interop("dashscope"), pytest.mark.timeout(150)]

NEWEST = SDKS[0]
OWN_RULES = {"names", "formats"}
"""Scenarios with a test of their own below."""

SDK_CASES = [
    pytest.param(version, scenario, id=f"{version}-{scenario}")
    for version in SDKS
    for scenario in SCENARIOS_OF[version]
    if scenario not in OWN_RULES
]
INTERNAL = {
    "SpeechSynthesizer": {"on_message", "on_error", "on_close"},
    "SpeechSynthesizerObjectPool": {"PoolObject"},
}
"""Public by their spelling alone: handlers of the SDK's socket library."""

CODECS = {"pcm": "pcm_s16le", "wav": "pcm_s16le", "mp3": "mp3", "Default": "mp3", "opus": "opus"}


@pytest.mark.parametrize(("version", "scenario"), SDK_CASES)
def test_a_user_of_the_sdk_sees_what_the_cloud_would_show(
    version: str, scenario: str, seen: Mapping[str, Any], spoken: Mapping[str, Any]
) -> None:
    assert seen[version][scenario] == expected(scenario, version, spoken)


@pytest.mark.parametrize("scenario", [each for each in SCENARIOS_OF[FACADE] if each not in OWN_RULES])
def test_the_same_script_sees_the_same_with_the_import_line_changed(
    scenario: str, seen: Mapping[str, Any]
) -> None:
    assert seen[FACADE][scenario] == seen[NEWEST][scenario] | DIFFERENCES.get(scenario, {})


@pytest.mark.parametrize("subject", [*SDKS, FACADE])
@pytest.mark.parametrize("format", FORMATS, ids=lambda each: each.name)
def test_every_format_arrives_as_the_service_sent_it(
    subject: str, format: Format, seen: Mapping[str, Any], plain_formats: Mapping[str, bytes]
) -> None:
    assert seen[subject]["formats"][format.name] == {"returned": digest(plain_formats[format.name])}


@pytest.mark.parametrize("format", FORMATS, ids=lambda each: each.name)
def test_every_format_is_what_its_name_says(format: Format, plain_formats: Mapping[str, bytes]) -> None:
    # Raw samples do not tell what they are.
    kind = "s16le" if format.container == "pcm" else None
    options = {"sample_rate": str(format.rate), "ch_layout": "mono"} if kind else {}

    with av.open(io.BytesIO(plain_formats[format.name]), "r", format=kind, options=options) as container:
        stream = container.streams.audio[0]
        samples = sum(frame.samples for frame in container.decode(stream))

    assert stream.codec_context.name.removeprefix("lib").removesuffix("float") == CODECS[format.container]
    assert stream.channels == 1
    # Opus decodes at 48 kHz whatever went in; the default is mp3 at 22050 Hz.
    rate = 48000 if format.container == "opus" else format.rate or 22050
    assert stream.rate == rate
    # "Hello there." is 0.7 s of tones and pauses; a codec adds what it needs to swing in.
    padding_s = 0.0 if CODECS[format.container].startswith("pcm") else 0.06 + 1152 / (format.rate or 22050)
    assert samples / rate == pytest.approx(0.7, abs=padding_s)


def test_every_sound_that_is_compared_was_spoken_and_every_parameter_heard(spoken: Mapping[str, Any]) -> None:
    sounds = {name: sound for name, sound in spoken.items() if name not in ("nothing", "word times")}

    assert [name for name, sound in sounds.items() if not sound["bytes"]] == []
    # A tone has no dice to seed, and one language; the type means nothing to anybody.
    unheard = [name for name in PARAMETERS if sounds[name] == sounds["marked"]]
    assert unheard == ["seed", "synthesis_type", "language_hints"]
    assert sounds["instruction"] != sounds["voice"]
    assert sounds["hot_fix"] != sounds["there"]
    assert sounds["additional"] != sounds["there"]


@pytest.mark.parametrize("version", SDKS)
def test_the_members_of_audio_format_are_the_thirty_of_the_reference(
    version: str, seen: Mapping[str, Any]
) -> None:
    wanted = {
        each.name: [
            each.container,
            each.rate,
            "mono" if each.rate else "0",
            each.kbps,
            each.container,
            each.rate,
        ]
        for each in FORMATS
    }

    told = seen[version]["names"]["formats"]

    assert {name: values[:6] for name, values in told.items()} == wanted
    assert len(told) == 30


def test_the_facade_has_every_name_and_signature_of_the_sdk(seen: Mapping[str, Any]) -> None:
    sdk, ours = seen[NEWEST]["names"], seen[FACADE]["names"]

    assert ours["formats"] == sdk["formats"]
    assert ours["callbacks"] == sdk["callbacks"]
    # Cloning a voice is an HTTP service of its own.
    assert {name for name in sdk["exports"] if not name.startswith("VoiceEnrollment")} <= set(ours["exports"])
    for kind in ("SpeechSynthesizer", "SpeechSynthesizerObjectPool", "ResultCallback"):
        for method, signature in sdk[kind].items():
            if method not in INTERNAL.get(kind, ()):
                # What the facade adds comes last, so that no position changes.
                assert ours[kind][method][: len(signature)] == signature, f"{kind}.{method}"
