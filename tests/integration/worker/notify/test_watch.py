"""What happens to runs, holds, nights and processes is found once, whoever looks, and in full."""

import asyncio
import json

import pytest
from redis.asyncio import Redis

from couponpress.keys import Keys
from couponpress.ledger.moves import Move
from couponpress.ledger.presence import SILENT_SECONDS, PresenceLedger, Present
from couponpress.nightly.claims import NightLedger
from couponpress.notify.kinds import EVENTS, KINDS
from couponpress.notify.target import Target
from couponpress.outcome import State
from couponpress_worker.notify.outbox import Outbox
from couponpress_worker.notify.watch import DueNight, Watch
from couponpress_worker.timings import REAL
from tests.builders import KEYS, bring_to, chunk_ids, cut_out_body, moved


def target(name="all", **changes):
    return Target(name, KINDS["wecom"], f"https://robots.example/{name}", **changes)


class Fleet:
    """Looks as processes of a fleet do, each look by a new process."""

    def __init__(self, url, client, targets):
        self.url, self.client, self.targets, self.due = url, client, targets, []

    def look(self, *, saves=True):
        """Look once; returns what was put into the queue of each target, which is emptied."""

        async def once():
            async def overdue(_):
                return self.due

            async with Redis.from_url(self.url) as server:
                await Watch(server, KEYS, Outbox(server, KEYS, "one"), self.targets, overdue).turn()

        before = self.client.get(KEYS.notify_seen)
        asyncio.run(once())
        if not saves and before is not None:  # it was killed once the outbox had everything
            self.client.set(KEYS.notify_seen, before)
        return {one.name: self.emptied(KEYS.notify_queue(one.name)) for one in self.targets}

    def emptied(self, queue):
        entries = [json.loads(entry.partition(b" ")[2]) for entry in self.client.lrange(queue, 0, -1)]
        self.client.delete(queue)
        return entries

    def events(self, **options):
        return [(one["event"], one["about"]) for one in self.look(**options)["all"]]

    def names(self):
        return {name: [one["event"] for one in told] for name, told in self.look().items()}


@pytest.fixture
def fleet(redis_url, client):
    fleet = Fleet(redis_url, client, [target()])
    assert fleet.events() == []
    return fleet


def end(fleet):
    bring_to(fleet.url, chunk_ids(fleet.client)[-1], [State.SUCCEEDED])


def test_a_run_that_ends_is_told_once_with_its_counts(fleet, producer):
    producer.enqueue_many([cut_out_body(1)], run="may")
    assert fleet.events() == []
    moved(fleet.url, chunk_ids(fleet.client)[0], Move(0, "reject", code="PARAM_ERROR"))
    ((event, about),) = fleet.events()
    assert event == "run.finished"
    assert (about["run"], about["total"], about["succeeded"], about["rejected"]) == ("may", 1, 0, 1)
    assert about["reasons"] == [["rejected", "PARAM_ERROR", 1]]
    assert fleet.events() == []


def test_a_run_that_ends_again_is_told_again(fleet, producer):
    producer.enqueue_many([cut_out_body(1)], run="may")
    end(fleet)
    assert len(fleet.events()) == 1
    producer.enqueue_many([cut_out_body(2)], run="may")
    assert fleet.events() == []
    end(fleet)
    ((_, about),) = fleet.events()
    assert about["total"] == 2


def test_runs_that_ended_before_anybody_looked_are_not_told(redis_url, client, producer):
    fleet = Fleet(redis_url, client, [target()])
    producer.enqueue_many([cut_out_body(1)], run="may")
    end(fleet)
    client.zadd(KEYS.finished, dict.fromkeys(client.zrange(KEYS.finished, 0, -1), 1))
    assert fleet.events() == []


def test_whoever_is_killed_after_the_outbox_has_it_tells_nothing_twice(fleet, producer):
    producer.enqueue_many([cut_out_body(1)], run="may")
    producer.pause("may")
    end(fleet)
    assert [event for event, _ in fleet.events(saves=False)] == ["hold.begun", "run.finished"]
    assert fleet.events() == []


def test_holds_are_told_with_their_cure_and_when_they_are_lifted(fleet, producer):
    producer.enqueue_many([cut_out_body(1)], run="may")
    producer.pause("may", why="wrong prices")
    producer.pause()
    told = {about["scope"]: about for event, about in fleet.events() if event == "hold.begun"}
    assert told.keys() == {"may", "partner"}
    assert (told["may"]["kind"], told["may"]["why"]) == ("run", "wrong prices")
    assert "resume" in told["may"]["cure"]
    assert told["may"]["by"]
    assert fleet.events() == []
    producer.resume("may")
    assert [(event, about["scope"]) for event, about in fleet.events()] == [("hold.lifted", "may")]
    producer.resume()
    assert [(event, about["scope"]) for event, about in fleet.events()] == [("hold.lifted", "partner")]
    assert fleet.events() == []


def test_a_hold_that_is_in_force_at_the_first_look_is_told(redis_url, client, producer):
    producer.pause()
    fleet = Fleet(redis_url, client, [target()])
    assert [event for event, _ in fleet.events()] == ["hold.begun"]


@pytest.fixture
def nights(client):
    return NightLedger(client, KEYS)


