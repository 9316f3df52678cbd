"""The plan of a chaos run: the same for the same seed, complete, and possible."""

import itertools

import pytest

from couponpress_worker.sandbox.options import Behaviour
from tests.chaos.plan import (
    ALWAYS,
    KILL_EVERY_SECONDS,
    NEVER,
    PLATFORM_ACTS,
    QUIET_SECONDS,
    REDIS_ACTS,
    make,
)

SEEDS = range(12)


def test_the_same_seed_gives_the_same_plan_and_another_one_another():
    first = make(7, 600, workers=3, specs=30_000)
    assert first == make(7, 600, workers=3, specs=30_000)
    assert first.as_json() == make(7, 600, workers=3, specs=30_000).as_json()
    assert first.acts != make(8, 600, workers=3, specs=30_000).acts


@pytest.mark.parametrize("seed", SEEDS)
def test_a_long_run_does_everything_in_time(seed):
    plan = make(seed, 200, workers=3, specs=16_000)
    assert {act.what for act in plan.acts if act.who == "redis"} == set(REDIS_ACTS)
    assert {act.what for act in plan.acts if act.who == "platform"} == set(PLATFORM_ACTS)
    assert {"scheduler", "callback"} <= {act.who for act in plan.acts if act.what == "killed"}
    assert all(QUIET_SECONDS <= act.at < 200 for act in plan.acts)
    assert list(plan.acts) == sorted(plan.acts, key=lambda act: (act.at, act.who))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("duration", [40, 200, 600])
def test_workers_are_killed_every_5_to_40_seconds(seed, duration):
    least, most = KILL_EVERY_SECONDS
    at = [act.at for act in make(seed, duration, workers=2, specs=3000).acts if act.who.startswith("worker")]
    assert at
    assert all(least - 0.1 <= later - before <= most + 0.1 for before, later in itertools.pairwise(at))
    assert at[-1] + most >= duration - 3


@pytest.mark.parametrize("seed", SEEDS)
def test_one_thing_at_a_time_happens_to_redis_and_to_the_platform(seed):
    plan = make(seed, 300, workers=3, specs=16_000)
    for who in ("redis", "platform"):
        acts = [act for act in plan.acts if act.who == who]
        assert all(before.at + before.seconds < later.at for before, later in itertools.pairwise(acts))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_sandbox_takes_every_change(seed):
    always = Behaviour().changed({"faults": ALWAYS})
    for act in make(seed, 600, workers=3, specs=16_000).acts:
        if act.who == "platform":
            assert always.changed(act.details) != always
    calm = always.changed({"faults": NEVER})
    assert not calm.faults.hit_requests
    assert not calm.faults.lost_callbacks


@pytest.mark.parametrize("seed", SEEDS)
def test_pieces_make_up_whole_catalogs_and_some_producers_are_killed(seed):
    plan = make(seed, 600, workers=3, specs=30_000)
    assert plan.specs == 30_000
    for run, rows in plan.rows_of_run().items():
        pieces = [piece for piece in plan.pieces if piece.run == run]
        assert [piece.number for piece in pieces] == list(range(1, len(pieces) + 1))
        assert [piece.first for piece in pieces] == [sum(one.rows for one in pieces[:n]) for n in range(len(pieces))]
        assert sum(piece.rows for piece in pieces) == rows
        assert [piece.at for piece in pieces] == sorted(piece.at for piece in pieces)
    killed = [piece for piece in plan.pieces if piece.killed_after_rows]
    assert killed
    assert all(100 <= piece.killed_after_rows < piece.rows for piece in killed)  # a whole chunk is stored by then


def test_an_act_reads_as_a_line():
    lines = [str(act) for act in make(1, 600, workers=3, specs=9000).acts]
    assert any("redis: redis is paused" in line for line in lines)
    assert any("platform: throttle" in line and "limit=" in line for line in lines)
