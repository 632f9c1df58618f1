import numpy as np

from bridge.ports import WordTime
from bridge.ttsserver.cache import CachedEngine, RenderedCache
from bridge.ttsserver.voice import Delivery, Rendered


class Slow:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def check(self, text: str) -> None:
        self.asked.append(f"check {text}")

    def breath(self, text: str) -> tuple[int, int]:
        return 5, 9

    def render(self, text: str, delivery: Delivery) -> Rendered:
        self.asked.append(text)
        words = (WordTime(text, 0, len(text), 0, 100),) if delivery.with_words else ()
        return Rendered(np.ones(1000, np.int16), 24000, words)


def test_what_was_said_before_is_not_rendered_again() -> None:
    slow = Slow()
    engine = CachedEngine(slow, "zh", RenderedCache())

    first = engine.render("您好", Delivery(with_words=False))
    second = engine.render("您好", Delivery())

    assert slow.asked == ["您好"]
    assert first is second
    assert first.words, "word times cost nothing, and the next one may want them"


def test_another_text_delivery_or_voice_is_another_rendering() -> None:
    slow = Slow()
    cache = RenderedCache()
    one, other = CachedEngine(slow, "one", cache), CachedEngine(slow, "other", cache)

    one.render("a", Delivery())
    one.render("b", Delivery())
    one.render("a", Delivery(rate=1.1))
    other.render("a", Delivery())

    assert slow.asked == ["a", "b", "a", "a"]


def test_the_least_recently_heard_makes_room() -> None:
    slow = Slow()
    engine = CachedEngine(slow, "zh", RenderedCache(limit_bytes=7000))

    for text in ("a", "b", "a", "c", "a", "b"):
        engine.render(text, Delivery())

    assert slow.asked == ["a", "b", "c", "b"]


def test_the_memory_it_takes_is_bounded() -> None:
    cache = RenderedCache(limit_bytes=50_000)
    engine = CachedEngine(Slow(), "zh", cache)

    for number in range(200):
        engine.render(str(number), Delivery())

    assert 30_000 < cache.size_bytes <= 50_000


def test_what_is_larger_than_all_room_is_not_kept() -> None:
    cache = RenderedCache(limit_bytes=100)

    CachedEngine(Slow(), "zh", cache).render("a", Delivery())

    assert cache.size_bytes == 0


def test_nobody_can_spoil_what_others_will_hear() -> None:
    engine = CachedEngine(Slow(), "zh", RenderedCache())

    rendered = engine.render("a", Delivery())

    assert not rendered.samples.flags.writeable


def test_checks_and_breath_are_the_engine_s_own() -> None:
    slow = Slow()
    engine = CachedEngine(slow, "zh", RenderedCache())

    engine.check("a")

    assert slow.asked == ["check a"]
    assert engine.breath("a") == (5, 9)
