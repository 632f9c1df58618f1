import numpy as np
import pytest

from tests.bench.soak_media import SoakPlan, soak
from tests.bench.soak_phones import Punctuality, Talk

MS = 1_000_000


def test_a_packet_is_late_behind_the_quickest_of_its_own_call() -> None:
    punctuality = Punctuality(3)
    stamps = (np.array([2**32 - 160, 500, 0, 660, 160, 820]) % 2**32).astype(np.uint32)
    phones = np.array([0, 2, 0, 2, 0, 2], np.int32)
    arrivals = np.array([0, 7, 20, 27, 43, 47]) * MS

    punctuality.note(phones, stamps, arrivals)
    punctuality.note(
        np.array([0, 2], np.int32), np.array([320, 980], np.uint32), np.array([60, 72], np.int64) * MS
    )
    late = punctuality.take(residents=2)
    nothing = punctuality.take(residents=2)

    assert late["everybody"]["max_ms"] == 5
    assert late["residents"]["max_ms"] == 3
    assert nothing["everybody"]["max_ms"] == 0


def test_a_new_call_on_a_phone_has_a_grid_of_its_own() -> None:
    punctuality = Punctuality(1)
    phone = np.zeros(1, np.int32)
    punctuality.note(phone, np.array([160], np.uint32), np.array([0]))

    punctuality.forget(0)
    punctuality.note(phone, np.array([90_000], np.uint32), np.array([500 * MS]))

    assert punctuality.take(residents=1)["everybody"]["max_ms"] == 0


def test_a_phone_knows_what_came_out_of_the_network_and_what_came_back() -> None:
    talk = Talk(call=3, ssrc=9, strangers=2, heard_strange=1)
    talk.numbers += [np.array([1, 2, 5]), np.array([3, 2, 8])]
    talk.sequences += [np.array([65_535, 0], np.uint16), np.array([3, 3], np.uint16)]

    assert talk.account(said=12) == {
        "said": 12,
        "carried": 6,
        "carried_unique": 5,
        "span": 8,
        "strangers": 2,
        "heard": 4,
        "heard_unique": 3,
        "heard_lost": 2,
        "heard_strange": 1,
    }


@pytest.mark.e2e
@pytest.mark.timeout(60)
async def test_calls_that_come_and_go_over_a_bad_network_leave_no_packet_unaccounted() -> None:
    report = await soak(SoakPlan(minutes=0.03, legs=20, churn=10, loss=0.05, jitter_ms=30))

    assert report.ledger.calls > 25
    assert report.ledger.lost > 0
    assert report.ledger.stranger > 0
    assert report.ledger.faults == {}
    assert report.ledger.balance == 0
    assert report.as_json()["packets"]["heard"] == report.ledger.built > 1500
