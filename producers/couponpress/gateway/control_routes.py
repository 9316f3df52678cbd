"""The routes that change runs and the fleet, and those that say what holds and who did it.

Paths, parameters, and what the OpenAPI document says of them; `control`, which each application carries in its state,
does the work and refuses what a token may not do.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Path, Query, Request

from couponpress.gateway.control import Control, end_of
from couponpress.gateway.control_document import (
    AuditList,
    DeadLettersDeleted,
    DeleteBody,
    HoldList,
    LimitBody,
    LimitShown,
    PauseBody,
    RedriveBody,
    Redriven,
    WhyBody,
    WideHeld,
    WideReleased,
)
from couponpress.gateway.document import Cancelled, Held, Released, refusals
from couponpress.gateway.routes import KnownRun, TheCaller
from couponpress.spec import BrandId

#: How an act may be refused.
OF_AN_ACT = refusals(400, 401, 403, 404, 409, 422, 500, 503)
OF_THE_FLEET = refusals(400, 401, 403, 409, 422, 500, 503)

Brand = Annotated[BrandId, Path(description="The brand's id.")]
Text = Annotated[str | None, Query(max_length=100)]


async def _control(request: Request) -> Control:
    return cast(Control, request.app.state.control)


TheControl = Annotated[Control, Depends(_control)]

router = APIRouter(prefix="/v1")


def _now() -> datetime:
    return datetime.now(UTC)


@router.post("/runs/{run:path}/cancel", response_model=Cancelled, responses=OF_AN_ACT, summary="Cancel a run")
def cancel(caller: TheCaller, control: TheControl, run: KnownRun, body: WhyBody | None = None) -> dict[str, Any]:
    """Takes back what the platform has not accepted; accepted specs go on to completion."""
    return {"run": run, "cancelled": control.cancel(caller, run, body.why if body else "")}


@router.post("/runs/{run:path}/pause", response_model=Held, responses=OF_AN_ACT, summary="Pause a run")
def pause(caller: TheCaller, control: TheControl, run: KnownRun, body: PauseBody | None = None) -> dict[str, Any]:
    """Stops submitting it; requests in flight end. `held` is false when it was held for as long before."""
    body = body or PauseBody.model_validate({})
    return {"run": run, "held": control.pause(caller, run, None, body.why, end_of(body.until, body.lasting, _now()))}


@router.post("/runs/{run:path}/resume", response_model=Released, responses=OF_AN_ACT, summary="Resume a run")
def resume(caller: TheCaller, control: TheControl, run: KnownRun, body: WhyBody | None = None) -> dict[str, Any]:
    """Lets it go on from where it stopped. `released` is false when it was not held."""
    return {"run": run, "released": control.resume(caller, run, None, body.why if body else "")}


@router.post("/runs/{run:path}/redrive", response_model=Redriven, responses=OF_AN_ACT, summary="Send specs again")
def redrive(caller: TheCaller, control: TheControl, run: KnownRun, body: RedriveBody | None = None) -> dict[str, Any]:
    """Sends ended specs of a run again, with the same task_ids and bytes; never those that succeeded."""
    body = body or RedriveBody.model_validate({})
    return {"run": run, "again": control.redrive(caller, run, body.outcome, body.code, body.why)}


@router.post("/brands/{brand}/pause", response_model=WideHeld, responses=OF_THE_FLEET, summary="Pause a brand")
def pause_brand(caller: TheCaller, control: TheControl, brand: Brand, body: PauseBody | None = None) -> dict[str, Any]:
    """Stops submitting the brand's specs in every run."""
    body = body or PauseBody.model_validate({})
    return {"held": control.pause(caller, None, brand, body.why, end_of(body.until, body.lasting, _now()))}


@router.post("/brands/{brand}/resume", response_model=WideReleased, responses=OF_THE_FLEET, summary="Resume a brand")
def resume_brand(caller: TheCaller, control: TheControl, brand: Brand, body: WhyBody | None = None) -> dict[str, Any]:
    """Lets the brand's specs go on."""
    return {"released": control.resume(caller, None, brand, body.why if body else "")}


@router.post("/pause", response_model=WideHeld, responses=OF_THE_FLEET, summary="Pause everything")
def pause_everything(caller: TheCaller, control: TheControl, body: PauseBody | None = None) -> dict[str, Any]:
    """Stops all submitting at once; counts nothing first."""
    body = body or PauseBody.model_validate({})
    return {"held": control.pause(caller, None, None, body.why, end_of(body.until, body.lasting, _now()))}


@router.post("/resume", response_model=WideReleased, responses=OF_THE_FLEET, summary="Resume everything")
def resume_everything(caller: TheCaller, control: TheControl, body: WhyBody | None = None) -> dict[str, Any]:
    """Releases the hold of everything; runs and brands that are held by themselves stay so."""
    return {"released": control.resume(caller, None, None, body.why if body else "")}


@router.post(
    "/dead-letters/delete",
    response_model=DeadLettersDeleted,
    responses=OF_THE_FLEET,
    summary="Delete every dead letter",
)
def delete_dead_letters(caller: TheCaller, control: TheControl, body: DeleteBody | None = None) -> dict[str, Any]:
    """Says that a person has seen them. Their specs have ended as expired; a redrive sends those again."""
    body = body or DeleteBody.model_validate({})
    chunks, messages = control.delete_dead_letters(caller, body.why, dry_run=body.dry_run)
    return {"chunks": chunks, "messages": messages}


@router.get("/holds", response_model=HoldList, responses=OF_THE_FLEET, summary="What is held, by whom and why")
def list_holds(caller: TheCaller, control: TheControl) -> dict[str, Any]:
    """The holds of everything, of the token's brands and of its runs."""
    return {"holds": control.holds(caller)}


@router.get("/limit", response_model=LimitShown, responses=OF_THE_FLEET, summary="The rate in force, and why")
def show_limit(caller: TheCaller, control: TheControl) -> dict[str, Any]:
    """The configured rate, the one set by hand, and what the platform was found to take."""
    return control.limit(caller)


@router.put("/limit", response_model=LimitShown, responses=OF_THE_FLEET, summary="Set the rate by hand")
def set_limit(caller: TheCaller, control: TheControl, body: LimitBody) -> dict[str, Any]:
    """Holds for every worker from the next slot on, until it is taken back or ends by itself."""
    control.set_limit(caller, body.rate, body.why, end_of(body.until, body.lasting, _now()))
    return control.limit(caller)


@router.get("/audit", response_model=AuditList, responses=OF_THE_FLEET, summary="Who did what, when and why")
def list_audit(
    caller: TheCaller,
    control: TheControl,
    since: Text = None,
    until: Text = None,
    who: Text = None,
    act: Text = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """Acts and refusals from every door, the latest first, as far as they concern the token's brands and runs."""
    found = control.audit(caller, _now(), since=since, until=until, who=who, act=act, most=limit)
    return {"entries": [asdict(entry) for entry in found]}
