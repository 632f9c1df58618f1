import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.app.config import CLOUD_URL, Config, load, load_traced
from bridge.app.trunk_settings import TrunkSection
from bridge.errors import ConfigError

SECRET = "sk-do-not-print-me"


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "my.toml"
    file.write_text(text, encoding="utf-8")
    return file


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text), environ={})
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(tmp_path) + "/", "")


def outcome(file: Path, *sets: str) -> str:
    try:
        load(file, environ={}, sets=sets)
    except ConfigError as error:
        return str(error)
    return ""


def test_nothing_at_all_is_a_complete_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)

    config = load(environ={})

    assert config.sip.listen == (("0.0.0.0", 5060),)
    assert config.tts_kind == "embedded"
    assert config.tts.url == "ws://127.0.0.1:8090/api-ws/v1/inference"
    assert [(route.to, route.agent, route.model, route.voice) for route in config.routes] == [
        ("*", "default", "cosyvoice-v3-flash", "longanyang")
    ]


def test_the_shipped_file_says_what_is_built_in() -> None:
    assert load(Path("config/bridge.toml"), environ={}) == Config().resolved()


def test_the_shipped_file_names_every_setting(tmp_path: Path) -> None:
    from bridge.app.schema import leaves

    # Tables that are not there at first stand behind a # without a space; what they say must be right, too.
    text = re.sub(
        r"^#(?=[a-z\[])", "", Path("config/bridge.toml").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    text = text.replace('user = "lena"', 'user = "lena"\npassword = "long enough"')
    text = text.rpartition('password = ""')[0]
    loaded = load_traced(written(tmp_path, text), environ={})

    named = {tuple(part for part in path if isinstance(part, str)) for path in loaded.origins}
    assert set(leaves()) <= named
    assert loaded.config.trunks == (TrunkSection(name="carrier", server=("sip.example.org", None)),)


def test_the_file_for_production_is_right() -> None:
    config = load(Path("config/production.toml"), environ={"DASHSCOPE_API_KEY": SECRET})

    assert config.tts_kind == "cloud"
    assert not config.start.self_call


def test_a_file_in_the_working_directory_is_read_without_being_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bridge.toml").write_text("[call]\ndrain_s = 7\n")

    assert load(environ={}).call.drain_s == 7
    assert load(written(tmp_path, ""), environ={}).call.drain_s == 30


def test_the_command_line_beats_the_environment_and_that_beats_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, '[sip]\nanswer_after_ms = 1\nmax_calls = 1\nuser_agent = "file"\n')
    environ = {"COSYBRIDGE_SIP__ANSWER_AFTER_MS": "2", "COSYBRIDGE_SIP__MAX_CALLS": "2"}

    loaded = load_traced(file, environ=environ, sets=["sip.max_calls=3"])

    sip = loaded.config.sip
    assert (sip.user_agent, sip.answer_after_ms, sip.max_calls) == ("file", 2, 3)
    assert loaded.origins["sip", "user_agent"] == f"{file}:4"
    assert loaded.origins["sip", "answer_after_ms"] == "COSYBRIDGE_SIP__ANSWER_AFTER_MS"
    assert loaded.origins["sip", "max_calls"] == "--set"


def test_text_becomes_what_the_setting_is() -> None:
    config = load(
        environ={"COSYBRIDGE_SIP__ALLOW": "10.1.0.0/16, 192.0.2.7"},
        sets=[
            "recording.enabled=yes",
            "http.token=12345678",
            "media.ports=20000-20010",
            "bargein.budget_ms.mute=99",
        ],
    )

    assert config.sip.allow == ("10.1.0.0/16", "192.0.2.7/32")
    assert config.recording.enabled is True
    assert config.http.token is not None
    assert config.http.token.get_secret_value() == "12345678"
    assert config.media.ports == (20000, 20010)
    assert config.bargein.budget_ms.mute == 99


def test_a_value_may_hold_an_equals_sign() -> None:
    assert load(environ={}, sets=["routes.0.greeting=1 + 1 = 2"]).routes[0].greeting == "1 + 1 = 2"


def test_the_shipped_route_can_be_changed_and_another_added() -> None:
    config = load(environ={}, sets=["routes.0.to=1*", "routes.1.to=2*", "routes.1.agent=shop.phone:agent"])

    assert [(route.to, route.agent) for route in config.routes] == [
        ("1*", "default"),
        ("2*", "shop.phone:agent"),
    ]


