import asyncio
import json
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from bridge.aio.certificates import self_made, server_context
from bridge.aio.http import HttpServer, HttpSettings, json_answer
from bridge.errors import SetupError
from tests.fakes import SeededIds

TOKEN = "only-for-this-test"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


async def _echo(request: web.Request) -> web.StreamResponse:
    return json_answer({"said": await request.text()})


async def _healthz(_request: web.Request) -> web.StreamResponse:
    return json_answer({"status": "ok"})


async def _broken(_request: web.Request) -> web.StreamResponse:
    raise ZeroDivisionError("a bug of ours")


async def _moved(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPSeeOther("/echo")


async def _unfit(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPBadRequest(text="this does not fit")


ROUTES = [
    web.post("/echo", _echo),
    web.get("/healthz", _healthz),
    web.get("/broken", _broken),
    web.get("/moved", _moved),
    web.get("/unfit", _unfit),
]


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    started = await HttpServer.start(
        HttpSettings(listen=("127.0.0.1", 0), token=TOKEN, hosts=("bridge.example.org",)),
        ROUTES,
        dice=SeededIds(),
    )
    yield started
    await started.close()


async def ask(
    server: HttpServer,
    path: str,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
) -> tuple[int, dict[str, object], dict[str, str]]:
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{server.listen[1]}") as session,
        session.request(method, path, headers=headers, data=body or None, allow_redirects=False) as answer,
    ):
        text = await answer.text()
        assert text.count("\n") == 1 or answer.status == 303
        return answer.status, json.loads(text) if answer.status != 303 else {}, dict(answer.headers)


async def test_health_is_told_to_anybody(server: HttpServer) -> None:
    status, body, _ = await ask(server, "/healthz", headers={"Host": "rebound.example.net", "Origin": "null"})

    assert (status, body) == (200, {"status": "ok"})


async def test_the_token_opens_as_a_header_and_in_the_address(server: HttpServer) -> None:
    by_header = await ask(server, "/echo", method="POST", headers=BEARER, body=b"x")
    by_address = await ask(server, f"/echo?token={TOKEN}", method="POST", body=b"x")

    assert by_header[:2] == by_address[:2] == (200, {"said": "x"})


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/echo", {}),
        ("/echo?token=", {}),
        (f"/echo?token={TOKEN}x", {}),
        ("/echo?token=%FF%00é", {}),
        ("/echo", {"Authorization": TOKEN}),
        ("/echo", {"Authorization": f"Basic {TOKEN}"}),
        (f"/echo?token={TOKEN}", {"Authorization": "Bearer wrong"}),
        ("/nowhere", {}),
        ("/healthz/", {}),
        ("/HEALTHZ", {}),
    ],
)
async def test_without_the_right_token_nothing_is_told(
    server: HttpServer, path: str, headers: dict[str, str]
) -> None:
    status, body, answer = await ask(server, path, method="POST", headers=headers)

    assert (status, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert "token" in str(body["detail"])


@pytest.mark.parametrize(
    "host", ["rebound.example.net", "localhost.example.net", "[", "", "127.0.0.1.nip.io"]
)
async def test_a_foreign_name_for_our_address_is_refused(server: HttpServer, host: str) -> None:
    status, body, _ = await ask(server, "/echo", method="POST", headers={**BEARER, "Host": host})

    assert status == 403
    assert "http.hosts" in str(body["detail"])


@pytest.mark.parametrize(
    "host", ["localhost:1", "127.0.0.1", "192.0.2.1:8080", "[::1]:8080", "Bridge.Example.ORG"]
)
async def test_our_own_names_and_bare_addresses_are_served(server: HttpServer, host: str) -> None:
    status, _, _ = await ask(server, "/echo", method="POST", headers={**BEARER, "Host": host})

    assert status == 200


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://localhost:8080", 200),
        ("https://bridge.example.org", 200),
        ("http://localhost:9999", 403),
        ("http://evil.example.net", 403),
        ("null", 403),
        ("file://localhost:8080", 403),
        ("http://[", 403),
    ],
)
async def test_only_our_own_pages_may_ask(server: HttpServer, origin: str, expected: int) -> None:
    headers = {**BEARER, "Host": "localhost:8080", "Origin": origin}

    status, _, _ = await ask(server, "/echo", method="POST", headers=headers)

    assert status == expected


def problem(status: int, title: str, detail: str) -> dict[str, object]:
    return {"title": title, "status": status, "detail": detail}


async def test_every_error_is_a_problem_in_one_line_of_json(server: HttpServer) -> None:
    unknown = await ask(server, "/nowhere", headers=BEARER)
    wrong_method = await ask(server, "/echo", headers=BEARER)
    too_large = await ask(server, "/echo", method="POST", headers=BEARER, body=bytes(70_000))
    unfit = await ask(server, "/unfit", headers=BEARER)

    assert unknown[:2] == (404, problem(404, "Not Found", "there is no /nowhere"))
    assert unknown[2]["Content-Type"] == "application/problem+json; charset=utf-8"
    assert wrong_method[:2] == (
        405,
        problem(405, "Method Not Allowed", "GET is not allowed here; POST is"),
    )
    assert wrong_method[2]["Allow"] == "POST"
    assert (too_large[0], too_large[1]["detail"]) == (413, "the body is larger than 65536 bytes")
    assert unfit[:2] == (400, problem(400, "Bad Request", "this does not fit"))


