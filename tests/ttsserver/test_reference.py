"""What the CosyVoice Python reference says: the embedded service, seen by a client without an SDK.

`docs/cosyvoice.md` names the test of every row; those that no file beside this one proves are here.
"""

from collections.abc import AsyncIterator

import numpy as np
import pytest
from aiohttp import ClientSession
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from bridge.media.tags import read_tags
from bridge.ttsserver.server import TOKENS_PATH, TtsServer, TtsServerSettings
from tests.fakes import ManualClock
from tests.ttsserver.client import Client, client_of
from tests.ttsserver.measure import f0_track_hz

SETTINGS = TtsServerSettings(listen=("127.0.0.1", 0), warm=False)
LATER_THAN_V1 = (
    "cosyvoice-v2",
    "cosyvoice-v3-flash",
    "cosyvoice-v3-plus",
    "cosyvoice-v3.5-flash",
    "cosyvoice-v3.5-plus",
)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with await TtsServer.start(SETTINGS) as server, client_of(server) as client:
        yield client


@pytest.mark.parametrize(
    ("text", "characters"),
    [
        ("你好", 4),
        ("中A文123", 8),
        ("中文。", 5),
        ("中 文。", 6),
        ("<speak>你好</speak>", 4),
        ("かな ハングル 한글", 10),
        ("漢字 漢字", 9),
    ],
)
async def test_characters_are_counted_as_the_examples_count_them(
    client: Client, text: str, characters: int
) -> None:
    heard = await client.say("a", text, enable_ssml=text.startswith("<"))

    assert heard.order[-1] == "task-finished"
    assert heard.last["payload"]["usage"]["characters"] == characters


async def test_a_temporary_key_lasts_for_60_seconds_if_nothing_else_is_asked_for() -> None:
    clock = ManualClock()
    settings = TtsServerSettings(listen=("127.0.0.1", 0), warm=False, api_keys=("right",))
    async with await TtsServer.start(settings, clock=clock) as server:
        host, port = server.listen
        async with (
            ClientSession() as session,
            session.post(
                f"http://{host}:{port}{TOKENS_PATH}", headers={"Authorization": "Bearer right"}
            ) as answer,
        ):
            lent = {"Authorization": f"Bearer {(await answer.json())['token']}"}
        clock.advance(59_999)
        async with client_of(server, additional_headers=lent) as client:
            assert (await client.say("a", "One.")).order[-1] == "task-finished"
        clock.advance(1)
        with pytest.raises(InvalidStatus, match="401"):
            await connect(server.url, additional_headers=lent)


@pytest.mark.parametrize("model", LATER_THAN_V1)
async def test_ssml_and_formulas_are_read_by_every_model_later_than_v1(client: Client, model: str) -> None:
    reading = await client.say("a", "二加三等于五", model=model)

    formula = await client.say("b", "$2+3=5$", model=model)
    marked = await client.say("c", "<speak>二加三等于五</speak>", model=model, enable_ssml=True)

    assert formula.sound == marked.sound == reading.sound != b""


async def test_v1_reads_no_formula_and_takes_no_ssml(client: Client) -> None:
    formula = await client.say("a", "$2+3=5$", model="cosyvoice-v1")
    reading = await client.say("b", "二加三等于五", model="cosyvoice-v1")
    marked = await client.say("c", "<speak>One.</speak>", model="cosyvoice-v1", enable_ssml=True)

    assert formula.order[-1] == "task-finished"
    assert formula.sound != reading.sound
    assert marked.message == "SSML text is not supported at the moment!"


async def test_a_cancel_is_obeyed_by_every_model(client: Client) -> None:
    for model in ("cosyvoice-v1", *LATER_THAN_V1):
        await client.run(model, model=model)
        await client.text(model, "A long sentence that nobody hears to its end. " * 20)
        await client.hear(until=("sound",))

        await client.cancel(model)

        assert (await client.hear()).order[-1] == "task-finished"
    assert await client.silence(0.1) == []


async def test_a_flush_is_obeyed_by_every_model(client: Client) -> None:
    for model in ("cosyvoice-v1", *LATER_THAN_V1):
        await client.run(model, model=model)
        await client.text(model, "Half a sen")

        await client.flush(model)

        heard = await client.hear(until=("sentence-end", "task-failed"))
        assert heard.ends()[0]["original_text"] == "Half a sen"
        await client.finish(model)
        assert (await client.hear()).order == ["task-finished"]


@pytest.mark.parametrize("voice", ["cosyvoice-v3-flash-shop-1f2e3d", "cosyvoice-v3-flash-vd-shop-1f2e3d"])
async def test_the_name_of_a_cloned_or_designed_voice_is_taken_and_spoken_for(
    client: Client, voice: str
) -> None:
    heard = await client.say("a", "Hello.", voice=voice)
    foreign = await client.say("b", "Hello.", voice=voice, model="cosyvoice-v3-plus")

    assert heard.order[-1] == "task-finished"
    assert heard.sound
    assert foreign.message == "[tts:]Engine return error code: 418"


