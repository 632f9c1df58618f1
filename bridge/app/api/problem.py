"""Why an order is refused, on its way from where that is known to where it is answered (RFC 9457)."""

from collections.abc import Mapping

from aiohttp import web

from bridge.aio.http import json_error
from bridge.errors import BridgeError

__all__ = ["Problem"]


class Problem(BridgeError):  # noqa: N818  an answer
    """An order that is not carried out.

    Attributes:
        status: Of HTTP.
        fix: What may be done about it; names the setting, if it is one.
        fields: What is wrong with which field of the body.
        headers: Further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        fix: str = "",
        fields: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status: int = status
        self.fix: str = fix
        self.fields: Mapping[str, str] = fields or {}
        self.headers: Mapping[str, str] = headers or {}

    def answer(self) -> web.Response:
        """As it looks on the wire."""
        members = {"fields": dict(self.fields)} if self.fields else {}
        return json_error(self.status, str(self), self.headers, fix=self.fix, **members)
