"""Who serves a caller, and with which voice."""

from bridge.aio.browser_call import BrowserCall
from bridge.call.caller import route_for
from bridge.call.routes import Route
from bridge.ports import Voice

ROUTE = Route(to="hello", voice=Voice("cosyvoice-v3-flash", "longanyang", "en"))


def page(*, voice: str = "", model: str = "") -> BrowserCall:
    source = ("127.0.0.1", 1)
    return BrowserCall(
        "id", to_user="hello", sdp=b"v=0", source=source, local_ip=source[0], voice=voice, model=model
    )


async def test_a_page_that_asks_for_nothing_is_served_as_the_route_says() -> None:
    assert route_for([ROUTE], page()) is ROUTE
    assert route_for([Route(to="sales")], page()) is None


async def test_a_page_is_served_with_the_voice_it_asks_for() -> None:
    served = route_for([ROUTE], page(voice="longwan_v2", model="cosyvoice-v2"))

    assert served is not None
    assert served.voice == Voice("cosyvoice-v2", "longwan_v2", "en")
    assert served.agent == ROUTE.agent
