from bridge.cosyvoice.client_patience import ClientPatience, Deadlines

S = 1_000_000_000


def test_deadlines_in_seconds_are_the_machines_patience() -> None:
    assert Deadlines().patience() == ClientPatience()
    assert Deadlines(task_s=1.5, started_s=2).patience() == ClientPatience(
        task_ns=3 * S // 2, started_ns=2 * S
    )


def test_the_default_ends_a_task_before_the_service_fails_it() -> None:
    assert Deadlines().text_pause_s * S < ClientPatience().silence_ns <= 20 * S
