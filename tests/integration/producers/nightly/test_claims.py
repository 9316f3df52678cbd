"""Nights in the ledger: one start each, whoever asks how often; a lease that another takes up."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from couponpress.nightly.claims import LEASE_MS, REMEMBERED_SECONDS, Claim, NightLedger
from tests.builders import KEYS

RUN, AT = "prices-2026-05-02T02:00", 1_777_658_400


@pytest.fixture
def nights(client):
    return NightLedger(client, KEYS)


def claim(nights, owner="one", run=RUN, at=AT, **options):
    return nights.claim(run, "prices", at, owner, **options)


def lease_runs_out(client, run=RUN):
    client.hset(KEYS.night(run), "until_ms", 1)


def test_of_many_that_ask_at_once_one_gets_it(nights):
    with ThreadPoolExecutor(16) as pool:
        claims = list(pool.map(lambda number: claim(nights, f"owner {number}"), range(64)))
    assert [one for one in claims if one] == [Claim(RUN, "claimed", 1, full=False)]
    assert nights.seen("prices") == AT
    (record,) = nights.open_nights()
    assert (record.run, record.schedule, record.at, record.state) == (RUN, "prices", AT, "claimed")
    assert record.in_hand


def test_the_same_owner_may_ask_again_for_its_answer_may_be_lost(nights):
    assert claim(nights) == claim(nights) == Claim(RUN, "claimed", 1, full=False)


def test_a_lease_that_ran_out_is_taken_up_and_its_old_owner_has_no_more_say(nights, client):
    claim(nights, full=True)
    assert nights.keep(RUN, "one")
    assert 0 < int(client.hget(KEYS.night(RUN), "until_ms")) - nights.now() * 1000 <= LEASE_MS
    lease_runs_out(client)
    # However the night began, whoever takes it up goes on in the same way.
    assert claim(nights, "two") == Claim(RUN, "claimed", 2, full=True)
    assert not nights.keep(RUN, "one")
    assert not nights.note(RUN, "one", figures="{}")
    assert not nights.become(RUN, "one", "failed", told="late")
    assert nights.become(RUN, "two", "sent", told="41 rows")
    assert (nights.record(RUN).state, nights.record(RUN).told) == ("sent", "41 rows")
    assert client.ttl(KEYS.night(RUN)) == pytest.approx(REMEMBERED_SECONDS, abs=5)


def test_given_back_it_is_taken_up_at_once(nights):
    claim(nights)
    assert claim(nights, "two") is None
    assert nights.give_back(RUN, "one")
    assert claim(nights, "two").taken == 2


@pytest.mark.parametrize("state", ["done", "skipped", "failed"])
def test_a_night_that_is_over_stays_over(nights, state):
    claim(nights)
    nights.become(RUN, "one", state, told="")
    assert claim(nights) is None
    assert claim(nights, "two") is None
    assert nights.open_nights() == []


def test_by_hand_one_that_came_to_nothing_begins_anew(nights):
    claim(nights)
    nights.become(RUN, "one", "failed", told="no file")
    assert claim(nights, "hand", by_hand=True, full=True) == Claim(RUN, "claimed", 1, full=True)
    assert nights.record(RUN).told == ""
    nights.become(RUN, "hand", "sent", told="")
    assert claim(nights, "other hand", by_hand=True) is None
    assert claim(nights, "scheduler").state == "sent"


def test_a_start_by_hand_leaves_the_nights_before_it_due(nights):
    claim(nights, run="prices-by-hand", at=AT + 180, by_hand=True)
    assert nights.seen("prices") is None
    assert nights.latest("prices").run == "prices-by-hand"
    assert claim(nights, "two") is not None


def test_a_missed_night_is_told_once_and_never_begins(nights):
    assert claim(nights, state="missed") == Claim(RUN, "missed", 0, full=False)
    assert claim(nights, "two", state="missed") is None
    assert claim(nights, "two") is None
    assert nights.open_nights() == []
    assert nights.record(RUN).state == "missed"


def test_what_was_seen_goes_forward_only_but_for_a_clock_that_went_back(nights):
    claim(nights)
    claim(nights, run="prices-earlier", at=AT - 60)
    assert nights.seen("prices") == AT
    nights.see("prices", AT - 3600.5)
    assert nights.seen("prices") == AT - 3600.5
    claim(nights, "two")  # in other hands
    assert nights.seen("prices") == AT


def test_an_open_night_that_was_forgotten_is_none(nights, client):
    claim(nights)
    client.delete(KEYS.night(RUN))
    assert nights.open_nights() == []
    assert client.zcard(KEYS.open_nights) == 0


def test_a_run_that_is_gone_gets_no_note(nights, client):
    nights.note_in_run("b9", "{}")
    assert not client.exists(KEYS.run("b9"))


@pytest.mark.parametrize("state", ["done", "failed", "skipped", "missed", "sent"])
def test_a_night_that_was_over_in_order_is_remembered_for_its_schedule(nights, client, state):
    claim(nights)
    before = int(nights.now())
    assert nights.become(RUN, "one", state, told="")
    successes = {name.decode(): int(moment) for name, moment in client.hgetall(KEYS.schedule_successes).items()}
    assert successes.keys() == ({"prices"} if state == "done" else set())
    assert all(before <= moment <= nights.now() for moment in successes.values())


def test_a_night_in_other_hands_is_no_success(nights, client):
    claim(nights)
    assert not nights.become(RUN, "two", "done", told="")
    assert not client.exists(KEYS.schedule_successes)


def test_a_night_that_is_left_out_does_not_start_and_the_one_before_it_does(nights):
    assert claim(nights, "hand", state="skipped", by_hand=True).state == "skipped"
    assert nights.record(RUN).state == "skipped"
    assert nights.open_nights() == []
    assert claim(nights) is None
    assert claim(nights, run="prices-before", at=AT - 60).state == "claimed"
    assert claim(nights, "hand", by_hand=True).state == "claimed", "a person may still start it"
