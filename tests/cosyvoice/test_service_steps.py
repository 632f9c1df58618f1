from bridge.cosyvoice.service_steps import TRANSITIONS, TaskState


def test_every_state_has_a_row() -> None:
    assert set(TRANSITIONS) == set(TaskState)


def test_no_step_leads_out_of_the_table() -> None:
    assert all(after in TRANSITIONS for row in TRANSITIONS.values() for after in row.values())


def test_every_state_but_the_first_is_reached_by_some_step() -> None:
    reached = {after for row in TRANSITIONS.values() for after in row.values()}

    assert reached | {next(iter(TaskState))} == set(TaskState)
