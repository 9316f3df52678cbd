"""The gateway's routes: paths, parameters, and what the OpenAPI document says about them.

A request's shape is checked here; `ingest` and `queries`, which each application carries in its state, answer it. What
changes runs and the fleet stands in `control_routes`.
"""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.responses import Response

from couponpress.gateway.control import Caller, address_of
from couponpress.gateway.document import (
    ONE_SPEC,
    STREAM,
    EnqueuedMany,
    EnqueuedOne,
    Health,
    RunList,
    RunShown,
    refusals,
    results_document,
)
from couponpress.gateway.ingest import KEY_PATTERN, Ingest
from couponpress.gateway.queries import Queries
from couponpress.gateway.rights import Token
from couponpress.gateway.spec_document import SpecShown
from couponpress.keys import Lane
from couponpress.metrics.exposition import MEDIA_TYPE
from couponpress.results import ResultFormat
from couponpress.spec import TaskId

RUN_PATTERN = "[0-9A-Za-z][0-9A-Za-z._-]{0,59}"

Run = Annotated[str, Path(pattern=f"^{RUN_PATTERN}$", description="The run's name.")]
#: A token that sees every run uses their stored names, which may hold anything printable.
KnownRun = Annotated[str, Path(min_length=1, max_length=100, description="The run's name.")]
TaskIdInPath = Annotated[TaskId, Path(description="The spec's task_id.")]
Key = Annotated[
    str | None,
    Header(alias="Idempotency-Key", pattern=KEY_PATTERN, description="The same key gives the same answer for a day."),
]
Credentials = Annotated[
    HTTPAuthorizationCredentials | None,
    Depends(HTTPBearer(auto_error=False, scheme_name="token", description="A token of `couponpress gateway token`.")),
]

#: The refusals of a request that brings specs.
OF_SPECS = refusals(400, 401, 403, 408, 409, 413, 415, 422, 429, 500, 503)
#: How a request about one run or one spec may be refused.
OF_A_RUN = refusals(401, 403, 404, 422, 500, 503)


async def _ingest(request: Request) -> Ingest:
    return cast(Ingest, request.app.state.ingest)


async def _queries(request: Request) -> Queries:
    return cast(Queries, request.app.state.queries)


TheIngest = Annotated[Ingest, Depends(_ingest)]
TheQueries = Annotated[Queries, Depends(_queries)]


async def _caller(request: Request, ingest: TheIngest, credentials: Credentials) -> Caller:
    token = ingest.holder(f"Bearer {credentials.credentials}" if credentials else None)
    request.state.token = token  # for the audit log, when the request is refused
    return Caller(token, address_of(request))


TheCaller = Annotated[Caller, Depends(_caller)]


async def _reader(caller: TheCaller) -> Token:
    caller.require("read")
    return caller.token


async def _writer(caller: TheCaller) -> Token:
    caller.require("enqueue")
    return caller.token


Reader = Annotated[Token, Depends(_reader)]
Writer = Annotated[Token, Depends(_writer)]

router = APIRouter(prefix="/v1")


@router.post(
    "/runs/{run}/specs",
    status_code=202,
    response_model=EnqueuedOne,
    responses=OF_SPECS,
    openapi_extra=ONE_SPEC,
    summary="Enqueue one spec",
)
async def enqueue_one(
    request: Request, token: Writer, ingest: TheIngest, run: Run, lane: Lane = "urgent", _key: Key = None
) -> Response:
    """Stored when it is answered. The same spec again is the same work: `known` is true, nothing is sent twice."""
    return await ingest.take_one(token, run, lane, request.headers, request.receive)


@router.post(
    "/runs/{run}/catalog",
    status_code=202,
    response_model=EnqueuedMany,
    responses=OF_SPECS,
    openapi_extra=STREAM,
    summary="Enqueue a JSONL stream",
)
async def enqueue_stream(
    request: Request, token: Writer, ingest: TheIngest, run: Run, lane: Lane = "bulk", _key: Key = None
) -> Response:
    """One spec per line, a stream of any length. All or none: a broken line or a cut leaves nothing enqueued."""
    return await ingest.take_stream(token, run, lane, request.headers, request.receive)


@router.get(
    "/runs", response_model=RunList, responses=refusals(401, 403, 422, 500, 503), summary="List the youngest runs"
)
def list_runs(token: Reader, queries: TheQueries, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> dict[str, Any]:
    """The runs of the token's namespace, the youngest first."""
    return {"runs": queries.runs(token, limit)}


@router.get(
    "/runs/{run:path}/results",
    response_class=StreamingResponse,
    responses=results_document() | OF_A_RUN,
    summary="A run's results, one line per spec",
)
def stream_results(
    token: Reader,
    queries: TheQueries,
    run: KnownRun,
    format_name: Annotated[ResultFormat, Query(alias="format")] = "jsonl",
) -> StreamingResponse:
    """In the order of enqueueing; `outcome` is empty while a spec is open. Only specs of the token's brands."""
    media_type = "text/csv; charset=utf-8" if format_name == "csv" else "application/x-ndjson"
    return StreamingResponse(queries.results(token, run, format_name), media_type=media_type)


@router.get("/runs/{run:path}", response_model=RunShown, responses=OF_A_RUN, summary="A run's progress")
def show_run(token: Reader, queries: TheQueries, run: KnownRun) -> dict[str, Any]:
    """Counts of specs by state, and `finished`. `reasons` counts `outcome code` of what ended badly."""
    return queries.run(token, run)


@router.get("/specs/{task_id}", response_model=SpecShown, responses=OF_A_RUN, summary="One spec")
def show_spec(token: Reader, queries: TheQueries, task_id: TaskIdInPath) -> dict[str, Any]:
    """Where a spec is, and how it ended."""
    return queries.spec(token, task_id)


@router.get("/health", response_model=Health, responses=refusals(500, 503), summary="Whether specs can be taken")
def health(queries: TheQueries) -> dict[str, str]:
    """For probes and load balancers; takes no token."""
    queries.ping()
    return {"redis": "answers"}


def metrics(token: Reader, queries: TheQueries) -> Response:
    """Return the whole fleet's metrics for Prometheus, to a token that is for every brand."""
    return Response(queries.metrics(token), headers={"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store"})
