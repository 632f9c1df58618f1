import subprocess
import sys
import threading

import pytest

from bridge.tts_v2.backbone import Backbone, backbone
from tests.tts_v2.service import Peer, Service, scripted

PRELUDE = """
import os
import sys
from bridge.tts_v2 import *

def say(*words):  # one write a line: two threads speak here
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

class Callback(ResultCallback):
    def on_data(self, data): say("sound", len(data))
    def on_complete(self): say("complete")
    def on_error(self, message): say("error")
    def on_close(self): say("close")

def made(callback=None):
    return SpeechSynthesizer("m", "v", AudioFormat.PCM_8000HZ_MONO_16BIT, callback=callback, url=sys.argv[1])

"""


def run(service: Service, script: str) -> list[str]:
    """Run a user's script; return what it printed, and fail if it complained."""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", PRELUDE + script, service.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=15, check=False)
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout.split("\n")[:-1]


def test_there_is_one_and_its_thread_is_no_reason_to_stay() -> None:
    spine = backbone()

    assert backbone() is spine
    thread = next(thread for thread in threading.enumerate() if thread.name == "tts_v2:loop")
    assert thread.daemon


def test_closing_ends_its_thread() -> None:
    spine = Backbone()

    spine.close()
    spine.close()

    assert not spine.is_alive


def test_what_fails_on_the_loop_fails_for_who_asked() -> None:
    async def fails() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        backbone().run(fails())


def test_a_script_that_ends_with_a_call_hears_its_sound() -> None:
    async def speaks_slowly(peer: Peer) -> None:
        await peer.start()
        await peer.hear_action("continue-task")
        await peer.hear_action("finish-task")
        for _ in range(3):
            await peer.sound()
            pong = await peer.socket.ping()
            await pong
        await peer.say("task-finished")
        await peer.until_closed()

    with scripted(speaks_slowly) as service:
        printed = run(service, "made(Callback()).call('Hello'); say('end of script')")

    assert "end of script" in printed
    assert [line for line in printed if line != "end of script"] == ["sound 640"] * 3 + ["complete", "close"]


def test_a_script_that_leaves_a_task_unfinished_ends_all_the_same() -> None:
    with scripted() as service:
        run(service, "s = made(Callback()); s.streaming_call('Hello')")


def test_a_script_that_leaves_a_pool_open_ends_all_the_same() -> None:
    with scripted() as service:
        script = "pool = SpeechSynthesizerObjectPool(3, url=sys.argv[1]); say('made')"

        assert run(service, script) == ["made"]
        service.wait_until(lambda: service.open_now == 0)


def test_a_forked_process_speaks_on_connections_of_its_own() -> None:
    script = """
say(len(made().call("Hello")))
if (child := os.fork()) == 0:
    say(len(made().call("Hello")))
    os._exit(0)
os.waitpid(child, 0)
say(len(made().call("Hello")))
"""
    with scripted() as service:
        assert run(service, script) == ["640"] * 3
        assert service.opened == 3