@pytest.mark.parametrize("state", ["missed", "skipped"])
def test_a_night_that_does_not_start_is_told(fleet, nights, state):
    nights.claim("prices-1", "prices", round(nights.now()), "one", state=state)
    ((event, about),) = fleet.events()
    assert (event, about["run"], about["schedule"]) == (f"night.{state}", "prices-1", "prices")
    assert fleet.events() == []


def test_a_night_that_fails_is_told_with_its_reason_each_time(fleet, nights):
    nights.claim("prices-1", "prices", round(nights.now()), "one")
    assert fleet.events() == []
    nights.become("prices-1", "one", "failed", told="its source failed: x")
    ((event, about),) = fleet.events()
    assert (event, about["told"]) == ("night.failed", "its source failed: x")
    nights.claim("prices-1", "prices", round(nights.now()), "one", by_hand=True)
    nights.become("prices-1", "one", "failed", told="again")
    assert [about["told"] for _, about in fleet.events()] == ["again"]


def test_a_night_in_time_is_not_told_and_a_late_one_once(fleet, nights):
    now = round(nights.now())
    nights.claim("prices-1", "prices", now - 60, "one")
    nights.claim("prices-2", "prices", now - 600, "one")
    ((event, about),) = fleet.events()
    assert (event, about["run"], about["started"] >= now - 1) == ("night.late", "prices-2", True)
    nights.become("prices-2", "one", "sent")
    nights.become("prices-1", "one", "sent")
    assert fleet.events() == []


def test_a_night_that_nobody_starts_is_told_once(fleet, nights):
    now = round(nights.now())
    fleet.due = [DueNight("prices-1", "prices", now - 400)]
    assert [(event, about["started"]) for event, about in fleet.events()] == [("night.late", None)]
    assert fleet.events() == []
    nights.claim("prices-1", "prices", now - 400, "one")
    assert fleet.events() == []


def test_changes_of_nights_are_forgotten_with_them(client, nights):
    client.zadd(KEYS.night_changes, {"old": 1})
    nights.claim("prices-1", "prices", round(nights.now()), "one")
    assert client.zrange(KEYS.night_changes, 0, -1) == [b"prices-1"]


def test_a_process_that_is_killed_is_told_and_one_that_stops_is_not(fleet, client):
    killed, stopped = (PresenceLedger(client, KEYS, owner) for owner in ("killed", "stopped"))
    killed.tell(Present("worker", "h", 7, "sending"))
    stopped.tell(Present("worker", "h", 8, "sending"))
    fleet.events()
    stopped.leave()
    age(client, "killed", SILENT_SECONDS + 1)
    fleet.events()
    wait_out(client)
    ((event, about),) = fleet.events()
    assert (event, about["pid"], about["running"]) == ("process.lost", 7, 0)
    PresenceLedger(client, KEYS, "new").tell(Present("worker", "h", 9, "idle"))
    assert [(event, about["pid"]) for event, about in fleet.events()] == [("process.back", 9)]
    assert fleet.events() == []


def age(client, owner, seconds):
    moment, _, said = client.hget(KEYS.present, owner).partition(b" ")
    client.hset(KEYS.present, owner, b"%d %s" % (int(moment) - seconds, said))


def wait_out(client):
    """Let the patience of the looks be over, as if there had been one each second."""
    seen = json.loads(client.get(KEYS.notify_seen))
    for one in seen["processes"].values():
        if one["missed_since"] is not None:
            one["missed_since"] -= 2 * REAL.tell_present
    client.set(KEYS.notify_seen, json.dumps(seen))


def test_goodbyes_are_forgotten_after_a_day(client):
    client.zadd(KEYS.left, {"old": 1})
    PresenceLedger(client, KEYS, "new").leave()
    assert client.zrange(KEYS.left, 0, -1) == [b"new"]


def test_targets_are_told_of_their_brands_and_events(redis_url, client, producer):
    targets = [
        target(),
        target("brand", brands=("120345",)),
        target("other", brands=("9",)),
        target("holds", events=("hold.begun",)),
        target("nights", schedules=("prices",)),
    ]
    fleet = Fleet(redis_url, client, targets)
    fleet.look()
    producer.enqueue_many([cut_out_body(1), cut_out_body(2, brand_id="120345")], run="may")
    bring_to(redis_url, chunk_ids(client)[0], [State.SUCCEEDED, State.SUCCEEDED])
    assert fleet.names() == {
        "all": ["run.finished"],
        "brand": ["run.finished"],
        "other": [],
        "holds": [],
        "nights": [],
    }
    producer.pause(brand="9")
    producer.pause()
    both = ["hold.begun"] * 2
    assert fleet.names() == {"all": both, "brand": ["hold.begun"], "other": both, "holds": both, "nights": both}


def test_partners_do_not_see_each_other(redis_url, client, producer):
    other = Keys("1900000002")
    fleet = Fleet(redis_url, client, [target()])
    fleet.look()
    client.zadd(other.finished, {"b1": 10**13})
    assert fleet.events() == []


def test_all_events_are_found_by_these_tests():
    assert {event.partition(".")[0] for event in EVENTS} == {"run", "hold", "night", "process"}