def test_a_route_without_a_voice_speaks_with_the_voice_of_all(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        '[tts]\nvoice = "longxiaochun_v3"\n[[routes]]\nto = "1"\nvoice = "x"\n[[routes]]\nto = "2"\n',
    )

    assert [route.voice for route in load(file, environ={}).routes] == ["x", "longxiaochun_v3"]


def test_settings_do_not_change_once_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(environ={}).sip.max_calls = 3


@pytest.mark.parametrize("environ", [{"DASHSCOPE_API_KEY": SECRET}, {"COSYBRIDGE_TTS__API_KEY": SECRET}])
def test_a_key_alone_picks_the_cloud(environ: dict[str, str]) -> None:
    config = load(environ=environ)

    assert config.tts_kind == "cloud"
    assert config.tts.url == CLOUD_URL
    assert config.tts.api_key is not None
    assert config.tts.api_key.get_secret_value() == SECRET


def test_the_key_of_the_settings_comes_before_that_of_the_environment(tmp_path: Path) -> None:
    config = load(written(tmp_path, '[tts]\napi_key = "mine"\n'), environ={"DASHSCOPE_API_KEY": SECRET})

    assert config.tts.api_key is not None
    assert config.tts.api_key.get_secret_value() == "mine"


def test_the_embedded_service_never_sees_the_key_of_the_cloud() -> None:
    config = load(environ={"DASHSCOPE_API_KEY": SECRET}, sets=["tts.url=embedded"])

    assert config.tts_kind == "embedded"
    assert config.tts.api_key is None


def test_the_embedded_service_is_given_the_key_that_it_asks_for() -> None:
    config = load(environ={}, sets=["tts_server.api_keys=first,second"])

    assert config.tts.api_key is not None
    assert config.tts.api_key.get_secret_value() == "first"


def test_a_service_of_ones_own_is_used_as_it_is() -> None:
    config = load(environ={}, sets=["tts.url=ws://10.0.0.9:9000/x"])

    assert (config.tts_kind, config.tts.url, config.tts.api_key) == ("custom", "ws://10.0.0.9:9000/x", None)


