"""Following a run: each spec once, as soon as it has ended, at the price of what is new."""

import threading

import pytest

from couponpress import Client, UnknownRunError
from couponpress.ledger.enqueueing import UploadLedger
from couponpress.ledger.follow import Follower
from couponpress.ledger.moves import Move
from couponpress.outcome import State
from tests.builders import KEYS, PICTURE, bring_to, identified, moved, producer_settings, stored


@pytest.fixture
def follower(redis_url, client):
    return lambda run="b1": Follower(client, KEYS, run)


def rows(outcomes):
    return [one.row_id for one in outcomes]


def commands(client):
    return sum(int(told["calls"]) for told in client.info("commandstats").values())


def test_each_spec_is_told_once_when_it_has_ended(redis_url, follower):
    chunk_id = stored(redis_url, 4)
    following = follower()
    assert rows(following.look()) == []
    moved(redis_url, chunk_id, Move(2, "succeed", image_url=PICTURE), Move(0, "accept"))
    (told,) = following.look()
    assert (told.row_id, told.outcome, told.image_url) == ("row 3", "succeeded", PICTURE)
    assert rows(following.look()) == []
    moved(redis_url, chunk_id, Move(0, "fail"), Move(1, "reject", code="X", message="no"))
    assert rows(following.look()) == ["row 1", "row 2"]
    assert not following.finished
    moved(redis_url, chunk_id, Move(3, "expire"))
    assert rows(following.look()) == ["row 4"]
    assert following.finished


@pytest.mark.parametrize("state", [state for state in State if state.ended])
def test_every_outcome_is_told(redis_url, follower, state):
    bring_to(redis_url, stored(redis_url), [state])
    following = follower()
    assert [one.outcome for one in following.look()] == [state]
    assert following.finished


def test_a_finished_run_is_told_whole(redis_url, client, follower):
    for number in range(45):
        moved(redis_url, stored(redis_url, 2, first=2 * number), Move(0, "fail"), Move(1, "fail"))
    following = follower()
    assert rows(following.look()) == [f"row {number}" for number in range(90)]
    assert following.finished


def test_rows_that_are_enqueued_later_are_followed_too(redis_url, follower):
    bring_to(redis_url, stored(redis_url), [State.FAILED])
    following = follower()
    list(following.look())
    chunk_id = stored(redis_url, first=2)
    assert rows(following.look()) == []
    assert not following.finished
    bring_to(redis_url, chunk_id, [State.FAILED])
    assert rows(following.look()) == ["row 2"]


def test_a_discarded_upload_is_no_end_to_wait_for(redis_url, client, follower):
    uploads = UploadLedger(client, KEYS)
    first, run = stored(redis_url), "b1"
    token = uploads.lock_upload(run)
    uploads.enqueue_staged(run, token, identified([2]))
    following = follower(run)
    assert list(following.look()) == []
    uploads.discard(run, token)
    for chunk_id in (first, stored(redis_url, first=3)):
        bring_to(redis_url, chunk_id, [State.FAILED])
    assert rows(following.look()) == ["row 1", "row 3"]
    assert following.finished


def test_a_run_that_was_forgotten_has_ended(client, follower):
    following = follower("b77")
    assert list(following.look()) == []
    assert following.finished


def test_a_look_costs_what_is_new_and_not_the_run(redis_url, client, follower):
    uploads = UploadLedger(client, KEYS)
    run = uploads.open_run("may", "bulk")
    chunk_ids = [uploads.enqueue_open(run, identified([number])).chunk_id for number in range(1000)]
    following = follower(run)
    list(following.look())
    before = commands(client)
    list(following.look())
    assert commands(client) - before <= 3  # the run's counts, and the asking itself
    bring_to(redis_url, chunk_ids[0], [State.FAILED])
    before = commands(client)
    assert rows(following.look()) == ["row 0"]
    assert commands(client) - before < 300  # one batch of states, one chunk
    # A chunk that has ended is not looked at again.
    bring_to(redis_url, chunk_ids[500], [State.FAILED])
    assert rows(following.look()) == ["row 500"]


def test_the_client_follows_until_the_run_is_finished(redis_url, client):
    chunk_ids = [stored(redis_url, 2, first=2 * number) for number in range(3)]
    seen, followed = threading.Event(), []

    def follow():
        with Client(producer_settings(redis_url)) as producer:
            for outcome in producer.outcomes("may", follow=True, look_every_seconds=0.01):
                followed.append(outcome.row_id)
                seen.set()

    thread = threading.Thread(target=follow)
    thread.start()
    bring_to(redis_url, chunk_ids[1], [State.SUCCEEDED])
    assert seen.wait(10)
    assert followed == ["row 2"]
    assert thread.is_alive()
    for chunk_id in chunk_ids:
        moved(redis_url, chunk_id, Move(0, "fail"), Move(1, "fail"))
    thread.join(10)
    assert not thread.is_alive()
    assert sorted(followed) == [f"row {number}" for number in range(6)]


def test_a_run_that_does_not_exist_cannot_be_followed(redis_url, client):
    with Client(producer_settings(redis_url)) as producer, pytest.raises(UnknownRunError):
        next(producer.outcomes("absent", follow=True))
