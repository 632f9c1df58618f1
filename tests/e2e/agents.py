"""Agents that the tests' bridges answer with; routes name them ``tests.e2e.agents:NAME``."""

import asyncio

from bridge import Call

__all__ = [
    "BRIEF",
    "CHAPTERS",
    "FIRM",
    "READING",
    "STORY",
    "STORY_GOES_ON",
    "TICKER",
    "brief",
    "chapters",
    "firm",
    "herald",
    "holder",
    "holding",
    "hurdle",
    "joiner",
    "keeper",
    "mirror",
    "musing",
    "reader",
    "routes",
    "sender",
    "story",
    "ticker",
]

BRIEF = "The lighthouse keeper wrote a letter every single day."
CHAPTERS = (
    "The first train leaves at seven in the morning.",
    "Its second stop is a small town by the river.",
    "Everybody who rides it knows the driver by name.",
)
STORY = "My grandmother kept a blue telephone in the hall, and whenever it rang the whole family stood still."
STORY_GOES_ON = "I will tell you the rest another day."
FIRM = "This is an important notice, and it will be read to you from the beginning to the very end."
READING = (
    "The lighthouse keeper wrote a letter every single day. "
    "He described the weather, the ships that passed, and the birds that rested on his window. "
    "Nobody knew to whom he sent them. "
    "When he retired, a boat brought him all the answers."
)
TICKER = "one two three four five six seven eight nine ten eleven twelve"


async def brief(call: Call) -> None:
    """Say one sentence."""
    await call.say(BRIEF, interruptible="none")


async def chapters(call: Call) -> None:
    """Say three things, one after the other."""
    for text in CHAPTERS:
        await call.say(text)


async def story(call: Call) -> None:
    """Tell something that may be interrupted, and be brief afterwards if it was."""
    said = await call.say(STORY)
    if said.interrupted:
        await call.quiet(lasting_ms=300)
        await call.say(STORY_GOES_ON, interruptible="none")


async def firm(call: Call) -> None:
    """Let nobody interrupt."""
    await call.say(FIRM, interruptible="none")


async def ticker(call: Call) -> None:
    """Talk until the caller hangs up."""
    while True:
        await call.say(TICKER)


async def reader(call: Call) -> None:
    """Say a lot at once."""
    await call.say(READING, interruptible="none")


async def holder(call: Call) -> None:
    """Put the caller on hold, and take them back."""
    await call.say("Wait.")
    await call.hold()
    await asyncio.sleep(0.3)
    await call.resume()


async def holding(call: Call) -> None:
    """Say a word, then wait for ever."""
    await call.say("Wait.")
    await asyncio.Event().wait()


async def herald(call: Call) -> None:
    """Be heard before answering, then wait for ever."""
    await call.say("Wait.")
    await call.answer()
    await asyncio.Event().wait()


async def musing(call: Call) -> None:
    """Think before speaking, twice, and then for ever."""
    for text in CHAPTERS[:2]:
        await asyncio.sleep(2.2)
        await call.say(text, interruptible="none")
    await asyncio.Event().wait()


async def mirror(call: Call) -> None:
    """Press back what was typed, up to a hash."""
    await call.press(await call.digits(max_digits=20, timeout_s=8), duration_ms=80, pause_ms=80)


async def hurdle(call: Call) -> None:
    """Tell something that only a key can stop; press that key back."""
    said = await call.say(READING, interruptible="dtmf")
    await call.press((await call.digits(timeout_s=3)) * 2 if said.interrupted else "0")


async def sender(call: Call) -> None:
    """Send the caller on at once; apologise if that comes to nothing."""
    result = await call.transfer(call.headers.get("X-Target") or call.greeting, timeout_s=20)
    if not result.succeeded:
        await call.say(STORY_GOES_ON)


_KEPT: "asyncio.Queue[Call]" = asyncio.Queue()


async def keeper(call: Call) -> None:
    """Wait to be joined with the party of another call."""
    _KEPT.put_nowait(call)
    await asyncio.Event().wait()


async def joiner(call: Call) -> None:
    """Join the party of the call that is kept with this one's."""
    kept = await _KEPT.get()
    await kept.transfer(call, timeout_s=20)


def routes(**voices: str) -> dict[str, str]:
    """Settings that let each of these agents answer its own name, with the voice given or the default one."""
    settings: dict[str, str] = {}
    for number, (name, voice) in enumerate(voices.items()):
        settings[f"routes.{number}.to"] = name
        settings[f"routes.{number}.agent"] = "default" if name == "guide" else f"tests.e2e.agents:{name}"
        settings[f"routes.{number}.voice"] = voice
    return settings
