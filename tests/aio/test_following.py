import asyncio

import pytest

from bridge.aio.following import follow
from bridge.aio.names import Found
from bridge.errors import SetupError
from bridge.sip.flow import Address
from bridge.sip.locating import Wanted

HERE, THERE = Address("192.0.2.1", 5060), Address("192.0.2.2", 5060)


async def test_a_name_is_looked_up_again_when_its_time_is_over() -> None:
    answers = iter([Found((HERE,), 0.01), Found((THERE,), None)])
    found: list[Address] = []

    async def locate(wanted: Wanted) -> Found:
        return next(answers)

    async with asyncio.timeout(3):
        await follow(
            locate,
            Wanted("pbx.example"),
            on_found=lambda answer: found.extend(answer.targets),
            on_lost=lambda error: pytest.fail(str(error)),
            shortest_s=0.01,
        )

    assert found == [HERE, THERE]


async def test_a_name_that_leads_nowhere_is_told_and_kept_in_mind() -> None:
    lost: list[str] = []
    told = asyncio.Event()

    async def locate(wanted: Wanted) -> Found:
        raise SetupError(f"{wanted.host} is nowhere")

    def note(error: SetupError) -> None:
        lost.append(str(error))
        told.set()

    task = asyncio.create_task(
        follow(locate, Wanted("pbx.example"), on_found=lambda _: pytest.fail("found"), on_lost=note)
    )
    await told.wait()
    assert not task.done()
    task.cancel()

    assert lost == ["pbx.example is nowhere"]
