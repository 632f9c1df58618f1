from contextlib import AsyncExitStack
from importlib.util import find_spec

import pytest
from pydantic import SecretStr

from bridge.app.config import CLOUD_URL, Config, embedded_url, load
from bridge.app.doctor import Grade, ears_check
from bridge.app.ears import EarsMeter, ears_settings, is_embedded, open_ears
from bridge.app.metrics import Metrics
from bridge.errors import ConfigError
from bridge.ttsserver.whisper import EXTRA, is_installed

OWN = embedded_url(("127.0.0.1", 8090))
KEY = {"DASHSCOPE_API_KEY": "sk-cloud"}


def config(*sets: str, environ: dict[str, str] | None = None) -> Config:
    return load(sets=["ears.enabled=true", *sets], environ=environ or {})


def key_of(config: Config) -> str:
    return ears_settings(config).api_key


def test_nobody_listens_unless_asked_to() -> None:
    assert load(environ={}).ears.enabled is False


def test_who_speaks_also_understands() -> None:
    assert config().ears.url == OWN
    assert is_embedded(config())
    cloud = config(environ=KEY)
    assert (cloud.ears.url, key_of(cloud)) == (cloud.tts.url, "sk-cloud")
    own = config("tts.url=ws://voice.example/x", "tts.api_key=secret")
    assert (own.ears.url, key_of(own)) == ("ws://voice.example/x", "secret")


def test_one_service_may_speak_and_another_understand() -> None:
    local = config("ears.url=embedded", environ=KEY)
    cloud = config("ears.url=cloud", "tts.url=embedded", environ=KEY)

    assert (local.ears.url, key_of(local)) == (OWN, "")
    assert (cloud.tts.url, cloud.ears.url, key_of(cloud)) == (OWN, CLOUD_URL, "sk-cloud")


def test_a_key_is_shown_to_nobody_else() -> None:
    other = "ears.url=ws://ears.example/x"

    assert key_of(config(other, environ=KEY)) == ""
    assert key_of(config(other, "ears.api_key=theirs", environ=KEY)) == "theirs"
    assert key_of(config("ears.url=embedded", "ears.api_key=theirs")) == ""


def test_the_workspace_is_the_clouds_business() -> None:
    workspace = "tts.workspace=ws-1"

    assert ears_settings(config(workspace)).headers == {}
    assert list(ears_settings(config(workspace, environ=KEY)).headers.values()) == ["ws-1"]


def test_where_the_embedded_service_really_listens_is_where_it_is_asked() -> None:
    chosen = config("tts_server.listen=127.0.0.1:0")
    real = embedded_url(("127.0.0.1", 4711))

    assert ears_settings(chosen, embedded=real).url == real
    assert ears_settings(config(environ=KEY), embedded=real).url == CLOUD_URL


@pytest.mark.parametrize(
    ("assignment", "told"),
    [
        ("ears.url=http://x", "ears.url"),
        ("ears.sample_rate_hz=44100", "ears.sample_rate_hz"),
        ("ears.language=en us", "ears.language"),
        ("ears.max_at_once=0", "ears.max_at_once"),
        ("ears.recogniser=whisper", "there is no key ears.recogniser"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_name(assignment: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        config(assignment)


def test_keys_do_not_show() -> None:
    chosen = config("ears.url=ws://x/y", "ears.api_key=theirs")

    assert chosen.ears.api_key == SecretStr("theirs")
    assert "theirs" not in repr(chosen)
    assert "theirs" not in repr(ears_settings(chosen))


async def test_nothing_is_opened_for_who_does_not_want_to_understand() -> None:
    async with AsyncExitStack() as stack:
        assert await open_ears(load(environ={}), Metrics(), stack) is None


async def test_what_becomes_of_words_is_counted() -> None:
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        ears = await open_ears(config("ears.url=ws://127.0.0.1:9/", "ears.max_at_once=1"), metrics, stack)
        assert ears is not None
        ears.listen()
        ears.listen()
        told = metrics.scrape().decode()

    assert 'cosybridge_ears_utterances_total{outcome="dropped"} 1.0' in told


def test_a_series_is_there_before_anything_happens() -> None:
    metrics = Metrics()
    EarsMeter(metrics, {"heard": 0})

    assert 'cosybridge_ears_utterances_total{outcome="heard"} 0.0' in metrics.scrape().decode()


def test_the_doctor_says_who_understands_and_what_is_missing() -> None:
    assert ears_check(CLOUD_URL, is_local=False, is_there=False).grade is Grade.OK
    assert ears_check(OWN, is_local=True, is_there=True).grade is Grade.OK
    missing = ears_check(OWN, is_local=True, is_there=False)
    assert (missing.grade, missing.fix) == (Grade.FAIL, EXTRA)


def test_what_is_installed_is_found_without_loading_it() -> None:
    assert is_installed() is (find_spec("faster_whisper") is not None)
