"""Tasks are counted by who owns them, and owners of whom there are many make one series."""

import asyncio

import pytest

from bridge.aio.tasks import Tasks
from bridge.app.metrics import Metrics
from bridge.app.task_meter import TaskMeter, owner_of


@pytest.mark.parametrize(
    ("task", "owner"),
    [
        ("sip:receive", "sip"),
        ("browser calls:browser 6f1c", "browser calls"),
        ("call 6f1c:watch", "call"),
        ("orders 6f1c:say", "orders"),
        ("registrar a:b:keep", "registrar"),
        ("Task-17", "other"),
        ("", "other"),
    ],
)
def test_an_owner_is_known_by_the_name_of_its_task(task: str, owner: str) -> None:
    assert owner_of(task) == owner


async def test_what_runs_is_counted_and_what_ended_is_not() -> None:
    metrics = Metrics()
    TaskMeter(metrics)

    async with Tasks("call 1") as one, Tasks("call 2") as two:
        for tasks in (one, one, two):
            tasks.start(asyncio.Event().wait(), name="watch")
        during = metrics.scrape().decode()

    assert 'cosybridge_tasks{owner="call"} 3.0' in during
    assert 'owner="call"' not in metrics.scrape().decode()