def test_no_secret_is_shown_by_the_settings() -> None:
    config = load(
        environ={
            "DASHSCOPE_API_KEY": SECRET,
            "COSYBRIDGE_HTTP__TOKEN": SECRET,
            "COSYBRIDGE_TTS_SERVER__API_KEYS": SECRET,
        }
    )

    assert SECRET not in f"{config!r} {config} {config.model_dump()} {config.model_dump_json()}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[sip]\nlisen = "a"', "my.toml:2: there is no key sip.lisen; did you mean sip.listen?"),
        ("[sipp]\n", "my.toml:1: there is no section sipp; did you mean sip?"),
        (
            'x = 1\n[sip]\nlisten = "a:1"',
            "my.toml:1: there is no section x; a settings file takes sip, http,",
        ),
        (
            "[bargein]\nmute = 3",
            "my.toml:2: there is no key bargein.mute; did you mean bargein.budget_ms.mute?",
        ),
        ("[call]\nzzz = 3", "my.toml:2: there is no key call.zzz; [call] takes max_duration_s, drain_s"),
        ("[call]\ndrain_s = 1\n\n[call.more]\na = 1", "my.toml:4: there is no key call.more; "),
        (
            '[[routes]]\n[[routes]]\nagnt = "x"',
            "my.toml:3: there is no key routes.1.agnt; did you mean routes.1.agent?",
        ),
        ('[routes]\nto = "*"', "my.toml:2: routes is a list of tables; write [[routes]]"),
        ("sip = 5", "my.toml:1: sip = 5: must be a table [sip] with listen, allow,"),
        ("routes = 5", "my.toml:1: routes = 5: must be a list of tables [[routes]]"),
        ("routes = []", "my.toml:1: routes = []: without a route no call would be answered"),
        ("[sip]\nmax_calls = 0", "my.toml:2: sip.max_calls = 0: must be a whole number from 1 to 100000"),
        ("[sip]\nmax_calls = 1.5", "my.toml:2: sip.max_calls = 1.5: must be a whole number from 1 to 100000"),
        ('[sip]\nmax_calls = "9"', 'my.toml:2: sip.max_calls = "9": must be a whole number from 1 to 100000'),
        (
            "[sip]\nmax_calls = true",
            "my.toml:2: sip.max_calls = true: must be a whole number from 1 to 100000",
        ),
        ("[recording]\nenabled = 1", "my.toml:2: recording.enabled = 1: must be true or false"),
        (
            '[log]\nlevel = "loud"',
            'my.toml:2: log.level = "loud": must be one of "debug", "info", "warning", "error"',
        ),
        ("[tts]\nvoice = 3", "my.toml:2: tts.voice = 3: must be text in quotes that is not empty"),
        (
            "[sip]\nlisten = 5060",
            'my.toml:2: sip.listen = 5060: must be "address:port", for instance "0.0.0.0:5060"',
        ),
        (
            '[sip]\nlisten = "::1:5060"',
            '"::1:5060": "::1" must be in brackets, "[::1]:5060", if it is an IPv6 address',
        ),
        (
            '[sip]\nlisten = ["[::1]:5060", "[::]:5061"]',
            "must have at most one IPv4 and one IPv6 address",
        ),
        ('[sip]\nlisten = "[::g]:5060"', '"::g" must be an IPv6 address'),
        ('[sip]\nlisten = "[::ffff:1.2.3.4]:5060"', "not an IPv4 one in its form"),
        ('[sip]\nlisten = ""', "must be a list"),
        ('[sip]\nadvertised_ip6 = "::"', "must be an address that peers can reach, which :: is not"),
        ("[sip]\nadvertised_ip6 = 6", 'must be an IPv6 address in quotes, or "" for none'),
        ('[media]\nbind_ip6 = "0.0.0.0"', '"0.0.0.0" must be an IPv6 address'),
        ('[sip]\nlisten = "1.2.3.4:70000"', "the port must be from 0 (any free one) to 65535"),
        (
            '[sip]\nallow = ["10.0.0.5/8"]',
            '"10.0.0.5/8" names a host inside a network; write 10.0.0.0/8 or 10.0.0.5',
        ),
        (
            '[sip]\nallow = ["all"]',
            '"all" must be a network such as 10.0.0.0/8 or 2001:db8::/32, or one address',
        ),
        ("[sip]\nallow = [1]", "sip.allow = [1]: must be a list of texts"),
        ('[sip]\ndns_servers = ["dns.example"]', '"dns.example" must be an address such as 192.0.2.53'),
        ('[sip]\ndns_servers = ["192.0.2.53:0"]', '"192.0.2.53:0" must be an address'),
        ('[sip]\ndns_servers = ["192.0.2.53:x"]', '"192.0.2.53:x" must be an address'),
        ('[sip]\nadvertised_ip = "0.0.0.0"', "must be an address that peers can reach, which 0.0.0.0 is not"),
        ("[sip]\nadvertised_ip = 1", 'must be an IPv4 address in quotes, or "" for none'),
        ('[media]\nports = "1-2"', "must rise and lie from 1024 to 65535"),
        ('[media]\nports = "20001-20001"', "must hold at least one even port"),
        ('[media]\nports = ["a", 2]', 'must be "first-last", for instance "16384-20479"'),
        ("[http]\nhosts = 3", "http.hosts = 3: must be a list of texts"),
        (
            '[tts]\nurl = "http://x"',
            'must be "embedded", "cloud", or an address that starts with ws:// or wss://',
        ),
        (
            '[[routes]]\nagent = "a b"',
            'my.toml:2: routes.0.agent = "a b": must be "default" or "package.module:func',
        ),
        ('[[routes]]\nto = ""', 'routes.0.to = "": must be a pattern without spaces such as "*" or "1*"'),
        ('[tts_server]\nfaults = ["storm"]', "no fault is called 'storm'; there are refuse, "),
        ("[call]\ndrain_s = -1\nmax_duration_s = 0", "(and 1 more to fix)"),
        (
            "[sip]\nlisten = 0.0.0.0:5060",
            "my.toml:2: not valid TOML: Expected newline or end of document after",
        ),
        ("[sip]\nlisten = abc", "my.toml:2: not valid TOML: Invalid value at column 10; text needs quotes"),
        ('[sip]\n\nlisten = """\n', "my.toml:3: not valid TOML: Unterminated string"),
        ("[sip]\nmax_calls = 1\nmax_calls = 2", "my.toml:3: not valid TOML: Cannot overwrite a value"),
        (
            '[http]\nlisten = "127.0.0.1:8090"',
            "my.toml:2: http.listen and tts_server.listen both name port 8090",
        ),
        (
            '[media]\nports = "5000-6000"',
            "my.toml:2: port 5060 of sip.listen is one of media.ports 5000-6000",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_what_would_be_right(
    tmp_path: Path, text: str, message: str
) -> None:
    assert message in refusal(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        f'[tts]\napikey = "{SECRET}"',
        f'[tts]\napi_key = ["{SECRET}"]',
        f'[http]\ntoken = "{SECRET} "',
        f'[tts_server]\napi_keys = [["{SECRET}"]]',
        f'[tts]\nurl = "wss://me:{SECRET}@example.org/"',
        f"[tts]\napi_key = {SECRET}",
        f'tts = "{SECRET}"\ntts = 2',
    ],
)
def test_no_secret_gets_into_a_refusal(tmp_path: Path, text: str) -> None:
    assert SECRET not in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "COSYBRIDGE_SIP_LISTEN",
            "write COSYBRIDGE_SIP__LISTEN, with two underscores between section and key",
        ),
        ("COSYBRIDGE_TTS_SERVER", "tts_server is a section; name one of its keys"),
        (
            "COSYBRIDGE_CONFIG",
            "no such setting; write COSYBRIDGE_SECTION__KEY, for instance COSYBRIDGE_SIP__LISTEN",
        ),
        ("COSYBRIDGE_SIP__LISTN", "there is no key sip.listn; did you mean sip.listen?"),
        ("COSYBRIDGE_ROUTES__X__TO", "there is no key routes.x.to"),
        ("COSYBRIDGE_SIP__0", "there is no key sip.0"),
        ("COSYBRIDGE_SIP__MAX_CALLS", 'sip.max_calls = "x": must be a whole number from 1 to 100000'),
    ],
)
def test_a_wrong_variable_is_named(name: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(environ={name: "x"})

    assert str(caught.value).startswith(f"{name}: {message}")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("sip.listen", "--set sip.listen: write it as section.key=value"),
        ("sip=1", "--set: sip is a section; name one of its keys"),
        ("sip.listn=1", "--set: there is no key sip.listn; did you mean sip.listen?"),
        ("=1", "--set: there is no section ; a settings file takes"),
        ("routes.3.to=1", "--set: there are only 1 routes; the next is 1"),
        ("call.drain_s=long", '--set: call.drain_s = "long": must be a whole number from 0 to 86400'),
        ("recording.enabled=perhaps", '--set: recording.enabled = "perhaps": must be true or false'),
        ("http.listen=127.0.0.1:8090", "--set: http.listen and tts_server.listen both name port 8090"),
    ],
)
def test_a_wrong_assignment_is_named(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(environ={}, sets=[assignment])

    assert str(caught.value).startswith(message)


def test_a_plain_value_where_a_section_belongs_is_named_even_when_overridden(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"my.toml:1: sip = 5: must be a table"):
        load(written(tmp_path, "sip = 5"), environ={}, sets=["sip.max_calls=3"])


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"cannot read the settings file .*gone\.toml: No such file or directory"
    ):
        load(tmp_path / "gone.toml", environ={})


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory"):
        load(tmp_path, environ={})


