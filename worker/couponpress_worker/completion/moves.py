"""What an answer about a task changes: from a judgement to a spec's move in the ledger (pure).

A callback and a query say the same about a task. Each function returns the move for one situation: the task ended, the
spec's submitting ended open, its callback is overdue, or the platform does not know it. None means that nothing
changes and the spec is asked about again later.
"""

from __future__ import annotations

from couponpress.ledger.moves import Move
from couponpress.outcome import State
from couponpress.plurals import counted
from couponpress_worker.wechatpay.judgement import (
    Completed,
    Hold,
    NotFound,
    Processing,
    QueryJudgement,
    Retry,
    Throttled,
)
from couponpress_worker.wechatpay.retry import MAX_TRIES, delay_after_unknown_seconds

#: The platform states no reason for a failure: no source shows a field for one.
FAIL_CODE = "FAIL"
FAIL_MESSAGE = "the platform could not make the picture; it gives no reason"
EXPIRED_CODE = "NO_ANSWER"
GAVE_UP_CODE = "GAVE_UP"


def move_of(reading: Completed | Processing, position: int) -> Move:
    """Return the move of a spec whose task reads so.

    A late PROCESSING never undoes an end: the ledger lets `accept` leave open states only.
    """
    match reading:
        case Processing():
            return Move(position, "accept")
        case Completed(state=State.SUCCEEDED, image_url=url):
            return Move(position, "succeed", image_url=url)
        case _:
            return Move(position, "fail", code=FAIL_CODE, message=FAIL_MESSAGE)


def query_code(judgement: QueryJudgement) -> str:
    """Return what a query that changed nothing was answered, as a code for the spec's history."""
    match judgement:
        case Processing():
            return "PROCESSING"
        case NotFound():
            return "NOT_FOUND"
        case Throttled():
            return "THROTTLED"
        case Completed(state=state):
            return state.name
        case _:
            return judgement.code


def move_after_look(
    judgement: QueryJudgement, position: int, ago_seconds: float, expire_after_seconds: float
) -> Move | None:
    """Return the move of a spec whose submitting ended open, so many seconds ago; None to ask again later.

    No outage is too long, but a brand's refusal may never pass: it counts as no answer once the deadline is over.
    """
    match judgement:
        case Completed() | Processing():
            return move_of(judgement, position)
        case Hold(scope="brand", code=code, message=told) if ago_seconds > expire_after_seconds:
            message = f"sent, but the platform does not tell what became of it: {code} {told}"
            return Move(position, "expire", code=EXPIRED_CODE, message=message)
        case _:
            return None


def move_when_overdue(
    judgement: QueryJudgement,
    position: int,
    tries: int,
    ago_seconds: float,
    expire_after_seconds: float,
    callback_span_seconds: float,
) -> Move | None:
    """Return the move of an accepted spec that was asked about; None when it stays accepted.

    An ending counts whenever it comes. Unknown to the platform: the same bytes again, while tries are left. Not
    ended by the deadline: expired; when the platform gave no usable answer, one callback span later, so that
    nothing is given up for a moment's outage. A limit or a wrong set-up of the partner says nothing about the spec; a
    brand's refusal counts as an answer, for it may never pass.

    Args:
        judgement: what the answer means.
        position: which spec of the chunk.
        tries: how many it has spent; counts when the platform does not know it.
        ago_seconds: when it was accepted.
        expire_after_seconds: the deadline.
        callback_span_seconds: how long apart its queries are.
    """
    match judgement:
        case Completed():
            return move_of(judgement, position)
        case NotFound() if tries < MAX_TRIES:
            return Move(position, "absent", code="NOT_FOUND", message="accepted, yet the platform does not know it")
        case NotFound():
            told = f"accepted, yet the platform does not know it after {counted(tries, 'try', 'tries')}"
            return Move(position, "expire", code=EXPIRED_CODE, message=told)
        case Throttled() | Hold(scope="partner"):
            return None
        case Retry():
            expire_after_seconds += callback_span_seconds
    if ago_seconds <= expire_after_seconds:
        return None
    return Move(position, "expire", code=EXPIRED_CODE, message="accepted, but never finished by the platform")


def move_when_absent(position: int, tries: int, code: str, message: str, request_id: str = "") -> Move:
    """Return the move of a spec that the platform does not know after an open end.

    Known under another brand or type (ALREADY_EXISTS): rejected. Tries left, or one of the last ones: the same bytes
    again. None left: rejected, with what the last try said, and its Request-ID.
    """
    if "ALREADY_EXISTS" in code:
        return Move(position, "reject", code=code, message=message, request_id=request_id)
    delay_seconds = delay_after_unknown_seconds(tries)
    if delay_seconds is None:
        told = f"{counted(tries, 'try', 'tries')}, the last one: {code} {message}"
        return Move(position, "reject", code=GAVE_UP_CODE, message=told, request_id=request_id)
    delay_ms = round(delay_seconds * 1000)
    return Move(position, "absent", delay_ms=delay_ms, code=code, message=message, request_id=request_id)
