from bridge.sip.answers import UnackedAnswers
from bridge.sip.layer import Send
from bridge.sip.timers import Timers
from tests.fakes import MS, ManualClock

SUCCESS = Send(b"200", ("192.0.2.2", 5060))


def test_a_success_is_repeated_until_its_ack() -> None:
    clock = ManualClock()
    answers = UnackedAnswers(Timers())
    answers.add(1, SUCCESS, awaits_answer=False, now_ns=clock.now_ns())

    sent_ms = []
    while answers.deadline_ns is not None and answers.deadline_ns < 10_000 * MS:
        clock.advance((answers.deadline_ns - clock.now_ns()) / MS)
        assert answers.take_due(now_ns=clock.now_ns()) == ([SUCCESS], False)
        sent_ms.append(clock.now_ns() // MS)
    assert sent_ms == [500, 1500, 3500, 7500]
    assert answers.acknowledge(2) is None
    assert answers.acknowledge(1) is not None

    assert answers.deadline_ns is None
    assert answers.take_due(now_ns=clock.advance(60_000)) == ([], False)


def test_an_early_look_sends_nothing() -> None:
    answers = UnackedAnswers(Timers())
    answers.add(1, SUCCESS, awaits_answer=False, now_ns=0)

    assert answers.take_due(now_ns=499 * MS) == ([], False)


def test_after_64_round_trips_the_ack_is_overdue() -> None:
    answers = UnackedAnswers(Timers())
    answers.add(1, SUCCESS, awaits_answer=False, now_ns=0)

    assert answers.take_due(now_ns=32_000 * MS) == ([], True)


def test_an_offer_in_a_success_waits_for_its_answer() -> None:
    answers = UnackedAnswers(Timers())
    answers.add(1, SUCCESS, awaits_answer=False, now_ns=0)
    assert not answers.awaits_answer
    answers.add(2, SUCCESS, awaits_answer=True, now_ns=0)
    assert answers.awaits_answer

    answers.clear()

    assert not answers.awaits_answer
    assert answers.deadline_ns is None
