import pytest

from bridge.call.agent import Call
from bridge.call.guide import guide
from bridge.call.routes import Route, choose
from bridge.errors import ConfigError


async def sales(call: Call) -> None:
    await call.say("Sales.")


def test_the_first_pattern_that_fits_takes_the_call() -> None:
    routes = [Route(to="1??"), Route(to="+49*"), Route(to="*", greeting="hi")]

    assert choose(routes, "123") is routes[0]
    assert choose(routes, "+4930") is routes[1]
    assert choose(routes, "anything") is routes[2]


def test_a_number_without_a_route_has_no_agent() -> None:
    assert choose([Route(to="100")], "101") is None


def test_an_agent_is_named_by_its_import_path() -> None:
    assert Route(agent="tests.call.test_routes:sales").run is sales
    assert Route().run is guide
    assert Route(agent=sales).run is sales


@pytest.mark.parametrize("name", ["nowhere:agent", "tests.call.test_routes:nobody", "justaname", ":x"])
def test_an_agent_that_cannot_be_loaded_is_refused_with_the_form_to_use(name: str) -> None:
    with pytest.raises(ConfigError, match=r"package\.module:function"):
        _ = Route(agent=name).run
