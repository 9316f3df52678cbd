"""Shows a JSON schema as HTML for people: its fields with types, rules and meanings, and an example (pure)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

Schema = Mapping[str, Any]

#: Values for examples, by the names of fields.
_VALUES: Mapping[str, Any] = {
    "brand_id": "120344",
    "brand": "120344",
    "task_id": "cut-out-000001",
    "image_generation_type": "CUT_OUT",
    "cut_out": {"image_url": "https://wxpaylogo.qpic.cn/wxpaylogo/1.png"},
    "image_url": "https://wxpaylogo.qpic.cn/wxpaylogo/1.png",
    "row_id": "SP-1",
    "run": "may",
    "lane": "bulk",
    "why": "a wrong price",
    "for": "2h",
    "rate": "300/second",
    "older_than": "2h",
    "created_at": 1767225600.0,
    "at": 1767225600.0,
    "since": 1767225600.0,
}
#: The rules of a schema, in words.
_RULES: Mapping[str, str] = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "pattern": "matches {}",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "minItems": "at least {} values",
    "maxItems": "at most {} values",
    "format": "{}",
}


def model_of(content: Schema, schemas: Mapping[str, Schema]) -> Schema | None:
    """Return the object that a body or an answer is; None when it is text."""
    kinds = [_resolved(one, schemas) for one in _kinds(content)]
    return next((kind for kind in kinds if "properties" in kind), None)


def shown_model(model: Schema, schemas: Mapping[str, Schema]) -> str:
    """Return a model's fields as a table, those of objects within it below their own, and an example."""
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code></td><td>{escape(kind)}</td><td>{escape(rules)}</td>"
        f"<td>{escape(meaning)}</td></tr>"
        for field, kind, rules, meaning in _fields(model, schemas, "")
    )
    head = "<tr><th>field</th><th>type</th><th>rules</th><th>meaning</th></tr>"
    example = json.dumps(example_of(model, schemas), ensure_ascii=False, indent=2)
    return f"<table>{head}{rows}</table><p>Example:</p><pre>{escape(example)}</pre>"


def example_of(model: Schema, schemas: Mapping[str, Schema]) -> dict[str, Any]:
    """Return an example: what is required, and whatever else has a value that says something."""
    required = set(model.get("required", ()))
    return {
        name: _VALUES[name] if name in _VALUES else _value(schema, schemas)
        for name, schema in model["properties"].items()
        if name in required or (name in _VALUES and name != "image_url")
    }


def _fields(model: Schema, schemas: Mapping[str, Schema], prefix: str) -> list[tuple[str, str, str, str]]:
    found = []
    required = set(model.get("required", ()))
    for name, schema in model["properties"].items():
        kinds = [_resolved(one, schemas) for one in _kinds(schema)]
        rules = ["required"] if name in required else []
        if schema.get("default") not in (None, "", []):
            rules.append(f"{json.dumps(schema['default'])} when absent")
        for kind in (*kinds, *(_resolved(kind["items"], schemas) for kind in kinds if "items" in kind)):
            rules += [words.format(kind[rule]) for rule, words in _RULES.items() if rule in kind]
            rules += ["one of " + ", ".join(map(str, kind["enum"]))] if "enum" in kind else []
        meaning = schema.get("description", "")
        found.append((prefix + name, " or ".join(_type(kind, schemas) for kind in kinds), "; ".join(rules), meaning))
        for kind in kinds:
            inner, step = kind, f"{prefix}{name}."
            if "items" in kind:
                inner, step = _resolved(kind["items"], schemas), f"{prefix}{name}[]."
            if "properties" in inner:
                found += _fields(inner, schemas, step)
    return found


def _kinds(schema: Schema) -> list[Schema]:
    """Return what a value may be: a list of one, unless it may be of several types."""
    kinds: list[Schema] = [*schema.get("anyOf", schema.get("oneOf", [schema]))]
    return kinds


def _resolved(schema: Schema, schemas: Mapping[str, Schema]) -> Schema:
    reference = schema.get("$ref")
    return schema if reference is None else schemas[reference.rpartition("/")[2]]


def _type(schema: Schema, schemas: Mapping[str, Schema]) -> str:
    if "items" in schema:
        return f"array of {_type(_resolved(schema['items'], schemas), schemas)}"
    return str(schema.get("type", "string" if "enum" in schema else "any"))


def _value(schema: Schema, schemas: Mapping[str, Schema]) -> Any:  # noqa: ANN401 - any JSON value
    kind = _resolved(_kinds(schema)[0], schemas)
    if "default" in schema and schema["default"] is not None:
        return schema["default"]
    if "enum" in kind:
        return kind["enum"][0]
    if "properties" in kind:
        return example_of(kind, schemas)
    if "items" in kind:
        return [_value(kind["items"], schemas)]
    plain = {"string": "", "integer": 1, "number": 1.0, "boolean": True, "object": {}}
    return plain.get(str(kind.get("type")))
