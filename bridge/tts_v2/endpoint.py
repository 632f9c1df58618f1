"""Where the service is and who we are there, found in the places where the SDK looks."""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bridge.tts_v2.errors import InputRequired, InvalidParameter, InvalidParameterType

__all__ = ["Endpoint", "find_endpoint"]

_REGIONS = ("ap-northeast-1", "ap-southeast-1", "cn-hongkong", "eu-central-1", "us-east-1")
_PLACEHOLDER = "{workspace_id}"
_WORKSPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

_NO_WORKSPACE = (
    "The base URL contains '{workspace_id}' but no workspace id is available: "
    "pass workspace=, or set the DASHSCOPE_WORKSPACE_ID environment variable"
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One place to connect to; equal ones may share connections."""

    url: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)


def find_endpoint(url: object, headers: object, workspace: object) -> Endpoint:
    """Put together what a connection needs.

    Args:
        url: As given by the user; None looks at ``bridge.tts_v2.base_websocket_api_url``, at a loaded
            `dashscope`, at DASHSCOPE_WEBSOCKET_BASE_URL and takes the region's address at last.
        headers: The user's own; they replace ours of the same name.
        workspace: For the header, and for the placeholder in the address.

    Raises:
        InputRequired: If there is no key, or no workspace for the placeholder.
        InvalidParameter: If something cannot stand in an address or in an HTTP header.
    """
    if workspace is not None and not isinstance(workspace, str):
        raise InvalidParameterType(f"workspace must be a string, not {workspace!r:.60}")
    address = _resolved(_url() if url is None else url, workspace)
    key = _setting("api_key", "DASHSCOPE_API_KEY")
    if key is None:
        raise InputRequired("apikey is required!")
    return Endpoint(address, tuple(_headers(key, headers, workspace).items()))


def _setting(name: str, variable: str) -> str | None:
    for module in ("bridge.tts_v2", "dashscope"):
        value = getattr(sys.modules.get(module), name, None)
        if isinstance(value, str):
            return value
    return os.environ.get(variable)


def _url() -> str:
    given = _setting("base_websocket_api_url", "DASHSCOPE_WEBSOCKET_BASE_URL")
    if given is not None:
        return given
    region = os.environ.get("DASHSCOPE_API_REGION", "")
    host = f"{_PLACEHOLDER}.{region}.maas.aliyuncs.com" if region in _REGIONS else "dashscope.aliyuncs.com"
    return f"wss://{host}/api-ws/{os.environ.get('DASHSCOPE_API_VERSION', 'v1')}/inference"


def _resolved(url: object, workspace: str | None) -> str:
    if not isinstance(url, str):
        raise InvalidParameterType(f"url must be a string, not {url!r:.60}")
    if _PLACEHOLDER in url:
        name = workspace or os.environ.get("DASHSCOPE_WORKSPACE_ID")
        if not name:
            raise InputRequired(_NO_WORKSPACE)
        # It becomes part of a host name: a slash in it would send the key elsewhere.
        if not _WORKSPACE.fullmatch(name):
            raise InvalidParameter(f"Invalid workspace_id {name!r}: must match {_WORKSPACE.pattern}")
        url = url.replace(_PLACEHOLDER, name)
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise InvalidParameter(f"url must be ws://HOST/... or wss://HOST/..., not {url!r:.200}")
    return url


def _headers(key: str, given: object, workspace: str | None) -> dict[str, str]:
    if given is not None and not isinstance(given, Mapping):
        raise InvalidParameterType(f"headers must be a dict, not {given!r:.60}")
    headers = {"User-Agent": "cosybridge", "Authorization": f"Bearer {key}"}
    for name, value in (given or {}).items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise InvalidParameterType(f"header {name!r:.60} must be a string with a string as its value")
        for known in [known for known in headers if known.lower() == name.lower()]:
            del headers[known]
        headers[name] = value
    if workspace:
        headers["X-DashScope-WorkSpace"] = workspace
    for name, value in headers.items():
        # The value is not shown: it may be the key.
        if not _HEADER_NAME.fullmatch(name) or not value.isascii() or not value.isprintable():
            raise InvalidParameter(
                f"{name!r} and its value cannot stand in an HTTP header: check the API key"
            )
    return headers
