"""What the end-to-end tests of one module share."""

import asyncio

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.e2e import agents
from tests.e2e.lab import rendered
from tests.e2e.running import RunningBridge


@pytest.fixture(scope="module")
def tick(bridge: RunningBridge) -> NDArray[np.uint8]:
    """What the ticker says, again and again, on the module's own bridge."""
    return asyncio.run(rendered(bridge, [agents.TICKER], voice="tone"))[agents.TICKER]
