"""The default agent, on a call that is played by hand."""

import asyncio
from typing import cast

from bridge.call.agent import Call
from bridge.call.guide import GOODBYE, GREETING, TOUR, guide
from bridge.call.turns import Said


class ScriptedCall:
    """Interrupts the tour once, and has a key released a moment after it was pressed."""

    greeting = ""

    def __init__(self, *, cause: str, key: str = "") -> None:
        self.spoken: list[tuple[str, str]] = []
        self._cause = cause
        self._key = key

    async def say(self, text: str, *, interruptible: str = "any") -> Said:
        self.spoken.append((text, interruptible))
        if text != TOUR:
            return Said(heard=text, unheard="", interrupted=False)
        cut = TOUR.index("What you hear") + len("What you hear ")
        return Said(heard=TOUR[:cut], unheard=TOUR[cut:], interrupted=True, cause=self._cause)

    async def digits(self, *, max_digits: int, timeout_s: float, terminator: str) -> str:
        await asyncio.sleep(0)
        if not self._key or not timeout_s:
            return ""
        key, self._key = self._key, ""
        return key

    async def quiet(self, lasting_ms: int) -> None:
        await asyncio.sleep(0)


async def texts(*, cause: str, key: str = "") -> list[str]:
    call = ScriptedCall(cause=cause, key=key)
    await guide(cast("Call", call))
    return [text for text, _ in call.spoken]


async def test_a_key_that_interrupts_is_waited_for_and_read_back_before_anything_else() -> None:
    spoken = await texts(cause="dtmf", key="7")

    assert spoken[:3] == [GREETING, TOUR, "You pressed 7."]


async def test_a_voice_that_interrupts_is_told_what_it_heard_and_the_tour_goes_on() -> None:
    spoken = await texts(cause="speech")

    assert spoken[2] == "You heard me say: What you hear. I will go on."
    assert spoken[3] == TOUR[TOUR.index("is made while I speak") :]
    assert spoken[-1] == GOODBYE


async def test_hash_and_star_have_names() -> None:
    assert "You pressed hash." in await texts(cause="dtmf", key="#")
    assert "You pressed star." in await texts(cause="dtmf", key="*")
