"""Turns every refusal into a problem document (RFC 9457), media type application/problem+json.

The kinds of refusal stand here, with their status and with what a caller is told of an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

import redis
from starlette.responses import Response

from couponpress.errors import (
    ConflictError,
    InputError,
    Problem,
    RedisFullError,
    RedisUnavailableError,
    UnknownRunError,
)
from couponpress.gateway.asked_language import TAGS, asked_language
from couponpress.gateway.problem_sentences import in_words
from couponpress.language import gettext, gettext_noop, speaking
from couponpress.ledger.scripts import REDIS_AWAY
from couponpress.transport.redis_refusals import redis_unavailable

MEDIA_TYPE = "application/problem+json"
#: Where the page that describes every kind is; `type` leads there.
PAGE = "/docs"

#: Seconds after which a caller may ask again, when nothing better is known.
REDIS_RETRY_SECONDS = 5


class Kind(NamedTuple):
    """One kind of refusal: its status, its title, and what a caller does about it."""

    status: int
    title: str
    cure: str


KINDS: dict[str, Kind] = {
    "not-json": Kind(400, gettext_noop("The body is not JSON"), "Send one JSON value in UTF-8."),
    "cut-off": Kind(
        400, gettext_noop("The body did not come to its end"), "Send it again whole; nothing of it was enqueued."
    ),
    "no-token": Kind(401, gettext_noop("A valid bearer token is needed"), "Send `Authorization: Bearer TOKEN`."),
    "brand-not-allowed": Kind(
        403, gettext_noop("The token is not for this brand"), "Use the token that is for the brand."
    ),
    "role-not-allowed": Kind(
        403, gettext_noop("The token's role does not allow this"), "Use a token of a role that may."
    ),
    "no-such-path": Kind(404, gettext_noop("There is nothing here"), "Look at the paths of this page."),
    "no-such-run": Kind(
        404, gettext_noop("There is no such run"), "`GET /v1/runs` lists the runs that your token sees."
    ),
    "no-such-spec": Kind(
        404, gettext_noop("There is no such spec"), "It was never enqueued, is forgotten, or is not yours to see."
    ),
    "no-such-selection": Kind(
        404, gettext_noop("There is no such selection"), "Make it again: a gateway keeps it for an hour."
    ),
    "wrong-method": Kind(
        405, gettext_noop("The path does not take this method"), "The header `Allow` says which it takes."
    ),
    "too-slow": Kind(408, gettext_noop("The body did not come in time"), "Send it again; nothing of it was enqueued."),
    "conflict": Kind(
        409, gettext_noop("The request contradicts what is stored"), "Change the task_id, the lane or the run's name."
    ),
    "too-large": Kind(413, gettext_noop("The body or a line of it is too large"), "Send less at a time."),
    "wrong-media-type": Kind(
        415, gettext_noop("The path takes another media type"), "Set `Content-Type` as the path says."
    ),
    "invalid": Kind(422, gettext_noop("The request breaks a rule"), "`errors` names each field and its rule."),
    "key-reused": Kind(
        422, gettext_noop("The Idempotency-Key was used with another request"), "Use a new key for a new request."
    ),
    "quota-used-up": Kind(
        429, gettext_noop("The token's quota of today is used up"), "Wait as `Retry-After` says, or ask for more."
    ),
    "backlog-full": Kind(429, gettext_noop("Too many specs wait already"), "Wait as `Retry-After` says."),
    "busy": Kind(429, gettext_noop("Too many requests at once"), "Wait as `Retry-After` says."),
    "internal": Kind(500, gettext_noop("The gateway failed"), "Send it again; the gateway's log says what happened."),
    "redis-away": Kind(
        503, gettext_noop("The store does not answer"), "Send the same again later: nothing is stored twice."
    ),
    "redis-full": Kind(503, gettext_noop("The store is full"), "Send the same again later: nothing of it was stored."),
}


class Refusal(Exception):  # noqa: N818 - it is what a caller gets, not what went wrong here
    """A request that is refused, and how it is told."""

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        retry_after_seconds: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after_seconds = retry_after_seconds
        self.headers = dict(headers or {})

    @property
    def status(self) -> int:
        """The HTTP status."""
        return KINDS[self.kind].status

    def document(self) -> dict[str, Any]:
        """Return the problem document; its title and detail are in the language that the request asks for."""
        with speaking(asked_language()):
            title, detail = gettext(KINDS[self.kind].title), in_words(self.detail)
        told: dict[str, Any] = {
            "type": f"{PAGE}#{self.kind}",
            "title": title,
            "status": self.status,
            "detail": detail,
        }
        return told | ({"errors": list(self.errors)} if self.errors else {})

    def response(self) -> Response:
        """Return the answer."""
        headers = {**self.headers, "Content-Language": TAGS[asked_language()], "Vary": "Accept-Language"}
        if self.retry_after_seconds is not None:
            headers["Retry-After"] = str(self.retry_after_seconds)
        if self.status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="couponpress"'
        return Response(json.dumps(self.document()), self.status, headers, MEDIA_TYPE)


def pointer(*steps: str | int) -> str:
    """Return a JSON pointer as a URI fragment (RFC 6901), the form that RFC 9457 shows."""
    escaped = (str(step).replace("~", "~0").replace("/", "~1") for step in steps)
    return "#" + "".join("/" + quote(step, safe="~", errors="replace") for step in escaped)


def broken_rules(problems: Sequence[Problem], line: int | None = None) -> list[dict[str, Any]]:
    """Return a spec's broken rules as members of a problem document; the line is a stream's, counted from 1."""
    where = {} if line is None else {"line": line}
    return [{**where, "pointer": pointer(*one.field.split(".")), "rule": one.rule} for one in problems]


def bad_parameter(place: str, name: str, rule: str) -> Refusal:
    """Return the refusal of a path, query or header parameter."""
    told = {"in": place, "parameter": name, "rule": rule}
    return Refusal("invalid", f"the {place} parameter {name} {rule}", errors=[told])


_TASK_ID_TAKEN = {"pointer": pointer("task_id"), "rule": "must be new, or come with the body that it is known with"}


def task_id_taken(task_id: str, known_in: str | None) -> Refusal:
    """Return the refusal of a task_id that is known otherwise; the run only when the caller may know it."""
    where = f"in run {known_in} with another body" if known_in else "in a run that is not yours"
    return Refusal("conflict", f"task_id {task_id} is known already, {where}", errors=[_TASK_ID_TAKEN])


def refusal_of(error: Exception) -> Refusal | None:
    """Return how an error is told; None for one that nobody foresaw."""
    return next((told(error) for kinds, told in _TOLD if isinstance(error, kinds)), None)


def _away(_: object) -> Refusal:
    detail = "the store did not answer; send the same again: what was stored is not stored twice"
    return Refusal("redis-away", detail, retry_after_seconds=REDIS_RETRY_SECONDS)


def _full(_: object) -> Refusal:
    return Refusal("redis-full", "nothing of this request was stored", retry_after_seconds=60)


def _conflict(error: ConflictError) -> Refusal:
    # The run that knows it may be another shop's, so it is not named.
    detail = f"task_id {error.task_id} is known with another body, or stands twice with different ones"
    return Refusal("conflict", f"{detail}; nothing was enqueued", errors=[_TASK_ID_TAKEN])


def _refused_by_server(error: redis.ResponseError) -> Refusal | None:
    return _away(error) if redis_unavailable("", error) else None


#: How each kind of error is told; the first that fits.
_TOLD: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Callable[[Any], Refusal | None]], ...] = (
    (Refusal, lambda refusal: refusal),
    ((RedisFullError, redis.OutOfMemoryError), _full),
    (UnknownRunError, lambda _: Refusal("no-such-run", "your token sees no run of that name")),
    (ConflictError, _conflict),
    (InputError, lambda error: Refusal("conflict", str(error))),
    ((RedisUnavailableError, redis.InvalidResponse, *REDIS_AWAY), _away),
    (redis.ResponseError, _refused_by_server),
)
