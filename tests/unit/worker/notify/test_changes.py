"""What happened between two looks, and what did not."""

from dataclasses import replace

import pytest

from couponpress.ledger.presence import SILENT_SECONDS
from couponpress.ledger.progress import Hold
from couponpress_worker.notify.changes import (
    MOST_AT_ONCE,
    OVERLAP_MS,
    Feed,
    Process,
    Seen,
    hold_changes,
    process_changes,
)
from couponpress_worker.timings import REAL

NOW = 1_700_000_000.0


def told(pid=7, role="worker", state="sending"):
    return {"role": role, "host": "h", "pid": pid, "state": state, "in_hand": 0}


class Fleet:
    """Looks once a second at a fleet; `heard` are the processes that Redis knows."""

    def __init__(self):
        self.now, self.heard, self.left, self.timings = NOW, {}, set(), REAL
        self.seen = Seen.begin(NOW)

    def says(self, owner, **changes):
        self.heard[owner] = (self.now, told(**changes))

    def look(self, after=1.0):
        """Return the events of one look, which what was seen survives being stored."""
        self.now += after
        found, processes, lost = process_changes(self.seen, self.now, self.heard, self.left, self.timings)
        seen = replace(self.seen, looked=self.now, processes=processes, lost=lost)
        self.seen = Seen.read(seen.stored().encode())
        assert self.seen == seen
        return [(one.event, one.about["pid"], one.about["running"]) for one in found]

    def looks(self, seconds, *speaking):
        """Return the events of looks over a time in which these processes say that they run."""
        found = []
        for _ in range(seconds):
            for owner in speaking:
                self.heard[owner] = (self.now, self.heard[owner][1])
            found += self.look()
        return found


@pytest.fixture
def fleet():
    fleet = Fleet()
    fleet.says("a")
    fleet.says("b", pid=8)
    assert fleet.look() == []
    return fleet


def test_a_process_that_falls_silent_is_lost_once(fleet):
    assert fleet.looks(SILENT_SECONDS, "b") == []
    found = fleet.looks(60, "b")
    assert found == [("process.lost", 7, 1)]


def test_with_a_fifth_of_the_spans_it_is_lost_so_much_sooner(fleet):
    fleet.timings = REAL.scaled(0.2)
    assert fleet.looks(4, "b") == []
    assert fleet.looks(2, "b") == [("process.lost", 7, 1)]


def test_a_silent_process_that_redis_has_forgotten_is_lost_too(fleet):
    del fleet.heard["a"]
    assert fleet.looks(5, "b") == []
    assert fleet.looks(60, "b") == [("process.lost", 7, 1)]


def test_a_goodbye_is_no_loss(fleet):
    del fleet.heard["a"]
    fleet.left.add("a")
    assert fleet.looks(60, "b") == []


def test_a_process_that_is_heard_again_is_back_once(fleet):
    fleet.looks(60, "b")
    fleet.says("a")
    assert fleet.looks(30, "a", "b") == [("process.back", 7, 2)]


def test_a_new_process_of_the_role_takes_the_place_once(fleet):
    fleet.looks(60, "b")
    fleet.says("c", pid=9, state="starting")
    assert fleet.looks(3, "b", "c") == []
    fleet.says("c", pid=9, state="idle")
    assert fleet.looks(3, "b", "c") == [("process.back", 9, 2)]
    fleet.says("d", pid=10)
    assert fleet.looks(3, "b", "c", "d") == []


def test_a_new_process_of_another_role_takes_no_place(fleet):
    fleet.looks(60, "b")
    fleet.says("s", pid=9, role="scheduler")
    assert fleet.looks(3, "b", "s") == []


def test_a_process_that_ends_while_it_starts_is_not_told_of(fleet):
    fleet.says("c", pid=9, state="starting")
    fleet.look()
    del fleet.heard["c"]
    assert fleet.looks(60, "a", "b") == []


def test_after_a_pause_of_the_looks_nobody_is_lost_at_once(fleet):
    """Redis was away for ten minutes, so nobody could say anything."""
    fleet.heard = {}
    assert fleet.look(after=600) == []
    fleet.says("a")
    fleet.says("b", pid=8)
    assert fleet.looks(30, "a", "b") == []


def test_whoever_stays_silent_after_a_pause_is_lost(fleet):
    fleet.look(after=600)
    found = fleet.looks(round(2 * REAL.tell_present) + 1)
    assert sorted(found) == [("process.lost", 7, 0), ("process.lost", 8, 0)]


def test_all_at_once_are_lost_and_come_back_one_by_one(fleet):
    assert len(fleet.looks(60)) == 2
    fleet.says("c", pid=9)
    assert fleet.looks(2, "c") == [("process.back", 9, 1)]
    fleet.says("d", pid=10)
    assert fleet.looks(2, "c", "d") == [("process.back", 10, 2)]


def hold(since, reason="r"):
    return Hold("x", reason, "c", since)


def test_holds_begin_and_are_lifted():
    begun, lifted = hold_changes({}, {"partner": hold(1.0)})
    assert (begun, lifted) == (["partner"], [])
    seen = {"partner": {"since": 1.0}, "run:b1": {"since": 2.0}}
    begun, lifted = hold_changes(seen, {"partner": hold(1.0)})
    assert (begun, lifted) == ([], [("run:b1", {"since": 2.0})])


def test_a_hold_that_was_set_anew_has_begun():
    assert hold_changes({"partner": {"since": 1.0}}, {"partner": hold(3.0)}) == (["partner"], [])


def test_a_feed_tells_each_change_once():
    feed = Feed(1000.0)
    new, feed = feed.news([("b1", 1500.0), ("b2", 1400.0)], 2000.0)
    assert [name for name, _ in new] == ["b2", "b1"]
    new, feed = feed.news([("b1", 1500.0), ("b2", 1400.0)], 3000.0)
    assert new == []
    new, feed = feed.news([("b1", 2500.0), ("b2", 1400.0)], 3500.0)
    assert new == [("b1", 2500.0)]
    assert (feed.upto, feed.since) == (3500.0, 3500.0 - OVERLAP_MS)


def test_what_was_written_late_is_seen_within_the_overlap():
    _, feed = Feed(0.0).news([], 10_000.0)
    new, _ = feed.news([("b1", 10_000.0 - OVERLAP_MS + 1)], 11_000.0)
    assert len(new) == 1


def test_many_changes_of_one_moment_are_all_told():
    members = [(f"b{number}", 1000.0) for number in range(3 * MOST_AT_ONCE + 5)]
    feed, found = Feed(900.0), []
    for look in range(6):
        new, feed = feed.news(members, 2000.0 + look)
        found += new
    assert sorted(found) == sorted(members)


def test_what_was_seen_is_read_as_it_was_stored():
    seen = Seen(
        NOW,
        Feed(1.0, {"b1": 2.0}),
        Feed(3.0),
        {"partner": {"since": 1.0}},
        {"a": Process("worker", "h", 7, "idle", NOW, NOW)},
        {"b": Process("callback", "h", 8, "", NOW)},
    )
    assert Seen.read(seen.stored().encode()) == seen
