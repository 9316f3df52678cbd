"""What is asked of Redis for an overview: one command a question, none of which grows with the size of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from redis.client import Pipeline

from couponpress.keys import HELD_SCORE, LANES, Keys, Lane

#: How many of the newest runs are shown.
NEWEST_RUNS: Final = 50
#: How many entries of the send log are read in one round trip.
LOG_BATCH: Final = 200

#: Puts one or more commands into a pipeline.
Ask: TypeAlias = Callable[[Pipeline], object]


def questions_of(keys: Keys) -> dict[str, Ask]:
    """Return what is asked at every reading, by a name for its reply."""
    questions: dict[str, Ask] = {
        "time": lambda pipe: pipe.time(),
        "info": lambda pipe: pipe.info(),
        "newest": lambda pipe: pipe.zrevrange(keys.runs, 0, NEWEST_RUNS - 1),
        "runs": lambda pipe: pipe.zcard(keys.runs),
        "finished": lambda pipe: pipe.zcard(keys.finished),
        "holds": lambda pipe: pipe.hgetall(keys.holds),
        "present": lambda pipe: pipe.hgetall(keys.present),
        "outage": lambda pipe: pipe.get(keys.outage),
        "counts": lambda pipe: pipe.hgetall(keys.counts),
        "totals": lambda pipe: pipe.hgetall(keys.totals),
        "callbacks": lambda pipe: pipe.hgetall(keys.events),
        "schedules": lambda pipe: pipe.hgetall(keys.schedule_successes),
        "dead chunks": lambda pipe: pipe.hlen(keys.dead_letters),
        "dead messages": lambda pipe: pipe.xlen(keys.dead_letter_messages),
        "retries": lambda pipe: pipe.zcard(keys.retries),
        "next retry": lambda pipe: pipe.zrange(keys.retries, 0, 0, withscores=True),
        "lookups": lambda pipe: pipe.zcard(keys.looks),
        "awaiting": lambda pipe: pipe.zcard(keys.awaiting),
        "awaiting since": lambda pipe: pipe.zrange(keys.awaiting, 0, 0, withscores=True),
    }
    for name in ("submit", "query"):
        questions |= _of_limit(keys, name)
    for lane in LANES:
        questions |= _of_lane(keys, lane)
    return questions


def _of_limit(keys: Keys, name: str) -> dict[str, Ask]:
    return {
        f"{name} pace": lambda pipe: pipe.hgetall(keys.pace(name)),
        f"{name} spacing": lambda pipe: pipe.hget(keys.bucket(name), "spacing"),
    }


def _of_lane(keys: Keys, lane: Lane) -> dict[str, Ask]:
    return {
        f"{lane} chunks": lambda pipe: pipe.zcard(keys.open(lane)),
        f"{lane} held": lambda pipe: pipe.zcount(keys.open(lane), HELD_SCORE, "+inf"),
        f"{lane} oldest": lambda pipe: pipe.zrange(keys.waiting_since(lane), 0, 0, withscores=True),
    }


def ask_unfinished(pipeline: Pipeline, keys: Keys) -> None:
    """Ask for every run that is not finished: the one question that costs more, the more runs are kept."""
    pipeline.zdiff([keys.runs, keys.finished])


def ask_log(pipeline: Pipeline, keys: Keys, after: str) -> None:
    """Ask for the next entries of the send log after a stream id, `-` for the first."""
    pipeline.xrange(keys.flight, after, "+", LOG_BATCH)


def ask_runs(pipeline: Pipeline, keys: Keys, numbers: Iterable[str]) -> None:
    """Ask for the record of each run: three hashes."""
    for number in numbers:
        pipeline.hgetall(keys.run(number))
        pipeline.hgetall(keys.reasons(number))
        pipeline.hgetall(keys.reasons_seen(number))
