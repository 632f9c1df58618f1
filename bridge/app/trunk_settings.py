"""The settings of trunks and of accounts that may call from anywhere: `[[trunks]]` and `[[accounts]]`."""

from typing import Literal, Self

from pydantic import Field, model_validator

from bridge.app.section import Section
from bridge.app.values import (
    DialPatterns,
    DigitString,
    Domain,
    HeaderLines,
    Login,
    MaybeSecret,
    Networks,
    Server,
    ShortName,
    SipUser,
)

__all__ = ["AccountSection", "TrunkSection"]

_LEAST_PASSWORD = 8


class TrunkSection(Section):
    """A PBX or carrier that calls go through."""

    name: ShortName = ""
    """Short name, for the log and the metrics."""
    server: Server = ("", None)
    """Host, or host:port, that requests are sent to; its calls are taken as well. No port: as DNS says."""
    transport: Literal["udp", "tcp", "tls"] = "udp"
    """By what we talk with it."""
    domain: Domain = ""
    """Domain of our address there; empty is the host of `server`."""
    user: SipUser = ""
    """User of our address there, and the number that its calls are for."""
    auth_user: Login = ""
    """Name that the digest is made with; empty is `user`."""
    password: MaybeSecret = None
    """Password of it."""
    registers: bool = False
    """Whether we register, so that it knows where we are."""
    expires_s: int = Field(default=3600, ge=60, le=86_400)
    """How long a registration is asked for; it is refreshed in time."""
    nat: bool = False
    """Name in our registration the address that the trunk sees us at, as is needed behind a NAT."""
    from_user: SipUser = ""
    """User part of From in our calls; empty is `user`."""
    from_domain: Domain = ""
    """Host part of From in our calls; empty is `domain`."""
    headers: HeaderLines = ()
    """Header fields of our INVITEs there, ``X-Customer: 4711``."""
    max_calls: int = Field(default=100, ge=1, le=100_000)
    """Calls that it carries at a time, both ways; more are refused with 503."""
    max_calls_per_s: int = Field(default=10, ge=1, le=10_000)
    """Calls that may begin in a second, both ways, twice as many at once."""
    allow: Networks = ()
    """Networks that its calls come from, beside the addresses of `server`; they are added to sip.allow."""
    dials: DialPatterns = ()
    """Numbers that may be called through it, ``+4930*``; ``!+49900*`` is refused anyway. Empty: none."""
    country_code: DigitString = ""
    """What numbers without country code belong to, such as 49."""
    national_prefix: DigitString = "0"
    """What is dialled there before an area code."""
    international_prefix: DigitString = "00"
    """What is dialled there before a country code."""
    numbers: Literal["e164", "plain", "national"] = "e164"
    """How it wants numbers: +493012345, 493012345 or 03012345."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        for key, value in (("name", self.name), ("server", self.server[0])):
            if not value:
                raise ValueError(f"needs a {key}")
        if self.registers and not self.user:
            raise ValueError("needs a user to register")
        if self.password is not None and not (self.auth_user or self.user):
            raise ValueError("needs a user or auth_user for its password")
        return self


class AccountSection(Section):
    """Who may call from outside of sip.allow, and proves it with a digest."""

    user: Login = ""
    """Name."""
    password: MaybeSecret = None
    """Password, of at least 8 characters: anybody may try."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if not self.user:
            raise ValueError("needs a user")
        if self.password is None or len(self.password.get_secret_value()) < _LEAST_PASSWORD:
            raise ValueError(f"needs a password of at least {_LEAST_PASSWORD} characters")
        return self
