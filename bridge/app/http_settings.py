"""The settings of the page, the API and the metrics: `[http]`."""

from typing import Self

from pydantic import model_validator

from bridge.app.section import Section
from bridge.app.values import HostList, Listen, ReadList, Token

__all__ = ["SELF_MADE", "HttpSection", "check_pair"]

SELF_MADE = "self"
"""Value of `http.tls_cert` that asks for a certificate of our own making."""


def check_pair(certificate: str, key: str) -> None:
    """Certificate and key go together.

    Raises:
        ValueError: If one is missing.
    """
    if bool(key) is not (certificate not in ("", SELF_MADE)):
        raise ValueError('tls_cert and tls_key go together; tls_cert = "self" needs no key')


class HttpSection(Section):
    """The page, the API and the metrics."""

    listen: Listen = ("127.0.0.1", 8080)
    """TCP address."""
    token: Token = None
    """What every request but /healthz must carry; None makes a new one at each start."""
    read_token: Token = None
    """A second one, which opens what is read and orders nothing; None is none."""
    read_token_opens: ReadList = ()
    """What it opens besides: ``recordings``, ``transcripts`` (what is said, written and pressed)."""
    hosts: HostList = ()
    """Further names this server is reached by, for instance behind a reverse proxy."""
    tls_cert: str = ""
    """Certificate file (PEM) for https; ``self`` makes and keeps one. Microphones need https."""
    tls_key: str = ""
    """Its key file."""

    @model_validator(mode="after")
    def _has_both(self) -> Self:
        check_pair(self.tls_cert, self.tls_key)
        return self

    @model_validator(mode="after")
    def _looks_only(self) -> Self:
        if self.read_token is not None and self.read_token == self.token:
            raise ValueError("read_token must not be the token: it would open everything")
        return self
