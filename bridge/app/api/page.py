"""The API's description for a person: one page of HTML, made of the document, without a script."""

import json
from collections.abc import Iterator
from html import escape
from typing import Any

__all__ = ["page"]

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
body { background: Canvas; color: CanvasText; }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre { overflow-x: auto; padding: .6rem; border: 1px solid #8885; border-radius: 4px; }
h2, h3 { margin-top: 2.2rem; line-height: 1.3; } h3 code { font-size: 1rem; }
nav ol { padding: 0; list-style: none; columns: 22rem; } nav a { display: inline-block; min-height: 1.7rem; }
table { border-collapse: collapse; }
td { padding: .15rem .7rem .15rem 0; vertical-align: top; }
"""


def page(document: dict[str, Any]) -> str:
    """Write an OpenAPI document as a page."""
    info = document["info"]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8"><title>cosybridge API</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>{_STYLE}</style></head><body>",
            f"<header><h1>cosybridge API {escape(info['version'])}</h1>",
            *(f"<p>{_text(part)}</p>" for part in info["description"].split("\n\n")),
            "</header>",
            *_contents(document),
            "<main><h2>What can be asked for</h2>",
            *_operations(document),
            "<h2>Schemas</h2>",
            *_schemas(document["components"]["schemas"]),
            "</main></body></html>",
            "",
        ]
    )


def _contents(document: dict[str, Any]) -> Iterator[str]:
    yield '<nav aria-label="Contents"><ol>'
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            way = f"<code>{method.upper()} {escape(path)}</code>"
            yield f'<li><a href="#{escape(operation["operationId"])}">{way}</a></li>'
    yield "</ol></nav>"


def _operations(document: dict[str, Any]) -> Iterator[str]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            way = f"<code>{method.upper()} {escape(path)}</code>"
            yield f'<h3 id="{escape(operation["operationId"])}">{way} {escape(operation["summary"])}</h3>'
            if "description" in operation:
                yield f"<p>{_text(operation['description'])}</p>"
            yield from _parameters(operation)
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            if body:
                yield f"<p>Body: {_type(body['schema'])}</p>"
            for example in body.get("examples", {}).values():
                yield f"<pre>{escape(json.dumps(example['value'], ensure_ascii=False))}</pre>"
            yield "<table>"
            for status, answer in operation["responses"].items():
                kinds = [_type(content["schema"]) for content in answer.get("content", {}).values()]
                yield _row(status, _text(answer["description"]), "".join(kinds))
            yield "</table>"


def _parameters(operation: dict[str, Any]) -> Iterator[str]:
    for each in operation["parameters"]:
        about = _text(each["schema"].get("description", ""))
        yield f"<p><code>{escape(each['name'])}</code> in the {each['in']}. {about}</p>"


def _schemas(schemas: dict[str, Any]) -> Iterator[str]:
    for name, schema in sorted(schemas.items()):
        yield f'<h3 id="{escape(name)}"><code>{escape(name)}</code></h3>'
        if "description" in schema:
            yield f"<p>{_text(schema['description'])}</p>"
        if "properties" not in schema:
            yield f"<p>{_type(schema)}</p>"
            continue
        yield "<table>"
        for field, kind in schema["properties"].items():
            mark = "" if field in schema.get("required", ()) else " (optional)"
            about = _text(kind.get("description", ""))
            yield _row(f"<code>{escape(field)}</code>{mark}", _type(kind), about)
        yield "</table>"


def _row(*cells: str) -> str:
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _type(schema: dict[str, Any]) -> str:
    """A schema in a word or two, with links."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{escape(name)}"><code>{escape(name)}</code></a>'
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(_type(each) for each in schema[key])
    if "const" in schema:
        return f"<code>{escape(json.dumps(schema['const']))}</code>"
    if "enum" in schema:
        return " or ".join(f"<code>{escape(json.dumps(each))}</code>" for each in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return escape(str(schema.get("type", "anything")))


def _text(text: str) -> str:
    """Plain text with `code` in it."""
    parts = text.replace("``", "`").split("`")
    return "".join(
        f"<code>{escape(part)}</code>" if index % 2 else escape(part) for index, part in enumerate(parts)
    )
