"""Both roles against each other, with every message through its JSON form."""

from bridge.cosyvoice.formats import TaskParameters
from bridge.cosyvoice.message import (
    ContinueTask,
    FinishTask,
    ResultGenerated,
    RunTask,
    TaskFailed,
    TaskFinished,
    TaskStarted,
    Word,
    decode_action,
    decode_event,
    encode_action,
    encode_event,
)
from bridge.cosyvoice.task import Audio, ClientTask, Ended, Freed, ServerTask, Sound, TaskState, Yield
from tests.fakes import SeededIds


def carry(client: ClientTask, server: ServerTask) -> list[Yield]:
    """Carry messages both ways until both are silent; return what is for the listener and the pool."""
    kept: list[Yield] = []
    while True:
        mine, theirs = client.drain(), server.drain()
        if not mine and not theirs:
            return kept
        for yielded in mine:
            if isinstance(yielded, RunTask | ContinueTask | FinishTask):
                server.receive(decode_action(encode_action(yielded)), now_ns=0)
            else:
                kept.append(yielded)
        for output in theirs:
            if isinstance(output, TaskStarted | ResultGenerated | TaskFinished | TaskFailed):
                client.receive(decode_event(encode_event(output)), now_ns=0)
            elif isinstance(output, Audio):
                client.receive(output.data, now_ns=0)


def pair() -> tuple[ClientTask, ServerTask]:
    parameters = TaskParameters(
        voice="longanyang", format="pcm", sample_rate=8000, word_timestamp_enabled=True
    )
    client = ClientTask(RunTask("t", "cosyvoice-v3-flash", parameters.to_wire()), rate=8000)
    client.bind(now_ns=0)
    return client, ServerTask(ids=SeededIds(), now_ns=0)


def test_a_sentence_goes_there_and_its_sound_and_words_come_back() -> None:
    client, server = pair()
    client.send_text("Hello.", now_ns=0)
    client.finish(now_ns=0)
    assert carry(client, server) == []

    server.sentence_begin("t", "Hello.")
    server.audio("t", b"\x01\x02")
    server.sentence_end("t", [Word("Hello", 0, 5, 0, 1)])
    server.done("t", now_ns=0)

    assert carry(client, server) == [Sound(b"\x01\x02"), Ended(), Freed(reusable=True)]
    assert [word.text for word in client.words] == ["Hello"]


def test_a_cancel_leaves_both_sides_ready_for_the_next_task() -> None:
    client, server = pair()
    client.send_text("Hello.", now_ns=0)
    carry(client, server)
    server.sentence_begin("t", "Hello.")
    server.audio("t", b"\x01\x02")

    client.cancel(now_ns=0)

    assert carry(client, server) == [Ended(), Freed(reusable=True)]
    assert server.state is TaskState.IDLE
