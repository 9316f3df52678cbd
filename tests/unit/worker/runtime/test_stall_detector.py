"""When a process that runs is stuck."""

import pytest

from couponpress_worker.runtime.stall_detector import SLOT_LOOKS, STUCK_LOOKS, Progress, Sight

STILL = Sight(7, work_waits=True)


def looked(*sights):
    progress = Progress()
    progress.look(Sight(7, work_waits=True))
    states = [progress.look(sight) for sight in sights]
    return progress, states


def still(looks):
    """Looks at a process that does not send: the bucket is asked at the last of them, and has a slot each time."""
    return [
        Sight(7, work_waits=True, slot_open=True if look >= STUCK_LOOKS - SLOT_LOOKS else None) for look in range(looks)
    ]


def test_work_and_slots_and_no_request_for_thirty_looks_is_stuck():
    progress, states = looked(*still(STUCK_LOOKS))
    assert STUCK_LOOKS == 30
    assert states == ["waiting"] * (STUCK_LOOKS - 1) + ["stuck"]
    assert progress.stuck


def test_the_bucket_is_asked_at_the_last_looks_only():
    progress, _ = looked(*still(STUCK_LOOKS - SLOT_LOOKS - 1))
    assert not progress.asks_for_slot
    progress.look(STILL)
    assert progress.asks_for_slot


@pytest.mark.parametrize(
    ("sight", "state"),
    [
        (Sight(8, work_waits=True), "sending"),
        (Sight(7, work_waits=False), "idle"),
        (Sight(7, work_waits=True, excuse="held"), "held"),
        (Sight(7, work_waits=True, held_back=1), "held"),
        (Sight(7, work_waits=True, unreached=1), "platform unreached"),
        (Sight(7, work_waits=True, empty=1), "idle"),
        (Sight(7, work_waits=False, excuse="platform down"), "platform down"),
        (Sight(7, work_waits=False, excuse="Redis away"), "Redis away"),
    ],
)
def test_whatever_explains_the_silence_begins_anew(sight, state):
    progress, states = looked(*still(STUCK_LOOKS - 1), sight)
    assert states[-1] == state
    assert not progress.stuck
    assert not progress.asks_for_slot


def test_a_limit_that_others_use_up_is_no_fault_of_this_process():
    progress, _ = looked(*still(STUCK_LOOKS - 1))
    for _ in range(1000):
        progress.look(Sight(7, work_waits=True, slot_open=False))
        progress.look(Sight(7, work_waits=True, slot_open=True))
    assert not progress.stuck
    assert progress.asks_for_slot


@pytest.mark.parametrize(("what", "state"), [("held_back", "held"), ("empty", "idle")])
def test_a_worker_that_goes_through_what_is_held_or_cancelled_is_not_stuck_and_one_that_stopped_to_is(what, state):
    progress, states = looked(*(Sight(7, work_waits=True, **{what: chunks}) for chunks in range(1, 1000)))
    assert set(states) == {state}
    for _ in range(STUCK_LOOKS):
        progress.look(Sight(7, work_waits=True, **{what: 999}))
    assert progress.stuck
