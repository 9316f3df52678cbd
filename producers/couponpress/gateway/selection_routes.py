"""The routes of acts on all specs that match a filter: count, act on exactly what was counted, look, stop."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Path, Request

from couponpress.gateway.control import end_of
from couponpress.gateway.control_document import PauseBody, SelectionBody, SelectionShown
from couponpress.gateway.document import refusals
from couponpress.gateway.routes import TheCaller
from couponpress.gateway.selections import Selections
from couponpress.ledger.moments import read_length
from couponpress.ledger.selection import Selection

OF_A_SELECTION = refusals(400, 401, 403, 404, 409, 422, 429, 500, 503)

SelectionId = Annotated[str, Path(pattern="^[0-9a-f]{1,32}$", description="The selection's id.")]


async def _selections(request: Request) -> Selections:
    return cast(Selections, request.app.state.selections)


TheSelections = Annotated[Selections, Depends(_selections)]

router = APIRouter(prefix="/v1/selections")


@router.post("", status_code=202, response_model=SelectionShown, responses=OF_A_SELECTION, summary="Count what matches")
def make(caller: TheCaller, selections: TheSelections, body: SelectionBody) -> dict[str, Any]:
    """Finds what matches now, for `cancel` or `redrive`; changes nothing. An empty filter is refused."""
    selection = Selection.of(
        run=body.run,
        brand=body.brand,
        states=tuple(body.states),
        code=body.code,
        lane=body.lane,
        older_than=None if body.older_than is None else read_length(body.older_than),
    )
    return selections.make(caller, body.act, selection)


@router.get("/{selection_id}", response_model=SelectionShown, responses=OF_A_SELECTION, summary="How far it is")
def show(caller: TheCaller, selections: TheSelections, selection_id: SelectionId) -> dict[str, Any]:
    """Counts, and the state."""
    return selections.show(caller, selection_id)


@router.post(
    "/{selection_id}/act", status_code=202, response_model=SelectionShown, responses=OF_A_SELECTION, summary="Do it"
)
def act_on(
    caller: TheCaller, selections: TheSelections, selection_id: SelectionId, body: PauseBody | None = None
) -> dict[str, Any]:
    """Begins to change exactly the specs that were counted, in the background. Only a pause takes `until` or `for`."""
    body = body or PauseBody.model_validate({})
    return selections.act(caller, selection_id, body.why, end_of(body.until, body.lasting, datetime.now(UTC)))


@router.post("/{selection_id}/stop", response_model=SelectionShown, responses=OF_A_SELECTION, summary="Stop it")
def stop(caller: TheCaller, selections: TheSelections, selection_id: SelectionId) -> dict[str, Any]:
    """Stops after the step in hand; what was done stays done."""
    return selections.stop(caller, selection_id)
