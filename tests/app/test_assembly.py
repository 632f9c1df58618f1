"""What the voice's client is told, out of the settings."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from bridge.app.assembly import archive, browser_ip, call_settings, media_settings, tts_settings
from bridge.app.place import route_address
from bridge.app.settings import Config, MediaSection, RecordsSection, SipSection, TtsSection
from bridge.cosyvoice.client_patience import ClientPatience
from bridge.cosyvoice.endpoints import endpoint
from bridge.plane.spec import PlaneSettings
from tests.fakes import ManualClock

MS = 1_000_000


def test_the_defaults_are_the_clients_own() -> None:
    settings = tts_settings(Config(), "ws://127.0.0.1:1", None)

    assert (settings.url, settings.api_key, settings.headers) == ("ws://127.0.0.1:1", "", {})
    assert settings.patience == ClientPatience()
    assert (settings.open_timeout_s, settings.max_connections, settings.spares) == (5, 1000, 1)


def test_a_page_is_told_an_address_that_it_reaches_wherever_telephones_are_heard() -> None:
    ours = route_address()
    config = Config(sip=SipSection(listen=(("127.0.0.1", 0),)))

    assert browser_ip(config, "127.0.0.1") == ours
    assert browser_ip(config, ours) == ours  # a page of this machine that came by its name in the network
    assert browser_ip(config, "192.0.2.99") == route_address("192.0.2.99")
    assert browser_ip(Config(media=MediaSection(bind_ip="127.0.0.5")), ours) == "127.0.0.5"


def test_every_deadline_of_the_settings_is_kept() -> None:
    section = TtsSection(open_s=1, started_s=2, first_sound_s=3, sound_s=4, task_s=50, max_connections=7)

    settings = tts_settings(Config(tts=section), "ws://127.0.0.1:1", SecretStr("sk-1"))

    assert settings.api_key == "sk-1"
    assert (settings.open_timeout_s, settings.max_connections) == (1, 7)
    assert settings.patience == ClientPatience(
        started_ns=2_000 * MS, first_sound_ns=3_000 * MS, stall_ns=4_000 * MS, task_ns=50_000 * MS
    )


@pytest.mark.parametrize(
    ("url", "headers"),
    [(endpoint(), {"X-DashScope-WorkSpace": "ws-1"}), ("ws://127.0.0.1:1", {})],
)
def test_the_workspace_is_named_to_the_cloud_alone(url: str, headers: dict[str, str]) -> None:
    config = Config(tts=TtsSection(workspace="ws-1"))

    assert tts_settings(config, url, None).headers == headers


def test_the_media_process_is_told_where_to_listen_for_keys_in_the_sound() -> None:
    told = media_settings(Config(media=MediaSection(inband_digits="always")))

    assert told.plane == PlaneSettings(inband_digits="always")
    assert media_settings(Config()).plane == PlaneSettings()


def test_calls_are_told_whether_they_may_speak_of_comfort_noise() -> None:
    assert call_settings(Config(media=MediaSection(comfort_noise=True))).comfort_noise
    assert not call_settings(Config()).comfort_noise


async def test_records_go_where_the_settings_say(tmp_path: Path) -> None:
    path = tmp_path / "here.sqlite"
    config = Config(records=RecordsSection(path=str(path), numbers=True))

    records = archive(config, ManualClock())

    assert records is not None
    assert await records.latest(1) == []
    assert path.exists()
    assert call_settings(config).keeps_numbers
    await records.close()


def test_records_may_be_left_out() -> None:
    assert archive(Config(records=RecordsSection(enabled=False)), ManualClock()) is None
