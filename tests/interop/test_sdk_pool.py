"""The SDK's object pool, and ours, each against a service of its own whose connections are counted."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.interop.conftest import SdkRun
from tests.interop.sdk_expected import FACADE
from tests.interop.sdk_service import Service

pytestmark = [pytest.mark.interop("dashscope"), pytest.mark.timeout(60)]

NONE = {"returned": "None"}


@pytest.mark.parametrize("subject", ["2.0.2", "1.25.24", FACADE])
def test_a_pool_lends_takes_back_and_lends_again(subject: str, spoken: Mapping[str, Any]) -> None:
    there = {"returned": spoken["there"]}

    with Service() as service:
        seen = SdkRun(subject, service, ("pool",)).document()["pool"]
        connections = service.counters["connections"]

    sizes = seen.pop("sizes")
    assert [size["text"] for size in sizes] == [
        "max_size must be greater than 0",
        "max_size must be less than 100",
    ]
    assert all("ValueError" in size["builtin"] for size in sizes)
    assert seen == {
        "first": there,
        "second": NONE,
        "request_id": "32 hex digits",
        "delay": "positive",
        "response": "task-finished",
        "response_is_of_task": True,
        "calls": ["open", "sentence-begin", "sound", "sentence-end", "complete", "close"],
        "sound": spoken["there"],
        "third": there,
        "returned": [NONE, NONE],
        "stranger": {"returned": "False"},
        "surplus": {"returned": "False"},
        "again": there,
        "new_task_id": True,
        "cancelled": {"cancel": NONE, "next": there},
        "shutdown": NONE,
    }
    # Two that stand by, one for the third borrower; 1.25 closes the socket of a cancelled task.
    assert connections <= 4
