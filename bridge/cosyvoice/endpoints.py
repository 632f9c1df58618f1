"""Where the cloud's service is, by region and workspace (`docs`: hosts of the WebSocket API)."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

__all__ = [
    "REGIONS",
    "WORKSPACE",
    "WORKSPACE_HEADER",
    "endpoint",
    "fill_workspace",
    "http_endpoint",
    "is_cloud",
]

WORKSPACE = "{workspace_id}"
"""Stands in an address for the workspace's id."""
WORKSPACE_HEADER = "X-DashScope-WorkSpace"

_PATH = "/api-ws/v1/inference"
_INTERNATIONAL = "dashscope-intl.aliyuncs.com"

REGIONS: Mapping[str, str] = MappingProxyType(
    {
        "cn-beijing": "dashscope.aliyuncs.com",
        "ap-southeast-1": _INTERNATIONAL,
        "cn-hongkong": "cn-hongkong.dashscope.aliyuncs.com",
        "us-east-1": _INTERNATIONAL,
        "eu-central-1": _INTERNATIONAL,
        "ap-northeast-1": _INTERNATIONAL,
    }
)
"""Region to the host that workspaces share. CosyVoice is documented for the first two; a key is for one."""

# One label of a host name: an id that could be more would lead the key elsewhere.
_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")


def endpoint(region: str = "cn-beijing", workspace: str = "") -> str:
    """The address of the service in `region`, of one's own workspace where that is named.

    Raises:
        ValueError: If there is no such region, or a workspace of that name cannot be.
    """
    return f"wss://{_host(region, workspace)}{_PATH}"


def http_endpoint(region: str = "cn-beijing", workspace: str = "") -> str:
    """The address that tokens are asked of; Raises as `endpoint`."""
    return f"https://{_host(region, workspace)}"


def fill_workspace(url: str, workspace: str) -> str:
    """Put the workspace's id where `url` asks for it.

    Raises:
        ValueError: If it asks and there is none, or a workspace of that name cannot be.
    """
    if WORKSPACE not in url:
        return url
    if not workspace:
        raise ValueError(f"{url} needs a workspace: give its id, or an address without {WORKSPACE}")
    return url.replace(WORKSPACE, _checked(workspace))


def is_cloud(url: str) -> bool:
    """Whether `url` is a host of the cloud, which a key of the cloud may be shown to."""
    parts = urlsplit(url)
    return parts.scheme in ("wss", "https") and (parts.hostname or "").endswith(".aliyuncs.com")


def _host(region: str, workspace: str) -> str:
    if region not in REGIONS:
        raise ValueError(f"there is no region {region!r}: use one of {', '.join(REGIONS)}")
    if not workspace:
        return REGIONS[region]
    return f"{_checked(workspace)}.{region}.maas.aliyuncs.com"


def _checked(workspace: str) -> str:
    if not _ID.fullmatch(workspace):
        raise ValueError(f"a workspace id has letters, digits and dashes, not {workspace!r:.60}")
    return workspace
