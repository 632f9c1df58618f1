"""How the values of settings are written: addresses, networks, port ranges, lists, secrets."""

import ipaddress
import re
import tomllib
from collections.abc import Callable, Sequence
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from bridge.hosts import address_of, is_v6
from bridge.sip.codecs import CODECS
from bridge.sip.identity import fault_of_header
from bridge.sip.numbers import DialList
from bridge.sip.security import KeyMethod

__all__ = [
    "Address",
    "Address6",
    "AgentName",
    "Codecs",
    "DialPatterns",
    "Digests",
    "DigitString",
    "DnsServers",
    "Domain",
    "Faults",
    "Glob",
    "HeaderLines",
    "HostList",
    "HttpUrl",
    "KeyMethods",
    "Listen",
    "Listens",
    "Login",
    "MaybeAddress",
    "MaybeAddress6",
    "MaybeListens",
    "MaybeSecret",
    "Networks",
    "OriginList",
    "PortRange",
    "ReadList",
    "Secrets",
    "Server",
    "ShortName",
    "SipUser",
    "Token",
    "TtsUrl",
]

_AGENT = re.compile(r"default|[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_TOKEN = re.compile(r"[A-Za-z0-9._~-]{8,}")
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?"
_SERVER = re.compile(rf"({_HOST}|\[[0-9A-Fa-f:.]+\])(?::([0-9]{{1,5}}))?")
_ORIGIN = re.compile(rf"https?://{_HOST}(:[0-9]{{1,5}})?")
_DNS_PORT = 53
_NAMED_URLS = ("", "embedded", "cloud")


def _maybe_tuple(value: object) -> object:
    return value if isinstance(value, tuple) else _listen(value)


def _listen(value: object) -> tuple[str, int]:
    """Read ``host:port``; the host is an IPv4 address, an IPv6 address in brackets or ``localhost``."""
    host, colon, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if not colon or not port.isascii() or not port.isdigit():
        raise ValueError('must be "address:port", for instance "0.0.0.0:5060"')
    if int(port) > 65535:
        raise ValueError("the port must be from 0 (any free one) to 65535")
    if host.startswith("[") and host.endswith("]"):
        return _ipv6(host[1:-1]), int(port)
    if ":" in host:
        raise ValueError(f'"{host}" must be in brackets, "[{host}]:{port}", if it is an IPv6 address')
    return _ipv4("127.0.0.1" if host == "localhost" else host), int(port)


def _listens(value: object) -> tuple[object, ...]:
    """Read one ``host:port``, or one for IPv4 and one for IPv6; the empty text means none."""
    if isinstance(value, tuple):
        return (value,) if value and isinstance(value[0], str) else value
    items: Sequence[object] = [value]
    if isinstance(value, list) or (isinstance(value, str) and value.lstrip().startswith(('["', "['"))):
        items = _items(value)  # "[::1]:5060" begins like an array, too
    elif isinstance(value, str):
        items = [item.strip() for item in value.split(",")] if value else []
    found = [_listen(item) for item in items]
    if len({is_v6(host) for host, _ in found}) < len(found):
        raise ValueError("must have at most one IPv4 and one IPv6 address")
    return tuple(found)


def _ipv4(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise ValueError(f'"{text}" must be an IPv4 address') from None


def _ipv6(text: str) -> str:
    try:
        found = ipaddress.IPv6Address(text)
    except ValueError:
        found = None
    if found is None or found.ipv4_mapped is not None or found.scope_id is not None:
        raise ValueError(f'"{text}" must be an IPv6 address, not of one link and not an IPv4 one in its form')
    return str(found)


def _server(value: object) -> object:
    """Read ``host`` or ``host:port``; no port leaves it to DNS or the transport. Empty is none."""
    if isinstance(value, tuple) or value == "":
        return value or ("", None)
    match = _SERVER.fullmatch(value) if isinstance(value, str) else None
    port = int(match[2]) if match is not None and match[2] else None
    if match is None or (port is not None and not 0 < port < 65536):
        raise ValueError('must be a host or "host:port", for instance "sip.example.org" or "[2001:db8::5]"')
    return (_ipv6(match[1][1:-1]) if match[1].startswith("[") else match[1]), port


def _dns_servers(value: object) -> tuple[tuple[str, int], ...]:
    """Read addresses with or without a port, for which no port means that of DNS."""
    if isinstance(value, tuple):
        return value
    found: list[tuple[str, int]] = []
    for item in _items(value):
        host, port = address_of(item), _DNS_PORT
        if host is None:
            place, colon, number = item.rpartition(":")
            host = address_of(place) if colon and number.isascii() and number.isdigit() else None
            port = int(number) if host is not None else 0
        if host is None or not 0 < port < 65536:
            raise ValueError(
                f'"{item}" must be an address such as 192.0.2.53, "192.0.2.53:5353" or "[::1]:53"'
            )
        found.append((host, port))
    return tuple(found)


def _header_lines(value: object) -> object:
    """Read ``Name: value`` lines that a user may set; one text alone is one line, for values have commas."""
    if isinstance(value, tuple):
        return value
    is_line = isinstance(value, str) and not value.lstrip().startswith("[")
    found: list[tuple[str, str]] = []
    for line in _items([value] if is_line and value else value):
        name, _, text = line.partition(":")
        if (fault := fault_of_header(name.strip(), text.strip())) is not None:
            raise ValueError(f'{fault}; write headers like "X-Customer: 4711"')
        found.append((name.strip(), text.strip()))
    return tuple(found)


def _maybe_address(value: object) -> object:
    """Read an IPv4 address that can be reached; the empty text means none."""
    return _reachable(value, "IPv4", _ipv4)


def _maybe_address6(value: object) -> object:
    return _reachable(value, "IPv6", _ipv6)


def _reachable(value: object, kind: str, read: Callable[[str], str]) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError(f'must be an {kind} address in quotes, or "" for none')
    address = read(value)
    if address in ("0.0.0.0", "::"):
        raise ValueError(f"must be an address that peers can reach, which {address} is not")
    return address


def _origins(value: object) -> tuple[str, ...]:
    origins = tuple(map(str.lower, _items(value)))
    for origin in origins:
        if _ORIGIN.fullmatch(origin) is None:
            raise ValueError(f'"{origin}" must be an origin such as "https://shop.example", without a path')
    return origins


def _items(value: object) -> list[str]:
    """Accept an array of texts, or one text, with commas or as in the file, as the environment carries it."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            value = None
    elif isinstance(value, str):
        value = [item.strip() for item in value.split(",") if item.strip()]
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError('must be a list of texts, for instance ["10.0.0.0/8", "192.168.1.7"]')
    return list(value)


def _networks(value: object) -> tuple[str, ...]:
    return tuple(_network(item) for item in _items(value))


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        pass
    try:
        wider = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f'"{text}" must be a network such as 10.0.0.0/8 or 2001:db8::/32, or one address'
        ) from None
    # Whoever writes 10.0.0.5/8 may mean one host or all of 10/8: opening to the world by a guess is worse.
    raise ValueError(f'"{text}" names a host inside a network; write {wider} or {text.partition("/")[0]}')


def _ports(value: object) -> object:
    """Read ``first-last``: UDP ports, both included."""
    if isinstance(value, list | tuple) and len(value) == 2:
        first, last = value
    elif isinstance(value, str) and re.fullmatch(r"\s*\d{1,5}\s*-\s*\d{1,5}\s*", value, re.ASCII):
        first, last = (int(part) for part in value.split("-"))
    else:
        first, last = None, None
    if type(first) is not int or type(last) is not int:
        raise ValueError('must be "first-last", for instance "16384-20479"')
    if not 1024 <= first <= last <= 65535:
        raise ValueError("must rise and lie from 1024 to 65535")
    if first + first % 2 > last:
        raise ValueError("must hold at least one even port, as RTP asks (RFC 3550 §11)")
    return first, last


def _secrets(value: object) -> tuple[SecretStr, ...]:
    if isinstance(value, list | tuple):
        value = [item.get_secret_value() if isinstance(item, SecretStr) else item for item in value]
    return tuple(SecretStr(item) for item in _items(value))


def _dial_patterns(value: object) -> tuple[str, ...]:
    patterns = tuple(_items(value))
    DialList(patterns)
    return patterns


def _digests(value: object) -> tuple[str, ...]:
    names = tuple(_items(value))
    if not names or not set(names) <= {"SHA-256", "MD5"} or len(set(names)) < len(names):
        raise ValueError('must be a list of "SHA-256" and "MD5", or of one of them')
    return names


def _read_list(value: object) -> tuple[str, ...]:
    names = tuple(_items(value))
    if not set(names) <= {"recordings", "transcripts"}:
        raise ValueError('must be a list of "recordings" and "transcripts", or of one of them, or empty')
    return names


def _faults(value: object) -> tuple[str, ...]:
    # The service knows its faults, and is not loaded where none is asked for.
    names = _items(value)
    if names:
        from bridge.ttsserver.faults import read_faults

        read_faults(names)
    return tuple(names)


def _codecs(value: object) -> tuple[str, ...]:
    known = {name.lower(): name for name in CODECS}
    names = _items(value)
    if unknown := [name for name in names if name.lower() not in known]:
        raise ValueError(f'"{unknown[0]}" must be one of {", ".join(CODECS)}')
    if not names or len({name.lower() for name in names}) < len(names):
        raise ValueError("must name at least one codec, and none of them twice")
    return tuple(known[name.lower()] for name in names)


def _key_methods(value: object) -> tuple[str, ...]:
    names = tuple(map(str.lower, _items(value)))
    if not names or len(set(names)) < len(names) or set(names) - {"sdes", "dtls"}:
        raise ValueError('must be "sdes", "dtls" or both of them, what we offer first')
    return names


def _maybe_secret(value: object) -> object:
    if value is None or value == "":
        return None
    if not isinstance(value, str | SecretStr):
        raise ValueError("must be text in quotes")
    return value


def _token(value: SecretStr | None) -> SecretStr | None:
    # It travels in `?token=`, so that it must need no escaping there.
    if value is not None and not _TOKEN.fullmatch(value.get_secret_value()):
        raise ValueError("must have at least 8 characters, only letters, digits and . _ ~ -")
    return value


def _tts_url(value: str) -> str:
    if value in _NAMED_URLS:
        return value
    parts = urlsplit(value)
    if parts.scheme not in ("ws", "wss") or not parts.hostname or parts.port == 0:
        raise ValueError('must be "embedded", "cloud", or an address that starts with ws:// or wss://')
    if parts.username or parts.password:
        raise ValueError("must not carry a password; set tts.api_key")
    return value


def _http_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        good = not value or (parts.scheme in ("http", "https") and bool(parts.hostname))
    except ValueError:
        good = False
    if not good:
        raise ValueError("must be empty or an address that starts with http:// or https://")
    return value


def _full_match(pattern: re.Pattern[str], sentence: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(sentence)
        return value

    return check


Address = Annotated[str, AfterValidator(_ipv4)]
Address6 = Annotated[str, AfterValidator(_ipv6)]
Listen = Annotated[tuple[str, int], BeforeValidator(_maybe_tuple)]
Listens = Annotated[tuple[tuple[str, int], ...], BeforeValidator(_listens), Field(min_length=1)]
MaybeListens = Annotated[tuple[tuple[str, int], ...], BeforeValidator(_listens)]
MaybeAddress = Annotated[str | None, BeforeValidator(_maybe_address)]
MaybeAddress6 = Annotated[str | None, BeforeValidator(_maybe_address6)]
Networks = Annotated[tuple[str, ...], BeforeValidator(_networks)]
OriginList = Annotated[tuple[str, ...], BeforeValidator(_origins)]
HostList = Annotated[tuple[str, ...], BeforeValidator(lambda value: tuple(map(str.lower, _items(value))))]
Codecs = Annotated[tuple[str, ...], BeforeValidator(_codecs)]
KeyMethods = Annotated[tuple[KeyMethod, ...], BeforeValidator(_key_methods)]
Faults = Annotated[tuple[str, ...], BeforeValidator(_faults)]
PortRange = Annotated[tuple[int, int], BeforeValidator(_ports)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_secrets)]
MaybeSecret = Annotated[SecretStr | None, BeforeValidator(_maybe_secret)]
Token = Annotated[SecretStr | None, BeforeValidator(_maybe_secret), AfterValidator(_token)]
Server = Annotated[tuple[str, int | None], BeforeValidator(_server)]
DnsServers = Annotated[tuple[tuple[str, int], ...], BeforeValidator(_dns_servers)]
Digests = Annotated[tuple[str, ...], BeforeValidator(_digests)]
ReadList = Annotated[tuple[str, ...], BeforeValidator(_read_list)]
DialPatterns = Annotated[tuple[str, ...], BeforeValidator(_dial_patterns)]
HeaderLines = Annotated[tuple[tuple[str, str], ...], BeforeValidator(_header_lines)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
TtsUrl = Annotated[str, AfterValidator(_tts_url)]
Glob = Annotated[
    str,
    AfterValidator(_full_match(re.compile(r"\S+"), 'must be a pattern without spaces such as "*" or "1*"')),
]
AgentName = Annotated[
    str, AfterValidator(_full_match(_AGENT, 'must be "default" or "package.module:function"'))
]
ShortName = Annotated[
    str,
    AfterValidator(
        _full_match(re.compile(r"[A-Za-z0-9_-]{0,32}"), "must have at most 32 letters, digits, _ and -")
    ),
]
SipUser = Annotated[
    str,
    AfterValidator(
        # What needs no escaping in a SIP URI (RFC 3261 §25.1).
        _full_match(
            re.compile(r"[A-Za-z0-9_.!~*'()&=+$,-]{0,64}"),
            "must be the part before the @, of at most 64 letters, digits and _.!~*'()&=+$,-",
        )
    ),
]
Login = Annotated[
    str,
    AfterValidator(
        _full_match(
            re.compile(r'[^"\\\x00-\x1f\x7f]{0,64}'), "must have at most 64 characters, without quotes and \\"
        )
    ),
]
Domain = Annotated[
    str, AfterValidator(_full_match(re.compile(rf"({_HOST})?"), 'must be a host such as "example.org"'))
]
DigitString = Annotated[
    str, AfterValidator(_full_match(re.compile(r"[0-9]{0,5}"), "must have at most 5 digits"))
]