async def test_a_bug_is_loud_in_the_log_and_silent_to_the_asker(
    server: HttpServer, caplog: pytest.LogCaptureFixture
) -> None:
    status, body, _ = await ask(server, "/broken", headers=BEARER)

    assert (status, body) == (
        500,
        problem(500, "Internal Server Error", "the server failed; its log says why"),
    )
    assert [record.levelno for record in caplog.records if record.name == "bridge.aio.http"] == [
        logging.ERROR
    ]
    assert TOKEN not in caplog.text


async def test_a_door_at_the_root_opens_no_path_that_only_begins_like_it() -> None:
    server = await HttpServer.start(
        HttpSettings(listen=("127.0.0.1", 0), token=TOKEN), ROUTES, dice=SeededIds(), own_doors=("/", "/web")
    )
    reader, writer = await asyncio.open_connection(*server.listen)

    writer.write(b"GET //unfit HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")

    assert (await reader.read()).startswith(b"HTTP/1.1 401")
    writer.close()
    await server.close()


async def test_a_redirect_stays_a_redirect(server: HttpServer) -> None:
    status, _, headers = await ask(server, "/moved", headers=BEARER)

    assert (status, headers["Location"]) == (303, "/echo")


async def test_answers_are_not_kept_and_leak_no_address(server: HttpServer) -> None:
    _, _, headers = await ask(server, "/healthz")

    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"


async def test_without_a_token_a_new_one_is_made() -> None:
    server = await HttpServer.start(HttpSettings(listen=("127.0.0.1", 0)), ROUTES, dice=SeededIds(7))

    assert server.token == SeededIds(7).token(16)
    assert server.url == f"http://127.0.0.1:{server.listen[1]}/?token={server.token}"
    status, _, _ = await ask(server, f"/unfit?token={server.token}")
    assert status == 400
    await server.close()


async def test_closing_twice_frees_the_port_once_and_for_all() -> None:
    server = await HttpServer.start(
        HttpSettings(listen=("0.0.0.0", 0), token=TOKEN), ROUTES, dice=SeededIds()
    )
    assert server.url.startswith("http://127.0.0.1:")

    await server.close()
    await server.close()

    again = await HttpServer.start(HttpSettings(listen=server.listen, token=TOKEN), ROUTES, dice=SeededIds())
    assert again.listen == server.listen
    await again.close()


async def test_a_busy_port_is_named_with_who_holds_it() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]

        with pytest.raises(
            SetupError, match=rf"http\.listen 127\.0\.0\.1:{port} \(tcp\) is taken by .*process \d+"
        ):
            await HttpServer.start(HttpSettings(listen=("127.0.0.1", port)), ROUTES, dice=SeededIds())


async def test_rubbish_on_the_socket_costs_nobody_else_anything(server: HttpServer) -> None:
    reader, writer = await asyncio.open_connection(*server.listen)
    writer.write(b"\x00\xff\r\n\r\n\x16\x03\x01")
    await reader.read()
    writer.close()
    await writer.wait_closed()

    status, _, _ = await ask(server, "/healthz")

    assert status == 200


async def test_a_request_that_is_no_http_leaves_no_line_and_no_token_in_the_log(
    server: HttpServer, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection(*server.listen)
    writer.write(f"GET /echo?token={TOKEN}{'a' * 20_000} HTTP/1.1\r\n\r\n".encode())

    answer = await reader.read()
    writer.close()

    assert answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
    assert caplog.text == ""


def test_the_token_is_not_shown_by_the_settings() -> None:
    assert TOKEN not in repr(HttpSettings(token=TOKEN))


async def test_https_is_spoken_where_there_is_a_certificate(tmp_path: Path) -> None:
    made = self_made(tmp_path, ["127.0.0.1"])
    settings = HttpSettings(
        listen=("127.0.0.1", 0), token=TOKEN, tls=server_context(made, setting="http.tls_cert")
    )
    server = await HttpServer.start(settings, ROUTES, dice=SeededIds())
    assert server.url.startswith("https://127.0.0.1:")
    knows = ssl.create_default_context(cafile=str(made.certificate))
    async with (
        aiohttp.ClientSession() as client,
        client.get(server.url.replace("/?", "/healthz?"), ssl=knows) as answer,
    ):
        assert answer.status == 200
    await server.close()


async def test_where_everything_is_listened_to_another_machine_is_told_our_name() -> None:
    server = await HttpServer.start(
        HttpSettings(listen=("0.0.0.0", 0), token=TOKEN), ROUTES, dice=SeededIds()
    )
    port = server.listen[1]
    assert server.url_at("192.0.2.7") == f"http://192.0.2.7:{port}/?token={TOKEN}"
    assert server.url == f"http://127.0.0.1:{port}/?token={TOKEN}"
    await server.close()
