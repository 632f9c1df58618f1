"""The settings of calls from browsers: `[webrtc]`."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from bridge.app.section import Section
from bridge.app.values import Glob, MaybeSecret, OriginList

__all__ = ["WebRtcSection"]

_ICE_URL = re.compile(r"(stuns?|turns?):[A-Za-z0-9.-]+(:[0-9]{1,5})?(\?transport=(udp|tcp))?")


def _ice_servers(urls: tuple[str, ...]) -> tuple[str, ...]:
    for url in urls:
        if _ICE_URL.fullmatch(url) is None:
            raise ValueError(f'"{url}" must be a STUN or TURN address such as "turn:turn.example.org:3478"')
    return urls


class WebRtcSection(Section):
    """Calls from browsers, by WHIP at /api/webrtc."""

    enabled: bool = True
    """Whether they are taken."""
    to: Glob = "hello"
    """Number that a page calls if it names none; [[routes]] says who answers."""
    origins: OriginList = ()
    """Origins of other sites whose pages may call, with a join token."""
    ice_servers: Annotated[
        tuple[str, ...], BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value),
        AfterValidator(_ice_servers),
    ] = ()  # fmt: skip
    """STUN and TURN servers that pages are told to use. None: nobody's server learns of a call."""
    turn_user: str = Field(default="", max_length=64)
    """User of the TURN servers."""
    turn_password: MaybeSecret = None
    """Password of it; pages are told."""
    max_calls: int = Field(default=100, ge=1, le=10_000)
    """Calls from browsers at a time."""
    max_calls_per_client: int = Field(default=8, ge=1, le=10_000)
    """Of them, those of one address."""
    offers_per_s: int = Field(default=5, ge=1, le=1000)
    """Offers of one address in a second; more are answered 429."""
    join_token_s: int = Field(default=60, ge=1, le=86_400)
    """How long a join token opens a call."""
    inactivity_s: int = Field(default=8, ge=1, le=86_400)
    """Without sound from the page for so long, its call ends: a closed tab says nothing."""