async def test_messages_sent_before_the_task_has_started_wait_their_turn(client: Client) -> None:
    # All three are written before anything is read.
    await client.run("a")
    await client.text("a", "One.")
    await client.finish("a")

    heard = await client.hear()

    assert heard.order[0] == "task-started"
    assert [end["original_text"] for end in heard.ends()] == ["One."]


@pytest.mark.parametrize(
    ("container", "follows"), [("pcm", False), ("wav", False), ("mp3", False), ("opus", True)]
)
async def test_only_ogg_ends_with_a_frame_behind_the_last_sentence(
    client: Client, container: str, follows: bool
) -> None:
    heard = await client.say("a", "One.", format=container, sample_rate=16000)

    end = len(heard.order) - heard.order[::-1].index("sentence-end")
    assert ("sound" in heard.order[end:]) is follows
    assert heard.order[-1] == "task-finished"


async def test_the_attributes_of_speak_override_the_request(client: Client) -> None:
    asked = await client.say("a", "Hello.", voice="longanyang", rate=1.5, pitch=0.8, volume=30)

    told = await client.say(
        "b",
        '<speak voice="longanyang" rate="1.5" pitch="0.8" volume="30">Hello.</speak>',
        enable_ssml=True,
        volume=90,
    )

    assert told.order[-1] == "task-finished"
    assert told.sound == asked.sound


async def test_lolita_is_a_higher_voice(client: Client) -> None:
    pitch_hz = {}
    for name, attribute in (("plain", ""), ("lolita", ' effect="lolita"')):
        text = f"<speak{attribute}>We are all here, aren't we?</speak>"
        heard = await client.say(name, text, voice="longanhuan", enable_ssml=True, sample_rate=24000)
        pitch_hz[name] = np.nanmedian(f0_track_hz(np.frombuffer(heard.sound, "<i2"), 24000))

    assert pitch_hz["lolita"] / pitch_hz["plain"] == pytest.approx(1.35, rel=0.05)


@pytest.mark.parametrize(
    ("marked", "reading"),
    [
        ("<say-as interpret-as='digits'>12</say-as>", "one two"),
        ("有<say-as interpret-as='cardinal'>12</say-as>个", "有十二个"),
        ("<sub alias='one more'>1</sub>", "one more"),
    ],
)
async def test_what_an_element_is_read_as_is_what_is_heard(client: Client, marked: str, reading: str) -> None:
    heard = await client.say("a", f"<speak>{marked}</speak>", enable_ssml=True)

    assert heard.sound == (await client.say("b", reading)).sound != b""


@pytest.mark.parametrize("model", ["cosyvoice-v3.5-flash", "cosyvoice-v3.5-plus"])
async def test_v3_5_has_what_v3_flash_has_but_the_markdown_filter(client: Client, model: str) -> None:
    heard = await client.say(
        "a",
        "A cat.",
        model=model,
        format="wav",
        sample_rate=16000,
        enable_aigc_tag=True,
        hot_fix={"replace": [{"cat": "elephant"}]},
    )
    filtered = await client.say("b", "A cat.", model=model, enable_markdown_filter=True)

    assert heard.order[-1] == "task-finished"
    assert read_tags(heard.sound, "wav")
    assert "'enable_markdown_filter' is not supported" in filtered.message


async def test_chinese_words_have_their_times_and_the_sounds_they_are_given(client: Client) -> None:
    usual = await client.say("a", "天气。", voice="longanyang", word_timestamp_enabled=True)
    fix = {"pronunciation": [{"天气": "tian2 qi1"}]}

    fixed = await client.say("b", "天气。", voice="longanyang", word_timestamp_enabled=True, hot_fix=fix)

    for heard in (usual, fixed):
        words = heard.ends()[0]["sentence"]["words"]
        assert "".join(word["text"] for word in words) == "天气"
        assert all(word["begin_time"] < word["end_time"] for word in words)
    assert usual.sound != fixed.sound


async def test_another_seed_is_another_take_of_the_chinese_voice(client: Client) -> None:
    first, again, other = [
        (await client.say(name, "好。", voice="longanyang", seed=seed)).sound
        for name, seed in (("a", 7), ("b", 7), ("c", 8))
    ]

    assert first == again != other


async def test_a_text_in_two_scripts_is_spoken_by_two_voices(client: Client) -> None:
    heard = await client.say("a", "Hello 你好", voice="longanyang", word_timestamp_enabled=True)
    alone = [await client.say(text, text, voice="longanyang") for text in ("Hello", "你好")]

    words = heard.ends()[0]["sentence"]["words"]
    assert "".join(word["text"] for word in words) == "Hello你好"
    lasts = [len(each.sound) for each in (heard, *alone)]
    assert lasts[0] == pytest.approx(lasts[1] + lasts[2], rel=0.05)
