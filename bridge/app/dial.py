"""Whom an outbound call may reach: `sip.dial_allow` and the trunks' dials, asked before anything is sent."""

import re
from collections.abc import Awaitable, Callable

from bridge.aio.names import Found
from bridge.app.settings import SipSection
from bridge.errors import ConfigError, RemoteProtocolError
from bridge.sip.flow import Address
from bridge.sip.grammar import Uri
from bridge.sip.locating import Wanted
from bridge.sip.trunks import Dialled, Trunks

__all__ = ["DialRefused", "admit", "admit_number", "is_number"]

_NUMBER = re.compile(r"[+(]?[0-9*#][0-9*#()./ \t-]*", re.ASCII)

_URI = re.compile(
    r"sips?:(?:[^@\s]+@)?(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>\d{1,5}))?(?:[;?]\S*)?",
    re.ASCII,
)


class DialRefused(ConfigError):  # noqa: N818  an answer to whoever wants to call
    """Somebody who may not be called.

    Attributes:
        what: What is refused, in a sentence.
        fix: The setting that would admit it.
    """

    def __init__(self, what: str, *, fix: str) -> None:
        super().__init__(f"{what}; {fix}")
        self.what: str = what
        self.fix: str = fix


async def admit(
    uri: str, sip: SipSection, locate: Callable[[Wanted], Awaitable[Found]]
) -> tuple[Address, ...]:
    """Find where a SIP URI leads and make sure that it may be called there.

    Args:
        uri: Whom to call.
        sip: What is allowed.
        locate: Looks names up.

    Returns:
        The addresses to try that are allowed: a second look-up could be answered differently.

    Raises:
        ConfigError: If `uri` is no SIP URI.
        DialRefused: If `sip.dial_allow` admits none of its addresses.
        SetupError: If its host name has no address.
    """
    match = _URI.fullmatch(uri)
    if match is None:
        raise ConfigError(f'"{uri}" must be a SIP address such as sip:100@127.0.0.1:5070')
    if not 0 < int(match["port"] or 1) < 65536:
        raise ConfigError(f'"{uri}": the port must be from 1 to 65535')
    try:
        wanted = Wanted.of(Uri.parse(uri))
    except RemoteProtocolError as error:
        raise ConfigError(f'"{uri}" must be a SIP address: {error}') from None
    targets = (await locate(wanted)).targets
    allowed = tuple(target for target in targets if sip.may_dial(target[0]))
    if not allowed:
        ip, now = targets[0][0], ", ".join(sip.dial_allow)
        wider = ",".join([*sip.dial_allow, ip])
        raise DialRefused(
            f"{ip} may not be called: sip.dial_allow is {now}",
            fix=f"to admit it: --set sip.dial_allow={wider}",
        )
    return allowed


def is_number(text: str) -> bool:
    """Whether a text is a number for the dial plan, rather than an address."""
    return _NUMBER.fullmatch(text.removeprefix("tel:")) is not None


def admit_number(text: str, book: Trunks, *, trunk: str = "") -> Dialled:
    """Find the trunk that may call a number.

    Args:
        text: The number, as people write them.
        book: All trunks.
        trunk: The only one that may carry it; empty for any.

    Raises:
        ConfigError: If it is no number.
        DialRefused: If no trunk may call it.
    """
    dialled = book.dial(text.removeprefix("tel:"), trunk=trunk)
    if isinstance(dialled, Dialled):
        return dialled
    if dialled == "no_number":
        raise ConfigError(f'"{text}" is no telephone number that a trunk could call')
    start = text.removeprefix("tel:")[:3].strip()
    whose = f"trunk {trunk}" if trunk else "any trunk"
    raise DialRefused(
        f"{text} may not be called: it is not among the dials of {whose}",
        fix=f'add a pattern such as "{start}*" to dials of the [[trunks]] that is to carry it',
    )