def test_a_file_in_another_encoding_is_refused_by_line(tmp_path: Path) -> None:
    file = tmp_path / "latin.toml"
    file.write_bytes(b"# one\n# two\n# gr\xfc\xdfe\n")

    with pytest.raises(ConfigError, match=r"latin\.toml:3: not UTF-8 text"):
        load(file, environ={})


def test_a_file_saved_by_a_windows_editor_is_read(tmp_path: Path) -> None:
    file = tmp_path / "bom.toml"
    file.write_bytes(b"\xef\xbb\xbf[call]\r\ndrain_s = 7\r\n")

    assert load(file, environ={}).call.drain_s == 7


def test_what_is_far_too_large_is_no_settings_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="larger than"):
        load(written(tmp_path, "#" * 1_000_001), environ={})


def test_what_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    assert "nested too deep" in refusal(tmp_path, "a = " + "[" * 5000 + "]" * 5000)


KEYS = st.sampled_from(
    ["sip.listen", "sip.allow", "media.ports", "tts.url", "routes.0.to", "http.token", "call.drain_s"]
)


@given(KEYS, st.text(max_size=30))
def test_any_text_is_taken_or_refused_in_one_line(key: str, text: str) -> None:
    assert "\n" not in outcome(Path("config/bridge.toml"), f"{key}={text}")


@given(st.binary(max_size=60))
def test_any_file_is_taken_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    file = tmp_path_factory.mktemp("law") / "x.toml"
    file.write_bytes(data)

    assert "\n" not in outcome(file)


def test_a_key_that_would_break_the_line_is_escaped(tmp_path: Path) -> None:
    assert r"there is no key sip.a\nb\x1b[2J" in refusal(tmp_path, '[sip]\n"a\\nb\\u001b[2J" = 1')
