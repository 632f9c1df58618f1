"""Who may answer, and how they may sound."""

from bridge.app.api.choices import Choices, choices_of
from bridge.call.agent import Call
from bridge.call.routes import Route
from bridge.ports import Voice
from tests.app.api_house import house
from tests.call.fakes import ScriptedVoice
from tests.fakes import ManualClock


async def cheerful(_call: Call) -> None: ...


def test_numbers_are_told_where_a_route_has_one() -> None:
    sales = Route(to="sales", agent=cheerful, voice=Voice("cosyvoice-v2", "longwan_v2", "zh"))
    routes = [sales, Route(to="1??"), Route(to="*"), Route(to="never")]

    told = choices_of(routes, to="hello")

    assert [(route.to, route.number, route.agent) for route in told.routes] == [
        ("sales", "sales", "cheerful"),
        ("1??", None, "default"),
        ("*", "hello", "default"),
        ("never", None, "default"),  # an earlier one takes its number
    ]
    assert (told.routes[0].model, told.routes[0].voice, told.routes[0].language) == (
        "cosyvoice-v2",
        "longwan_v2",
        "zh",
    )


def test_a_number_for_ourselves_alone_is_not_told() -> None:
    own = Route(to="self-1234", synthesizer=ScriptedVoice(ManualClock()))

    assert [route.to for route in choices_of([own, Route()], to="hello").routes] == ["*"]


def test_voices_are_told_by_the_model_that_has_them() -> None:
    models = {model.name: {voice.name for voice in model.voices} for model in choices_of([], to="x").models}

    assert "longanyang" in models["cosyvoice-v3-flash"]
    assert "longanyang" not in models["cosyvoice-v1"]
    assert "cosyvoice-v3.5-plus" not in models  # it has only voices that somebody made


async def test_the_api_tells_them() -> None:
    async with house() as served:
        status, told = await served.ask("GET", "/api/choices")

    assert status == 200
    assert Choices(**told).to == "hello"
