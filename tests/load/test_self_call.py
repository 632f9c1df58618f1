import pytest

from bridge.errors import SetupError
from bridge.load.self_call import SelfCall, self_call
from tests.load.robot import Robot


async def test_a_line_that_works_is_proved_by_one_call() -> None:
    async with Robot() as robot:
        proof = await self_call(robot.target)

    assert proof.first_audio_ms > 0
    assert proof.mute_ms is not None
    assert str(proof).startswith("first sound ")
    assert "silent" in str(proof)


async def test_a_line_that_refuses_is_named() -> None:
    async with Robot(status=404) as robot:
        with pytest.raises(SetupError, match="404"):
            await self_call(robot.target)


def test_an_agent_that_cannot_be_interrupted_is_no_fault() -> None:
    assert str(SelfCall(80.4, None)) == "first sound 80 ms after the answer; not interrupted"
