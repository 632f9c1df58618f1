"""Fetching: only what is listed, never from inside, never too much; against a server on loopback."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Sequence

import pytest
from aiohttp import web

from bridge.aio.fetch import FetchRefused, FetchTerms, fetch, is_public, look_up

SOUND = b"RIFF" + bytes(range(256)) * 100


class Site:
    """A site that answers what a test wants, and keeps what it was asked."""

    def __init__(self) -> None:
        self.port = 0
        self.asked: list[str] = []
        self.requests: list[web.Request] = []

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        self.requests.append(request)
        match request.path:
            case "/sound.wav":
                return web.Response(body=SOUND)
            case "/large":
                return web.Response(body=bytes(3000))
            case "/endless":
                response = web.StreamResponse()
                await response.prepare(request)
                try:
                    while True:
                        await response.write(bytes(1000))
                except ConnectionError:
                    return response
            case "/bomb":
                return web.Response(body=gzip.compress(bytes(1 << 20)), headers={"Content-Encoding": "gzip"})
            case "/slow":
                await asyncio.sleep(5)
            case path if path.startswith("/hop/"):
                left = int(path.removeprefix("/hop/"))
                raise web.HTTPFound(f"/hop/{left - 1}" if left > 1 else "/sound.wav")
            case "/inside":
                raise web.HTTPFound("http://192.168.0.1/secret")
            case "/metadata":
                raise web.HTTPFound("http://169.254.169.254/latest")
        raise web.HTTPNotFound


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    app = web.Application()
    app.router.add_get("/{rest:.*}", made.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


def terms(site: Site, *hosts: str, within_s: float = 5.0) -> FetchTerms:
    return FetchTerms(hosts=(f"127.0.0.1:{site.port}", *hosts), most_bytes=40_000, within_s=within_s)


def at(site: Site, path: str) -> str:
    return f"http://127.0.0.1:{site.port}{path}"


async def test_what_is_listed_is_fetched(site: Site) -> None:
    assert await fetch(at(site, "/sound.wav"), terms(site)) == SOUND
    assert "Cookie" not in site.requests[0].headers


async def test_three_redirects_are_followed_and_no_fourth(site: Site) -> None:
    assert await fetch(at(site, "/hop/3"), terms(site)) == SOUND

    with pytest.raises(FetchRefused, match="more than 3"):
        await fetch(at(site, "/hop/4"), terms(site))


@pytest.mark.parametrize("path", ["/inside", "/metadata"])
async def test_a_redirect_leads_nowhere_that_is_not_listed(site: Site, path: str) -> None:
    with pytest.raises(FetchRefused, match=r"not fetched from 1(92|69)\."):
        await fetch(at(site, path), terms(site))


async def test_the_address_where_clouds_keep_their_secrets_cannot_be_listed(site: Site) -> None:
    with pytest.raises(FetchRefused, match=r"never fetched from 169\.254"):
        await fetch(at(site, "/metadata"), terms(site, "169.254.169.254"))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://sounds.example/a.wav", "not fetched from sounds.example"),
        ("https://127.0.0.1/a.wav", "not fetched from 127.0.0.1"),
        ("http://127.0.0.1:1/a.wav", "not fetched from 127.0.0.1:1"),
        ("http://[::1]/a.wav", r"not fetched from \[::1\]"),
        ("ftp://127.0.0.1/a.wav", "http:// or https://"),
        ("file:///etc/passwd", "http:// or https://"),
        ("http:///a.wav", "http:// or https://"),
        ("http://a:b@127.0.0.1/a.wav", "name or password"),
        ("http://127.0.0.1:99999/a.wav", "no address"),
        ("http://[/a.wav", "no address"),
        ("a.wav", "http:// or https://"),
    ],
)
async def test_other_addresses_are_refused_before_anything_is_asked(site: Site, url: str, says: str) -> None:
    with pytest.raises(FetchRefused, match=says):
        await fetch(url, terms(site))
    assert site.asked == []


async def test_the_setting_that_would_admit_a_host_is_named(site: Site) -> None:
    with pytest.raises(FetchRefused) as refused:
        await fetch("https://sounds.example:8443/a.wav", terms(site))

    assert refused.value.fix == 'add "sounds.example:8443" to api.play_hosts in the settings'


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fe80::1%lo",
        "fc00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::1",
    ],
)
async def test_a_name_that_leads_inside_is_refused(site: Site, address: str) -> None:
    async def inside(host: str, port: int) -> Sequence[str]:
        return [address]

    with pytest.raises(FetchRefused, match="no public address"):
        await fetch("http://sounds.example/a.wav", terms(site, "sounds.example"), resolve=inside)
    assert site.asked == []


async def test_a_name_is_asked_for_once_and_that_answer_is_connected_to(site: Site) -> None:
    asked: list[str] = []

    async def outside(host: str, port: int) -> Sequence[str]:
        asked.append(f"{host}:{port}")
        return ["127.0.0.1"]

    place = f"sounds.invalid:{site.port}"
    url = f"http://{place}/sound.wav"
    # The name has no address of its own: a second look-up would fail.
    found = await fetch(url, terms(site, place), resolve=outside, admits=lambda address: True)

    assert found == SOUND
    assert asked == [place]


def test_addresses_of_the_internet_are_public() -> None:
    assert is_public("198.41.0.4")
    assert is_public("2001:503:ba3e::2:30")


async def test_a_name_without_an_address_is_no_bug(site: Site) -> None:
    async def nobody(host: str, port: int) -> Sequence[str]:
        raise OSError("no such host")

    with pytest.raises(FetchRefused, match="cannot be fetched"):
        await fetch("http://sounds.example/a.wav", terms(site, "sounds.example"), resolve=nobody)


@pytest.mark.parametrize("path", ["/endless", "/large"])
async def test_what_is_too_large_is_not_read_to_its_end(site: Site, path: str) -> None:
    narrow = FetchTerms(hosts=(f"127.0.0.1:{site.port}",), most_bytes=2000)

    with pytest.raises(FetchRefused, match="larger"):
        await fetch(at(site, path), narrow)


async def test_what_is_packed_is_not_unpacked(site: Site) -> None:
    assert len(await fetch(at(site, "/bomb"), terms(site))) < 2000


async def test_what_does_not_come_is_given_up(site: Site) -> None:
    with pytest.raises(FetchRefused, match=r"within 0\.2 s"):
        await fetch(at(site, "/slow"), terms(site, within_s=0.2))


async def test_what_is_not_there_is_told(site: Site) -> None:
    with pytest.raises(FetchRefused, match="answered 404"):
        await fetch(at(site, "/nothing"), terms(site))


async def test_our_own_name_is_looked_up() -> None:
    assert "127.0.0.1" in await look_up("localhost", 80)
