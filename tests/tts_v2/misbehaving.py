"""Services that do not do what they should, as scripts for `tests.tts_v2.service.scripted`."""

from tests.tts_v2.service import Peer


async def fails_at_start(peer: Peer) -> None:
    await peer.hear_action("run-task")
    await peer.fail()


async def fails_later(peer: Peer) -> None:
    await peer.start()
    await peer.hear_action("continue-task")
    await peer.sound()
    await peer.fail()


async def leaves_before_the_start(peer: Peer) -> None:
    await peer.hear_action("run-task")
    await peer.socket.close(1011, "overloaded")


async def leaves_in_mid_word(peer: Peer) -> None:
    await peer.start()
    await peer.hear_action("continue-task")
    await peer.sound()
    peer.socket.transport.abort()


async def leaves_after_the_finish(peer: Peer) -> None:
    await peer.start()
    while (await peer.hear())["header"]["action"] != "finish-task":
        pass
    await peer.sound()
    await peer.socket.close(1000, "bye")


async def never_ends(peer: Peer) -> None:
    await peer.start()
    while True:
        await peer.hear()
        await peer.sound()


async def never_starts(peer: Peer) -> None:
    await peer.hear_action("run-task")
    await peer.until_closed()
