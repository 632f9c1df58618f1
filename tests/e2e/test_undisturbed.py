"""A test is repeated for what others did, and never for what we do."""

import pytest

from tests.e2e.undisturbed import undisturbed


class Failing:
    """Fails so many times."""

    def __init__(self, times: int, error: Exception | None = None) -> None:
        self.runs = 0
        self._times = times
        self._error = error or AssertionError("too late")

    def run(self, *, cores: float) -> None:
        def test() -> None:
            self._count()

        undisturbed(test, others=lambda: lambda: cores)()

    async def run_on_a_loop(self, *, cores: float) -> None:
        async def test() -> None:
            self._count()

        await undisturbed(test, others=lambda: lambda: cores)()

    def _count(self) -> None:
        self.runs += 1
        if self.runs <= self._times:
            raise self._error


async def test_what_fails_on_a_busy_machine_gets_another_chance() -> None:
    for times in (0, 1, 2):
        failing, on_a_loop = Failing(times), Failing(times)
        failing.run(cores=1.5)
        await on_a_loop.run_on_a_loop(cores=1.5)
        assert failing.runs == on_a_loop.runs == times + 1


async def test_what_always_fails_fails() -> None:
    failing, on_a_loop = Failing(9), Failing(9)

    with pytest.raises(AssertionError, match="too late"):
        failing.run(cores=1.5)
    with pytest.raises(AssertionError, match="too late"):
        await on_a_loop.run_on_a_loop(cores=1.5)

    assert failing.runs == on_a_loop.runs == 3


@pytest.mark.parametrize(("cores", "error"), [(0.1, None), (1.5, ValueError("no matter of time"))])
async def test_what_fails_by_itself_fails_at_once(cores: float, error: Exception | None) -> None:
    failing, on_a_loop = Failing(1, error), Failing(1, error)

    with pytest.raises((AssertionError, ValueError)):
        failing.run(cores=cores)
    with pytest.raises((AssertionError, ValueError)):
        await on_a_loop.run_on_a_loop(cores=cores)

    assert failing.runs == on_a_loop.runs == 1
