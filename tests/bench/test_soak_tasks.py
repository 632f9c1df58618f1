import pytest

from tests.bench.soak_tasks import soak

_MOST_GROWN = 150
"""A leak of one object a task would show as 300."""


@pytest.mark.timeout(60)
async def test_hundreds_of_tasks_with_random_cancels_leave_nothing_behind() -> None:
    seen = await soak(300, at_once=8, every=1000, warm_up=100)

    before, after = seen.first, seen.last
    assert after.tasks_done == 400
    assert sum(seen.outcomes.values()) == 400
    assert set(seen.outcomes) == {"heard to the end", "cancelled in mid-word", "cancelled before sound"}
    assert seen.strays == 0
    assert after.server_connections == 0
    assert after.asyncio_tasks == before.asyncio_tasks
    assert after.threads == before.threads
    assert after.files == before.files
    grown = after.objects - before.objects
    if grown >= _MOST_GROWN:
        # What other tests have left in this process comes and goes; a leak comes every time.
        again = await soak(300, at_once=8, every=1000, warm_up=100)
        grown = again.last.objects - again.first.objects
    assert grown < _MOST_GROWN
    assert after.rss_mb - before.rss_mb < 20
    assert seen.server["tasks_started"] == seen.server["tasks_finished"]
