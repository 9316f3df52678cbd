"""The limit that is really there: how well it is found and used when it is below the configured one, and left again.

One worker is set to 500 a second and has more work than it can send; the platform takes fewer. What arrives is judged
from two seconds after the first request on, for twenty seconds. Then the platform takes 500 again.
"""

import time
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass

from tests.benchmarks.bench import Bench, Line
from tests.benchmarks.processes import Others
from tests.benchmarks.stage import RUN, Stage, stage

CONFIGURED = 500
TOO_FAST = 429
WARM_SECONDS = 2.0
JUDGED_SECONDS = 20.0
GOAL_REFUSED = 0.01
GOAL_SHARE = 0.9
#: The rate is there again when a window of this length holds so much of what the last seconds reach.
WINDOW_SECONDS = 2.0
SHARE_OF_LAST = 0.97
LAST_SECONDS = 5.0


@dataclass(frozen=True)
class Play:
    """A limit below the configured one.

    Attributes:
        limit: submits that the platform takes in any second.
        goal_seconds: until the rate is there again, once the platform takes 500.
        watched_seconds: how long that is watched.
    """

    limit: int
    goal_seconds: float
    watched_seconds: float


PLAYS = (Play(200, 15.0, 30.0), Play(10, 30.0, 45.0))


@dataclass(frozen=True)
class Seen:
    """What one repetition showed: shares, seconds and tries."""

    refused: float
    used: float
    back_seconds: float
    last_share: float
    tries_lost: int
    note_low: str
    note_back: str
    note_tries: str


def measure(bench: Bench) -> list[Line]:
    """Play both limits."""
    lines = []
    for play in PLAYS:
        lines += _lines(play, [_play(bench, play) for _ in range(1 if bench.quick else 2)])
    return lines


def _play(bench: Bench, play: Play) -> Seen:
    judged_until = WARM_SECONDS + JUDGED_SECONDS
    with stage(bench, "throttled", limit=play.limit) as one:
        one.start_workers()
        one.enqueue(bench, round(play.limit * judged_until + CONFIGURED * (play.watched_seconds + 5)))
        one.wait_for_sending(0)
        others = Others()
        first = one.sandbox.statistics()["first_arrival"]
        time.sleep(max(first + judged_until - time.time(), 0))
        raised = time.time() - first
        one.sandbox.control(limit=CONFIGURED)
        time.sleep(play.watched_seconds)
        end = time.time() - first
        beside = str(others)
        _check_work(one)
        one.stop_workers()
        told = one.sandbox.arrivals(tasks=True)
        counted = one.sandbox.statistics()
        with one.client() as client:
            tries = {outcome.task_id: outcome.attempts for outcome in client.outcomes(RUN)}
    arrivals = list(zip(told["offsets"], told["statuses"], strict=True))
    refused = [moment for moment, status in arrivals if status == TOO_FAST]
    taken = [moment for moment, status in arrivals if status != TOO_FAST]
    calls, kept_out = _within(told["offsets"], WARM_SECONDS, judged_until), _within(refused, WARM_SECONDS, judged_until)
    lost = tries_lost(tries, told["task_ids"], told["statuses"])
    more = sum(tries.values()) - counted["accepted"] - counted["doubled"]
    reached = _within(taken, end - LAST_SECONDS, end) / LAST_SECONDS
    return Seen(
        refused=kept_out / calls if calls else 1.0,
        used=_within(taken, WARM_SECONDS, judged_until) / JUDGED_SECONDS / play.limit,
        back_seconds=seconds_until(taken, reached, raised, end),
        last_share=reached / CONFIGURED,
        tries_lost=lost,
        note_low=f"{kept_out} of {calls} calls, {_within(refused, 0, WARM_SECONDS)} more in the first two seconds",
        note_back=f"429 meanwhile: {_within(refused, raised, end)}; sandbox late by {counted['lag_ms']} ms; {beside}",
        note_tries=f"{len(refused)} answers of 429; {more} tries for which nothing was accepted, for whatever reason",
    )


def seconds_until(taken: list[float], reached: float, raised: float, end: float) -> float:
    """Return how long after `raised` the first window begins that holds nearly what is reached in the end."""
    enough = SHARE_OF_LAST * reached * WINDOW_SECONDS
    for number, last in enumerate(taken):
        begin = last - WINDOW_SECONDS
        if raised <= begin and number + 1 - bisect_left(taken, begin) >= enough:
            return begin - raised
    return end - raised


def tries_lost(tries: dict[str, int], task_ids: list[str], statuses: list[int]) -> int:
    """Return the tries, of specs that were answered 429, for which nothing else arrived: that answer spent them."""
    other = Counter(task_id for task_id, status in zip(task_ids, statuses, strict=True) if status != TOO_FAST)
    throttled = {task_id for task_id, status in zip(task_ids, statuses, strict=True) if status == TOO_FAST}
    return sum(max(tries[task_id] - other[task_id], 0) for task_id in throttled)


def _within(moments: list[float], begin: float, end: float) -> int:
    return bisect_left(moments, end) - bisect_left(moments, begin)


def _check_work(one: Stage) -> None:
    with one.client() as client:
        if not client.run(RUN).waiting:
            raise RuntimeError("the work was over before the time was")


def _lines(play: Play, seen: list[Seen]) -> list[Line]:
    low, back = f"{play.limit} enforced", f"{play.limit} enforced, then {CONFIGURED}"

    def line(name: str, unit: str, values: list[float], goal: float | None, notes: list[str], **more: bool) -> Line:
        return Line("throttled", name, unit, values, goal, note=" / ".join(notes), **more)

    return [
        line(
            f"{low}: answered 429",
            "of the calls",
            [one.refused for one in seen],
            GOAL_REFUSED,
            [one.note_low for one in seen],
        ),
        line(
            f"{low}: share of it that is used",
            f"of {play.limit}",
            [one.used for one in seen],
            GOAL_SHARE,
            [],
            at_most=False,
        ),
        line(
            f"{back}: until the rate is there again",
            "s",
            [one.back_seconds for one in seen],
            play.goal_seconds,
            [one.note_back for one in seen],
        ),
        line(
            f"{back}: rate in the last {LAST_SECONDS:g} s",
            f"of {CONFIGURED}",
            [one.last_share for one in seen],
            None,
            [],
        ),
        line(
            f"{back}: tries lost to throttling",
            "tries",
            [one.tries_lost for one in seen],
            0.0,
            [one.note_tries for one in seen],
        ),
    ]
