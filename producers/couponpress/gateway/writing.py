"""Turns a request body into a serialized spec, or into a refusal that names the field and the rule.

A body is parsed by `TaskSpec.parse` in strict mode, because a program should be told of its mistake; the gateway does
not guess.
"""

from __future__ import annotations

import pydantic_core

from couponpress.errors import SpecError
from couponpress.gateway.problems import Refusal, broken_rules, pointer
from couponpress.gateway.rights import Token
from couponpress.serialized_spec import SerializedSpec
from couponpress.spec import TaskSpec

#: The largest body of one spec and the longest line of a stream, about twenty times what a spec needs.
SPEC_LIMIT_BYTES = 16 * 1024


def written_spec(body: bytes, token: Token, line: int | None = None) -> SerializedSpec:
    """Read one spec. Errors in a stream name the line.

    Raises:
        Refusal: it is not JSON, breaks a rule, or is of a brand that the token is not for.
    """
    where = "the body" if line is None else f"line {line}"
    try:
        raw = pydantic_core.from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Refusal("not-json", f"{where} is not JSON: {error}", errors=_place(line, "must be JSON")) from None
    try:
        spec, _ = TaskSpec.parse(raw, strict=True)
    except SpecError as error:
        rules = broken_rules(error.problems, line)
        if not isinstance(raw, dict):
            rules = _place(line, "must be an object with the request's fields")
        raise Refusal("invalid", f"{where} breaks {_rules(len(rules))}", errors=rules) from None
    if not token.may_use(spec.brand_id):
        told = {"pointer": pointer("brand_id"), "rule": "must be a brand of the token"}
        detail = f"{where}: token {token.name} is not for brand {spec.brand_id}"
        raise Refusal("brand-not-allowed", detail, errors=[told if line is None else {"line": line, **told}])
    return SerializedSpec.of(spec)


def _place(line: int | None, rule: str) -> list[dict[str, str | int]]:
    told: dict[str, str | int] = {"pointer": pointer(), "rule": rule}
    return [told if line is None else {"line": line, **told}]


def _rules(count: int) -> str:
    return "a rule" if count == 1 else f"{count} rules"
