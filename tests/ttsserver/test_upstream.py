import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from bridge.ttsserver.upstream import Upstream, UpstreamEngine
from bridge.ttsserver.voice import Delivery, EngineFailedError, Stop
from tests.ttsserver.measure import active_level_db, f0_track_hz

RATE = 22050


def buzz(seconds: float) -> bytes:
    """A voice of sorts at 120 Hz, between two silences."""
    t = np.arange(int(seconds * RATE)) / RATE
    sound = sum(np.sin(2 * np.pi * 120 * n * t) / n for n in range(1, 10)) * 5000
    return np.concatenate([np.zeros(RATE // 4), sound, np.zeros(RATE // 4)]).astype("<i2").tobytes()


class StandIn(ThreadingHTTPServer):
    """Speaks the HTTP of the server in FunAudioLLM's repository: a form in, a stream of samples out."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.forms: list[dict[str, list[str]]] = []
        self.trouble = ""
        self.is_asked = threading.Event()
        self.may_go_on = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StandIn

    def do_POST(self) -> None:
        form = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.forms.append({"path": [self.path], **urllib.parse.parse_qs(form)})
        if self.server.trouble == "status":
            self.send_error(422, "spk_id: field required")
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.server.trouble == "stall":
            self.server.is_asked.set()
            self.server.may_go_on.wait(10)
        pcm = b"" if self.server.trouble == "nothing" else buzz(1.0)
        for begin in range(0, len(pcm), 9999):
            piece = pcm[begin : begin + 9999]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            if self.server.trouble == "break":
                self.close_connection = True
                return
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing on standard error."""


@pytest.fixture
def server() -> Iterator[StandIn]:
    with StandIn() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def voice(server: StandIn) -> UpstreamEngine:
    return UpstreamEngine(Upstream(server.url, rate=RATE), "longanyang")


def test_the_text_is_asked_for_as_the_server_wants_it(server: StandIn, voice: UpstreamEngine) -> None:
    rendered = voice.render("你好，world & 1+1。", Delivery())

    assert server.forms == [
        {"path": ["/inference_sft"], "tts_text": ["你好，world & 1+1。"], "spk_id": ["中文男"]}
    ]
    assert rendered.rate == RATE
    assert abs(len(rendered.samples) / RATE - 1.06) < 0.03, "the silence around it is cut off"


def test_speakers_can_be_named_by_voice_or_by_sex(server: StandIn) -> None:
    upstream = Upstream(server.url, speakers={"longanyang": "anna", "woman": "英文女"})

    assert upstream.speaker("longanyang") == "anna"
    assert upstream.speaker("longanhuan") == "英文女"
    assert upstream.speaker("longlaobo_v3") == "中文男"


def test_volume_rate_and_pitch_are_made_here(voice: UpstreamEngine) -> None:
    plain = voice.render("a", Delivery())
    fast = voice.render("a", Delivery(rate=1.5))
    high = voice.render("a", Delivery(pitch=1.4))
    quiet = voice.render("a", Delivery(volume=25))

    lasts = len(plain.samples) / plain.rate
    assert abs(len(fast.samples) / fast.rate * 1.5 / lasts - 1) < 0.01
    assert abs(len(high.samples) / high.rate / lasts - 1) < 0.01
    ratio = np.nanmedian(f0_track_hz(high.samples, high.rate)) / np.nanmedian(
        f0_track_hz(plain.samples, plain.rate)
    )
    assert abs(ratio / 1.4 - 1) < 0.02
    levels = [active_level_db(sound.samples, sound.rate) for sound in (plain, quiet)]
    assert abs(levels[0] - levels[1] - 6.02) < 0.1


def test_words_share_the_time_by_their_length(voice: UpstreamEngine) -> None:
    text = "你好iPhone 15吧"

    words = voice.render(text, Delivery()).words

    assert [word.text for word in words] == ["你", "好", "iPhone", "15", "吧"]
    assert all(text[word.begin_index : word.end_index] == word.text for word in words)
    borders = [border for word in words for border in (word.begin_ms, word.end_ms)]
    assert borders == sorted(borders)
    assert borders[-1] < 1070


def test_nothing_to_pronounce_is_not_asked_for(server: StandIn, voice: UpstreamEngine) -> None:
    assert len(voice.render(" — ", Delivery()).samples) == 0
    assert server.forms == []


@pytest.mark.parametrize(
    ("trouble", "named"),
    [("status", "answers 422"), ("break", "fails: IncompleteRead"), ("nothing", "says nothing for 'Hello'")],
)
def test_a_server_in_trouble_is_named_with_its_trouble(
    server: StandIn, voice: UpstreamEngine, trouble: str, named: str
) -> None:
    server.trouble = trouble

    with pytest.raises(EngineFailedError, match=f"the upstream server.*{named}") as failed:
        voice.render("Hello", Delivery())
    assert server.url not in str(failed.value)


def test_nobody_waits_for_a_piece_that_nobody_wants_any_more(server: StandIn, voice: UpstreamEngine) -> None:
    server.trouble = "stall"
    stop = Stop()
    ended: list[type[Exception]] = []

    def speak() -> None:
        try:
            voice.render("Hello", Delivery(stop=stop))
        except EngineFailedError as error:
            ended.append(type(error))

    thread = threading.Thread(target=speak)
    thread.start()
    assert server.is_asked.wait(5)
    stop.set()
    thread.join(5)
    server.may_go_on.set()

    assert ended == [EngineFailedError]
    with pytest.raises(EngineFailedError):
        voice.render("Hello", Delivery(stop=stop))


def test_a_server_that_is_not_there_is_an_error_and_no_silence() -> None:
    with pytest.raises(EngineFailedError, match=r"the upstream server fails: .*refused"):
        UpstreamEngine(Upstream("http://127.0.0.1:9"), "longanyang").render("Hello", Delivery())


@pytest.mark.parametrize("url", ["", "localhost:50000", "ws://host", "http://"])
def test_a_url_that_is_none_of_http_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"tts_server\.upstream"):
        Upstream(url)


def test_a_password_in_the_url_is_refused() -> None:
    with pytest.raises(ValueError, match="must not carry a password"):
        Upstream("http://user:secret@127.0.0.1:9")
