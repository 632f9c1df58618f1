"""The API's front door: limits, checked bodies, orders that arrive twice, and problems as answers."""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ValidationError

from bridge.aio.http import json_answer
from bridge.app.api.once import Once
from bridge.app.api.operation import Operation, Outcome
from bridge.app.api.problem import Problem
from bridge.errors import BridgeError, CallEnded, LocalProtocolError
from bridge.ports import Clock
from bridge.sip.guard import RateLimit

__all__ = ["Door"]

_LONGEST_KEY = 128
_EVERYBODY = "token"
"""There is one token; the limit is its."""

_log = logging.getLogger(__name__)

Run: TypeAlias = Callable[[web.Request, Any], Awaitable[Outcome]]
Model = TypeVar("Model", bound=BaseModel)


class Door:
    """Lets orders in.

    Args:
        clock: For limits.
        orders_per_s: Orders a second, twice as many at once; looking is not limited.
    """

    def __init__(self, *, clock: Clock, orders_per_s: int) -> None:
        self.counters: Counter[tuple[str, int]] = Counter()
        """Answers, by operation and status."""
        self._clock = clock
        self._per_s = orders_per_s
        self._rate = RateLimit(orders_per_s)
        self._once = Once(clock)

    def routes(self, operations: Sequence[Operation]) -> list[web.AbstractRouteDef]:
        """What `bridge.aio.http.HttpServer.start` is to serve."""
        return [
            web.route(each.method, each.path, self._handler(each, each.run))
            for each in operations
            if each.run is not None
        ]

    def _handler(self, operation: Operation, run: Run) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                answer = await self._answer(operation, run, request)
            except Problem as problem:
                answer = problem.answer()
            except CallEnded:
                answer = Problem(409, "the call is over").answer()
            except LocalProtocolError:
                raise  # a bug of ours: loud
            except BridgeError as error:
                _log.warning("%s failed: %s", operation.name, type(error).__name__)
                answer = Problem(503, str(error)).answer()
            self.counters[operation.name, answer.status] += 1
            return answer

        return handle

    async def _answer(self, operation: Operation, run: Run, request: web.Request) -> web.StreamResponse:
        if operation.is_safe:
            return _response(operation, await run(request, _asked(operation, request)))
        if not self._rate.admits(_EVERYBODY, now_ns=self._clock.now_ns()):
            raise Problem(
                429,
                f"more than {self._per_s} orders a second",
                fix="raise api.orders_per_s, or wait",
                headers={"Retry-After": "1"},
            )
        if operation.body is None:
            return _response(operation, await run(request, _asked(operation, request)))
        data = await request.read()
        order = _body(operation.body, request, data)
        if (key := request.headers.get("Idempotency-Key")) is None:
            return _response(operation, await run(request, order))
        if not 0 < len(key) <= _LONGEST_KEY or not key.isprintable():
            raise Problem(400, f"an Idempotency-Key has 1 to {_LONGEST_KEY} characters")
        fingerprint = hashlib.sha256(data).digest()
        outcome = await self._once.do(f"{request.path} {key}", fingerprint, lambda: run(request, order))
        return _response(operation, outcome)


def _asked(operation: Operation, request: web.Request) -> BaseModel | None:
    if operation.query is None:
        return None
    wanted = {name: value for name, value in request.query.items() if name != "token"}
    return _checked(operation.query, wanted)


def _body(model: type[Model], request: web.Request, data: bytes) -> Model:
    if not data and not any(field.is_required() for field in model.model_fields.values()):
        return _checked(model, {})
    if request.content_type != "application/json":
        raise Problem(415, "the body must be application/json", headers={"Accept": "application/json"})
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise Problem(400, "the body is no JSON") from None
    if not isinstance(value, dict):
        raise Problem(400, "the body must be a JSON object")
    return _checked(model, value)


def _checked(model: type[Model], value: Mapping[str, object]) -> Model:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        fields: dict[str, str] = {}
        for fault in error.errors(include_url=False, include_context=False, include_input=False):
            name = ".".join(str(part) for part in fault["loc"]) or "body"
            fields[name] = fault["msg"].removeprefix("Value error, ")
        first = next(iter(fields))
        raise Problem(422, f"{first}: {fields[first]}", fields=fields) from None


def _response(operation: Operation, outcome: Outcome) -> web.StreamResponse:
    if outcome.response is not None:
        return outcome.response
    if outcome.body is None:
        return web.Response(status=operation.status)
    body = outcome.body.model_dump(mode="json") if isinstance(outcome.body, BaseModel) else outcome.body
    response = json_answer(body, status=operation.status)
    if outcome.location:
        response.headers["Location"] = outcome.location
    return response
