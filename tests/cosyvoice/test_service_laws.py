"""Whatever a client does, the service's side ends each task once."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.cosyvoice.message import (
    Action,
    ContinueTask,
    FinishTask,
    Malformed,
    TaskFailed,
    TaskFinished,
    TaskStarted,
)
from bridge.cosyvoice.service_steps import (
    Close,
    End,
    Flush,
    Speak,
)
from tests.cosyvoice.test_service import S, machine, run

IDS = st.sampled_from(["a", "b"])
ACTIONS = (
    IDS.map(run)
    | st.builds(ContinueTask, IDS, st.sampled_from(["", "Hi. "]), st.booleans())
    | st.builds(FinishTask, IDS, st.booleans())
    | st.builds(Malformed, IDS, st.just("no"))
)


@given(st.lists(st.tuples(ACTIONS, st.integers(0, 70)), max_size=20))
def test_each_task_has_at_most_one_terminal_event_and_nothing_after_it(
    steps: list[tuple[Action, int]],
) -> None:
    task = machine()
    outputs: list[object] = []
    now_ns = 0
    for action, wait_s in steps:
        now_ns += wait_s * S
        task.handle_timeout(now_ns=now_ns)
        task.receive(action, now_ns=now_ns)
        outputs += task.drain()
    running_id: str | None = None
    for position, output in enumerate(outputs):
        match output:
            case TaskStarted():
                assert running_id is None
                running_id = output.task_id
            case TaskFinished():
                assert running_id == output.task_id
                running_id = None
            case TaskFailed():
                running_id = None
                assert any(isinstance(later, Close) for later in outputs[position:])
            case Close():
                assert position == len(outputs) - 1
            case Speak() | End() | Flush():
                assert output.task_id == running_id
