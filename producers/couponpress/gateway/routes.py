"""The gateway's routes: paths, parameters, and what the OpenAPI document says about them.

A request's shape is checked here. It is answered by `ingest` or `queries`, which the application has in its state.
"""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.responses import Response

from couponpress.gateway.document import (
    ONE_SPEC,
    STREAM,
    Cancelled,
    EnqueuedMany,
    EnqueuedOne,
    Health,
    Held,
    Released,
    RunList,
    RunShown,
    SpecShown,
    refusals,
    results_document,
)
from couponpress.gateway.ingest import KEY_PATTERN, Ingest
from couponpress.gateway.queries import Queries
from couponpress.gateway.tokens import Token
from couponpress.keys import Lane
from couponpress.metrics.text_format import MEDIA_TYPE
from couponpress.results import ResultFormat
from couponpress.spec import TaskId

RUN_PATTERN = "[0-9A-Za-z][0-9A-Za-z._-]{0,59}"

Run = Annotated[str, Path(pattern=f"^{RUN_PATTERN}$", description="The run's name.")]
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
#: The refusals of a request about one run or one spec.
OF_A_RUN = refusals(401, 404, 422, 500, 503)


async def _ingest(request: Request) -> Ingest:
    return cast(Ingest, request.app.state.ingest)


async def _queries(request: Request) -> Queries:
    return cast(Queries, request.app.state.queries)


TheIngest = Annotated[Ingest, Depends(_ingest)]
TheQueries = Annotated[Queries, Depends(_queries)]


async def _holder(ingest: TheIngest, credentials: Credentials) -> Token:
    return ingest.holder(f"Bearer {credentials.credentials}" if credentials else None)


Holder = Annotated[Token, Depends(_holder)]

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
    request: Request, token: Holder, ingest: TheIngest, run: Run, lane: Lane = "urgent", _key: Key = None
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
    request: Request, token: Holder, ingest: TheIngest, run: Run, lane: Lane = "bulk", _key: Key = None
) -> Response:
    """One spec per line, a stream of any length. All or none: a broken line or a cut leaves nothing enqueued."""
    return await ingest.take_stream(token, run, lane, request.headers, request.receive)


@router.get("/runs", response_model=RunList, responses=refusals(401, 422, 500, 503), summary="List the youngest runs")
def list_runs(token: Holder, queries: TheQueries, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> dict[str, Any]:
    """The runs of the token's namespace, the youngest first."""
    return {"runs": queries.runs(token, limit)}


@router.get("/runs/{run}", response_model=RunShown, responses=OF_A_RUN, summary="A run's progress")
def show_run(token: Holder, queries: TheQueries, run: Run) -> dict[str, Any]:
    """Counts of specs by state, and `finished`. `reasons` counts `outcome code` of what ended badly."""
    return queries.run(token, run)


@router.get(
    "/runs/{run}/results",
    response_class=StreamingResponse,
    responses=results_document() | OF_A_RUN,
    summary="A run's results, one line per spec",
)
def stream_results(
    token: Holder, queries: TheQueries, run: Run, format_name: Annotated[ResultFormat, Query(alias="format")] = "jsonl"
) -> StreamingResponse:
    """In the order of enqueueing; `outcome` is empty while a spec is open. Only specs of the token's brands."""
    media_type = "text/csv; charset=utf-8" if format_name == "csv" else "application/x-ndjson"
    return StreamingResponse(queries.results(token, run, format_name), media_type=media_type)


@router.get("/specs/{task_id}", response_model=SpecShown, responses=OF_A_RUN, summary="One spec")
def show_spec(token: Holder, queries: TheQueries, task_id: TaskIdInPath) -> dict[str, Any]:
    """Where a spec is, and how it ended."""
    return queries.spec(token, task_id)


@router.post("/runs/{run}/cancel", response_model=Cancelled, responses=OF_A_RUN, summary="Cancel a run")
def cancel(token: Holder, queries: TheQueries, run: Run) -> dict[str, Any]:
    """Takes back what the platform has not accepted; accepted specs go on to completion."""
    return {"run": run, "cancelled": queries.cancel(token, run)}


@router.post("/runs/{run}/pause", response_model=Held, responses=OF_A_RUN, summary="Pause a run")
def pause(token: Holder, queries: TheQueries, run: Run) -> dict[str, Any]:
    """Stops submitting it; requests in flight end. `held` is false when it was held before."""
    return {"run": run, "held": queries.pause(token, run)}


@router.post("/runs/{run}/resume", response_model=Released, responses=OF_A_RUN, summary="Resume a run")
def resume(token: Holder, queries: TheQueries, run: Run) -> dict[str, Any]:
    """Lets it go on from where it stopped. `released` is false when it was not held."""
    return {"run": run, "released": queries.resume(token, run)}


@router.get("/health", response_model=Health, responses=refusals(500, 503), summary="Whether specs can be taken")
def health(queries: TheQueries) -> dict[str, str]:
    """For probes and load balancers; takes no token."""
    queries.ping()
    return {"redis": "answers"}


def metrics(token: Holder, queries: TheQueries) -> Response:
    """Return the whole fleet's metrics for Prometheus, to a token that is for every brand."""
    return Response(queries.metrics(token), headers={"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store"})
