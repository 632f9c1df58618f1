"""The OpenAPI 3.1 document, made of the operations and the models that check them."""

import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from bridge.aio.http import PROBLEM
from bridge.app.api.answers import ProblemDetails
from bridge.app.api.desk_notes import DESK
from bridge.app.api.notes import EVENT, Closing, Hello, Pong
from bridge.app.api.operation import Operation

__all__ = ["document"]

_REF = "#/components/schemas/{model}"
_ALWAYS = (401, 403, 429)
_PROBLEMS = {
    400: "The body or a header cannot be read.",
    401: "No token, or a wrong one.",
    403: "Not admitted by the settings.",
    404: "There is no such call.",
    409: "The call does not stand yet, or what is asked for does not fit to how it stands.",
    410: "The call is over, or its caller gave up.",
    415: "The body is not JSON.",
    422: "The body is not what this takes; `fields` says where.",
    426: "A WebSocket is needed.",
    429: "Too many orders, or too much is waiting.",
    500: "The call failed.",
    503: "No room, or the bridge is shutting down.",
    504: "No answer in time.",
}
_ABOUT = """Steers calls and tells what happens in them.

Every request carries the token, as `Authorization: Bearer …` or `?token=…`. Refusals are problems
(RFC 9457) whose `fix` names the setting that would admit what was refused. A POST with an
`Idempotency-Key` is carried out once in ten minutes, however often it arrives."""


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """Describe the API."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "cosybridge", "version": version("cosybridge"), "description": _ABOUT},
        "security": [{"bearer": []}, {"query": []}],
        "paths": paths,
        "components": {
            "schemas": _schemas(operations),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "query": {"type": "apiKey", "in": "query", "name": "token"},
            },
        },
    }


def _described(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": _parameters(operation),
        "responses": _responses(operation),
    }
    if operation.text:
        described["description"] = operation.text
    if operation.body is not None:
        content: dict[str, Any] = {"schema": _to(operation.body)}
        if operation.examples:
            content["examples"] = {
                f"example {number}": {"value": value} for number, value in enumerate(operation.examples, 1)
            }
        is_needed = any(field.is_required() for field in operation.body.model_fields.values())
        described["requestBody"] = {"required": is_needed, "content": {"application/json": content}}
    elif operation.takes:
        described["requestBody"] = {
            "required": True,
            "content": {operation.takes: {"schema": {"type": "string"}}},
        }
    return described


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", operation.path)
    ]
    if operation.query is not None:
        schema = operation.query.model_json_schema()
        parameters += [
            {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": each}
            for name, each in schema["properties"].items()
        ]
    parameters += [
        {"name": name, "in": "query", "required": False, "schema": {"type": "string"}}
        for name in operation.may_name
    ]
    if operation.body is not None:
        key = {"type": "string", "minLength": 1, "maxLength": 128}
        parameters.append({"name": "Idempotency-Key", "in": "header", "required": False, "schema": key})
    return parameters


def _responses(operation: Operation) -> dict[str, Any]:
    done: dict[str, Any] = {"description": operation.summary}
    if operation.status == 101:
        done["content"] = {"application/json": {"schema": {"$ref": _REF.format(model=operation.messages)}}}
    elif operation.answer is not None:
        done["content"] = {"application/json": {"schema": _to(operation.answer)}}
    elif operation.status == 200 or operation.content_type != "application/json":
        kind = "object" if operation.content_type == "application/json" else "string"
        done["content"] = {operation.content_type: {"schema": {"type": kind}}}
    responses = {str(operation.status): done}
    body_faults = (400, 415, 422) if operation.body is not None else ()
    query_faults = (422,) if operation.query is not None else ()
    for status in sorted({*_ALWAYS, *operation.problems, *body_faults, *query_faults}):
        responses[str(status)] = {
            "description": _PROBLEMS[status],
            "content": {PROBLEM: {"schema": _to(ProblemDetails)}},
        }
    return responses


def _schemas(operations: Sequence[Operation]) -> dict[str, Any]:
    taken = {operation.body for operation in operations if operation.body is not None}
    given = {operation.answer for operation in operations if operation.answer is not None}
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        *((model, "validation") for model in sorted(taken, key=_name)),
        *((model, "serialization") for model in sorted(given, key=_name)),
        (ProblemDetails, "serialization"),
        (Hello, "serialization"),
        (Pong, "serialization"),
        (Closing, "serialization"),
    ]
    _, definitions = models_json_schema(wanted, ref_template=_REF)
    events = EVENT.json_schema(mode="serialization", ref_template=_REF, schema_generator=GenerateJsonSchema)
    schemas = {**definitions["$defs"], **events.pop("$defs")}
    schemas["Event"] = events
    outside = [_to(model) for model in (Hello, Pong, Closing)]
    schemas["Message"] = {"oneOf": [{"$ref": "#/components/schemas/Event"}, *outside]}
    desk = DESK.json_schema(mode="serialization", ref_template=_REF, schema_generator=GenerateJsonSchema)
    schemas |= desk.pop("$defs")
    schemas["DeskMessage"] = desk
    return schemas


def _name(model: type[BaseModel]) -> str:
    return model.__name__


def _to(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}
