"""Builds the OpenAPI document, and a page of it that needs no other server."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict, Field

from couponpress.gateway.problems import KINDS, MEDIA_TYPE
from couponpress.gateway.schema_page import model_of, shown_model
from couponpress.spec import TaskSpec

_REF = "#/components/schemas/"


class Shown(BaseModel):
    """What is answered: every field is there."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class EnqueuedOne(Shown):
    """One spec is stored and will end in exactly one outcome."""

    run: str
    task_id: str
    row_id: str
    known: bool = Field(description="It was stored before, with the same body; it is the same work.")


class EnqueuedMany(Shown):
    """A whole stream is stored."""

    run: str
    new: int
    known: int = Field(description="Specs that were stored before, with the same body.")


class RunInList(Shown):
    """The progress of one run, in specs."""

    run: str
    lane: str
    total: int | None = Field(
        description="Specs that the run holds; the counts of all states add up to it. Every count is null when the run "
        "holds specs of brands that the token is not for."
    )
    uploading: int | None = Field(description="Specs stored by a stream that is not at its end.")
    waiting: int | None
    retrying: int | None
    looking: int | None
    paused: int | None
    accepted: int | None
    succeeded: int | None
    failed: int | None
    rejected: int | None
    expired: int | None
    cancelled: int | None
    throttled: int | None = Field(description="Answers of the platform that said: too fast.")
    created_at: float = Field(description="Seconds since 1970.")
    finished_at: float | None = Field(description="Seconds since 1970; null while a spec is open.")
    hold: str | None = Field(description="Why submitting is stopped, when it is.")
    finished: bool


class RunShown(RunInList):
    """The progress of one run, and why specs of it ended badly."""

    reasons: dict[str, int] | None = Field(description="`outcome code` -> specs that ended so; null as the counts.")


class RunList(Shown):
    """The youngest runs."""

    runs: list[RunInList]


class Cancelled(Shown):
    """How many specs were taken back."""

    run: str
    cancelled: int


class Held(Shown):
    """Whether this call held the run."""

    run: str
    held: bool


class Released(Shown):
    """Whether this call released the run."""

    run: str
    released: bool


class Health(Shown):
    """Redis answers."""

    redis: str


class BrokenRule(BaseModel):
    """One field or parameter, and its rule."""

    rule: str
    pointer: str | None = Field(None, description="Of a field in the body: a JSON pointer.")
    line: int | None = Field(None, description="Of a stream, counted from 1.")
    in_: str | None = Field(None, alias="in", description="path, query or header.")
    parameter: str | None = None


class ProblemDocument(BaseModel):
    """A refusal (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[BrokenRule] | None = None


ONE_SPEC: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"$ref": f"{_REF}TaskSpec"}}}}
}
STREAM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "One spec per line, as `TaskSpec`; empty lines do not count.",
        "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
    }
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return how a route's refusals are described."""
    described: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        own = {name: kind for name, kind in KINDS.items() if kind.status == status}
        described[status] = {
            "description": "; ".join(f"{kind.title} (`{name}`)" for name, kind in own.items()),
            "content": {MEDIA_TYPE: {"schema": {"$ref": f"{_REF}ProblemDocument"}}},
        }
        if status in {429, 503}:
            seconds = {"description": "Seconds.", "schema": {"type": "integer"}}
            described[status]["headers"] = {"Retry-After": seconds}
    return described


def results_document() -> dict[int | str, dict[str, Any]]:
    """Return how a run's results are described."""
    line = {"schema": {"type": "string"}}
    return {200: {"description": "One line per spec.", "content": {"application/x-ndjson": line, "text/csv": line}}}


def document_of(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of the routes."""
    document = get_openapi(
        title="couponpress gateway",
        version="1",
        description="Enqueue product-coupon picture tasks, follow them, read their results. docs/protocol.md has "
        "complete calls in several languages.",
        routes=app.routes,
    )
    schemas = document["components"]["schemas"]
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    for model in (TaskSpec, ProblemDocument):
        schema = model.model_json_schema(ref_template=_REF + "{model}")
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    # Rust's end of a text is not known to JSON Schema, whose $ means the same.
    found: dict[str, Any] = json.loads(json.dumps(document).replace(r"\\z", "$"))
    return found


def page_of(document: dict[str, Any]) -> str:
    """Return the document as a page: every path, what it takes, how it answers; and every kind of refusal."""
    shown = [f"<h1>{escape(document['info']['title'])}</h1>", f"<p>{escape(document['info']['description'])}</p>"]
    shown.append('<p>For programs: <a href="/openapi.json">openapi.json</a>.</p>')
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            shown += _operation(method, path, operation, document["components"]["schemas"])
    schemas = document["components"]["schemas"]
    shown.append("<h2>Fields of a spec</h2>")
    shown.append(f"<pre>{escape(schemas['TaskSpec']['description'])}</pre>")
    shown.append(shown_model(schemas["TaskSpec"], schemas))
    shown.append("<h2>Refusals</h2>")
    shown.append(f"<p>The body of each:</p>{shown_model(schemas['ProblemDocument'], schemas)}<dl>")
    for name, kind in KINDS.items():
        shown.append(f'<dt id="{name}"><code>{name}</code>, {kind.status}: {escape(kind.title)}</dt>')
        shown.append(f"<dd>{escape(kind.cure)}</dd>")
    shown.append("</dl>")
    style = "body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}dt{margin-top:.5em}"
    style += "table{border-collapse:collapse}td,th{text-align:left;vertical-align:top;padding:.1em .8em .1em 0}"
    style += "td{overflow-wrap:anywhere}pre{background:#f4f4f4;padding:.5em;overflow:auto}"
    head = f'<meta charset="utf-8"><title>{escape(document["info"]["title"])}</title><style>{style}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(shown)}</body></html>'


def _operation(method: str, path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> list[str]:
    shown = [f"<h2>{method.upper()} <code>{escape(path)}</code></h2>"]
    shown.append(f"<p>{escape(operation['summary'])}. {escape(operation.get('description', ''))}</p><ul>")
    for parameter in operation.get("parameters", []):
        told = escape(json.dumps(parameter["schema"], ensure_ascii=False))
        shown.append(f"<li>{parameter['in']} <code>{escape(parameter['name'])}</code>: <code>{told}</code></li>")
    media_types = operation.get("requestBody", {}).get("content", {})
    for media_type, content in media_types.items():
        shown.append(f"<li>body: <code>{media_type}</code>{_details(content['schema'], schemas)}</li>")
    for status, response in operation["responses"].items():
        shown.append(f"<li>{status}: {escape(response['description'])}")
        if int(status) < 400:
            contents = response.get("content", {}).values()
            shown += [_details(content["schema"], schemas) for content in contents]
        shown.append("</li>")
    return [*shown, "</ul>"]


def _details(schema: dict[str, Any], schemas: dict[str, Any]) -> str:
    """Return the fields of a body or an answer, to be unfolded; nothing where it is lines of text."""
    model = model_of(schema, schemas)
    if model is None:
        return ""
    summary = f"<code>{escape(model['title'])}</code>: fields and an example"
    return f"<details><summary>{summary}</summary>{shown_model(model, schemas)}</details>"
