"""The producer's acts on a real server: open a run, enqueue, lock, seal, discard; each may be repeated."""

import pytest
import redis

from couponpress.errors import ConflictError, InputError
from couponpress.keys import lane_of
from couponpress.ledger import enqueueing
from couponpress.ledger.chunks import CHUNK_SIZE, digests, unpack
from couponpress.ledger.enqueueing import SEAL_BATCH, UPLOAD_LOCK_SECONDS, Enqueued, UploadLedger
from couponpress.ledger.fleet_queries import Place
from couponpress.ledger.leases import NotLeased
from couponpress.ledger.progress import ReadingLedger
from couponpress.outcome import State
from tests.builders import (
    KEYS,
    bring_to,
    chunk_ids,
    identified,
    indexed,
    on_ledger,
    states_of,
    stored,
)


@pytest.fixture
def uploads(client):
    return UploadLedger(client, KEYS)


@pytest.fixture
def run(uploads):
    return uploads.open_run("may", "bulk")


@pytest.fixture
def status(client, run):
    return lambda: ReadingLedger(client, KEYS).status(run)


def sealed(uploads, run, token):
    return [chunk_id for batch in uploads.seal(run, token) for chunk_id in batch]


# --- runs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lane", ["urgent", "bulk"])
def test_a_run_gets_a_number_that_tells_its_lane(uploads, lane):
    assert lane_of(uploads.open_run("may", lane)) == lane


def test_the_same_name_is_the_same_run(uploads, run):
    assert uploads.open_run("may", "bulk") == run


def test_another_name_is_another_run(uploads, run):
    assert uploads.open_run("june", "bulk") != run


def test_numbers_count_in_base_16(uploads):
    numbers = [uploads.open_run(f"run {count}", "bulk") for count in range(17)]
    assert numbers[:3] == ["b1", "b2", "b3"]
    assert numbers[-1] == "b11"


def test_a_run_stays_in_its_lane(uploads, run):
    with pytest.raises(InputError, match="run 'may' exists in lane bulk"):
        uploads.open_run("may", "urgent")


def test_a_name_may_be_any_text(client, uploads):
    number = uploads.open_run("秋季 [/x] \u2028 'a'", "bulk")
    assert ReadingLedger(client, KEYS).number_of("秋季 [/x] \u2028 'a'") == number


# --- enqueue, open ----------------------------------------------------------------------------------------------------


def test_an_open_chunk_waits_to_be_submitted(client, uploads, run, status):
    told = uploads.enqueue_open(run, identified([1, 2]))
    assert told == Enqueued("b1.1", 2, 0)
    assert states_of(client, "b1.1") == [State.WAITING] * 2
    assert client.zscore(KEYS.open("bulk"), "b1.1") == 0
    assert (status().total, status().waiting, status().uploading) == (2, 2, 0)


def test_the_stored_bytes_are_the_specs_own(client, uploads, run):
    specs = identified([1, 2])
    uploads.enqueue_open(run, specs)
    assert unpack(client.hget(KEYS.chunk("b1.1"), "z")) == [one.row for one in specs]


def test_every_record_carries_a_version(client, uploads, run):
    uploads.enqueue_open(run, identified([1]))
    assert client.hget(KEYS.chunk("b1.1"), "v") == client.hget(KEYS.run(run), "v") == b"1"


def test_every_spec_is_found_at_its_place(redis_url, uploads, run):
    specs = identified(range(CHUNK_SIZE))
    uploads.enqueue_open(run, specs)
    places = on_ledger(redis_url, lambda ledger: ledger.queries.places([one.task_id for one in specs] + ["nobody"]))
    assert places == [*(Place("b1.1", position) for position in range(CHUNK_SIZE)), None]


def test_the_same_chunk_again_is_the_same_work(uploads, run, status):
    uploads.enqueue_open(run, identified([1, 2]))
    assert uploads.enqueue_open(run, identified([1, 2])) == Enqueued(None, 0, 2)
    assert status().total == 2


def test_what_is_new_among_known_specs_is_stored(client, uploads, run, status):
    uploads.enqueue_open(run, identified([2, 4]))
    assert uploads.enqueue_open(run, identified([1, 2, 3, 4, 5])) == Enqueued("b1.2", 3, 2)
    assert [row.row_id for row in unpack(client.hget(KEYS.chunk("b1.2"), "z"))] == ["row 1", "row 3", "row 5"]
    assert status().total == 5


def test_a_spec_that_stands_twice_in_a_chunk_is_stored_once(uploads, run, status):
    assert uploads.enqueue_open(run, identified([1, 2, 1])) == Enqueued("b1.1", 2, 1)
    assert status().total == 2


def test_a_known_task_with_another_body_is_a_conflict_that_stores_nothing(client, uploads, run):
    uploads.enqueue_open(run, identified([2]))
    before = chunk_ids(client), indexed(client), client.hgetall(KEYS.run(run))
    with pytest.raises(ConflictError) as caught:
        uploads.enqueue_open(run, [*identified([1]), *identified([2], brand_id="other"), *identified([3])])
    assert (caught.value.task_id, caught.value.known_run) == ("cut-out-000002", "may")
    assert (chunk_ids(client), indexed(client), client.hgetall(KEYS.run(run))) == before


def test_a_conflict_inside_one_chunk_stores_nothing(client, uploads, run):
    with pytest.raises(ConflictError, match="cut-out-000001"):
        uploads.enqueue_open(run, [*identified([1]), *identified([1], brand_id="other")])
    assert chunk_ids(client) == []


def test_a_conflict_names_the_run_that_knows_the_task(uploads, run):
    uploads.enqueue_open(run, identified([1]))
    with pytest.raises(ConflictError) as caught:
        uploads.enqueue_open(uploads.open_run("june", "bulk"), identified([1], brand_id="other"))
    assert caught.value.known_run == "may"


def test_a_task_of_another_run_with_the_same_body_is_the_same_work(uploads, run):
    uploads.enqueue_open(run, identified([1]))
    assert uploads.enqueue_open(uploads.open_run("june", "bulk"), identified([1])) == Enqueued(None, 0, 1)


def test_two_partners_do_not_know_each_others_tasks(client, uploads, run):
    other = UploadLedger(client, type(KEYS)("42"))
    uploads.enqueue_open(run, identified([1]))
    assert other.enqueue_open(other.open_run("may", "bulk"), identified([1])).new == 1


def test_new_specs_open_a_finished_run_again(redis_url, uploads, run, status):
    chunk_id = stored(redis_url)
    bring_to(redis_url, chunk_id, [State.SUCCEEDED])
    assert status().finished
    uploads.enqueue_open(run, identified([2]))
    assert not status().finished


def test_a_run_that_is_gone_takes_nothing(client, uploads, run):
    uploads.drop_if_empty(run)
    assert uploads.enqueue_open(run, identified([1])) is None
    assert client.keys(KEYS.prefix + "*") == [KEYS.run_numbers.encode()]


# --- uploads ----------------------------------------------------------------------------------------------------------


def test_a_staged_chunk_is_not_yet_free(client, uploads, run, status):
    token = uploads.lock_upload(run)
    assert uploads.enqueue_staged(run, token, identified([1, 2])) == Enqueued("b1.1", 2, 0)
    assert client.zcard(KEYS.open("bulk")) == 0
    assert (status().total, status().uploading) == (0, 2)


def test_a_staged_chunk_again_is_the_same_work(uploads, run, status):
    token = uploads.lock_upload(run)
    uploads.enqueue_staged(run, token, identified([1, 2]))
    assert uploads.enqueue_staged(run, token, identified([1, 2])) == Enqueued(None, 0, 2)
    assert status().uploading == 2


def test_the_chunks_of_a_batch_are_stored_in_one_round_trip(client, uploads, run, status):
    token = uploads.lock_upload(run)
    uploads.enqueue_staged(run, token, identified([0]))
    before = client.info("commandstats")["cmdstat_evalsha"]["calls"]
    chunks = [identified([1, 2]), identified([3]), identified([4, 4])]
    assert uploads.enqueue_batch(run, token, uploads.packed(run, token, chunks)) == (4, 1)
    assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == before + 3
    assert status().uploading == 5
    assert sealed(uploads, run, token) == ["b1.1", "b1.2", "b1.3", "b1.4"]


def test_what_is_known_of_a_batch_is_not_stored_again(uploads, run, status):
    token = uploads.lock_upload(run)
    uploads.enqueue_staged(run, token, identified([1, 3]))
    chunks = [identified([1, 2]), identified([3]), identified([4]), identified([2, 4])]
    assert uploads.enqueue_batch(run, token, uploads.packed(run, token, chunks)) == (2, 4)
    assert status().uploading == 4


def test_a_batch_on_a_server_that_forgot_its_scripts_is_stored(client, uploads, run, status):
    token = uploads.lock_upload(run)
    client.script_flush()
    chunks = uploads.packed(run, token, [identified([1]), identified([2])])
    assert uploads.enqueue_batch(run, token, chunks) == (2, 0)
    assert status().uploading == 2


def test_a_conflict_within_a_batch_is_told(uploads, run):
    token = uploads.lock_upload(run)
    uploads.enqueue_staged(run, token, identified([1]))
    other = identified([1], brand_id="2")
    with pytest.raises(ConflictError):
        uploads.enqueue_batch(run, token, uploads.packed(run, token, [identified([2]), other]))
    with pytest.raises(InputError, match="another producer"):
        uploads.enqueue_batch(run, "other", uploads.packed(run, "other", [identified([3])]))


def test_sealing_frees_every_chunk(client, uploads, run, status):
    token = uploads.lock_upload(run)
    for number in range(3):
        uploads.enqueue_staged(run, token, identified([number]))
    assert sealed(uploads, run, token) == ["b1.1", "b1.2", "b1.3"]
    assert client.zrange(KEYS.open("bulk"), 0, -1, withscores=True) == [(b"b1.1", 0), (b"b1.2", 0), (b"b1.3", 0)]
    assert (status().total, status().waiting, status().uploading) == (3, 3, 0)


def test_sealing_again_frees_nothing_more(uploads, run, status):
    token = uploads.lock_upload(run)
    uploads.enqueue_staged(run, token, identified([1]))
    assert sealed(uploads, run, token) == ["b1.1"]
    assert sealed(uploads, run, token) == []
    assert status().total == 1


def test_a_large_upload_is_sealed_in_batches(client, uploads, run, status):
    token = uploads.lock_upload(run)
    for number in range(SEAL_BATCH + 1):
        uploads.enqueue_staged(run, token, identified([number]))
    assert [len(batch) for batch in uploads.seal(run, token)] == [SEAL_BATCH, 1]
    assert status().total == client.zcard(KEYS.open("bulk")) == SEAL_BATCH + 1


def test_a_seal_that_was_cut_off_is_finished_by_the_next(uploads, run, status):
    token = uploads.lock_upload(run)
    for number in range(SEAL_BATCH + 1):
        uploads.enqueue_staged(run, token, identified([number]))
    next(uploads.seal(run, token))
    assert (status().total, status().uploading) == (SEAL_BATCH, 1)
    assert len(sealed(uploads, run, token)) == 1
    assert (status().total, status().uploading) == (SEAL_BATCH + 1, 0)


def test_sealing_lets_others_upload(client, uploads, run):
    sealed(uploads, run, uploads.lock_upload(run))
    assert not client.exists(KEYS.upload_lock(run))


def test_discarding_leaves_no_trace(client, uploads, run):
    token = uploads.lock_upload(run)
    for number in range(3):
        uploads.enqueue_staged(run, token, identified([number]))
    assert uploads.discard(run, token) == 3
    assert client.keys(KEYS.prefix + "*") == [KEYS.run_numbers.encode()]
    assert client.hgetall(KEYS.run_numbers) == {b"": b"1"}  # how many numbers were given


def test_discarding_again_does_nothing_more(client, uploads, run):
    stays = uploads.enqueue_open(run, identified([9])).chunk_id
    token = uploads.lock_upload(run)
    uploads.enqueue_staged(run, token, identified([1]))
    assert uploads.discard(run, token) == 1
    assert uploads.discard(run, token) == 0
    assert chunk_ids(client) == [stays]


def test_a_discard_that_is_repeated_after_a_lost_reply_takes_no_second_chunk(client, uploads, run, status):
    token = uploads.lock_upload(run)
    for number in (1, 2):
        uploads.enqueue_staged(run, token, identified([number]))
    names = [KEYS.run(run), KEYS.staged(run), KEYS.chunk("b1.2"), KEYS.upload_lock(run)]
    values = ["b1.2", token, KEYS.index, digests(identified([2])), UPLOAD_LOCK_SECONDS]
    assert [uploads._discard(names, values) for _ in range(2)] == [b"removed", b"not last"]
    assert chunk_ids(client) == ["b1.1"]
    assert status().uploading == 1


def test_discarding_leaves_what_the_run_held_before(client, uploads, run, status):
    before = uploads.enqueue_open(run, identified([1])).chunk_id
    token = uploads.lock_upload(run)
    uploads.enqueue_staged(run, token, identified([2]))
    uploads.discard(run, token)
    assert chunk_ids(client) == [before]
    assert (status().total, status().uploading) == (1, 0)


def test_what_was_discarded_can_be_enqueued_with_another_body(uploads, run):
    token = uploads.lock_upload(run)
    uploads.enqueue_staged(run, token, identified([1]))
    uploads.discard(run, token)
    again = uploads.open_run("may", "bulk")
    assert uploads.enqueue_open(again, identified([1], brand_id="other")).new == 1


def test_a_discarded_run_may_come_back_in_another_lane(uploads, run):
    token = uploads.lock_upload(run)
    uploads.discard(run, token)
    assert lane_of(uploads.open_run("may", "urgent")) == "urgent"


def test_a_discarded_upload_drops_the_hold_of_its_run_too(client, uploads, run):
    client.hset(KEYS.holds, f"run:{run}", '{"reason": "", "cure": "", "since": 0}')
    uploads.discard(run, uploads.lock_upload(run))
    assert not client.exists(KEYS.holds)


def test_a_run_ends_although_its_last_spec_ended_during_an_upload_that_was_refused(redis_url, uploads, run, status):
    chunk_id = stored(redis_url)
    token = uploads.lock_upload(run)
    uploads.enqueue_staged(run, token, identified([2]))
    bring_to(redis_url, chunk_id, [State.SUCCEEDED])
    assert not status().finished
    uploads.discard(run, token)
    assert status().finished


def test_a_finished_run_is_not_finished_while_an_upload_into_it_is_open(redis_url, uploads, run, status):
    bring_to(redis_url, stored(redis_url), [State.SUCCEEDED])
    token = uploads.lock_upload(run)
    uploads.enqueue_staged(run, token, identified([2]))
    assert not status().finished
    sealed(uploads, run, token)
    assert not status().finished


# --- one producer at a time -------------------------------------------------------------------------------------------


def test_a_second_producer_waits_and_says_so_once(client, uploads, run):
    uploads.lock_upload(run)
    told = []

    def on_wait():
        told.append("waits")
        client.delete(KEYS.upload_lock(run))  # the first one ends, or was silent for long enough

    assert uploads.lock_upload(run, on_wait)
    assert told == ["waits"]


def test_a_lock_runs_out_by_itself(client, uploads, run):
    uploads.lock_upload(run)
    assert 0 < client.ttl(KEYS.upload_lock(run)) <= UPLOAD_LOCK_SECONDS


def test_every_chunk_renews_the_lock(client, uploads, run):
    token = uploads.lock_upload(run)
    client.expire(KEYS.upload_lock(run), 1)
    uploads.enqueue_staged(run, token, identified([1]))
    assert client.ttl(KEYS.upload_lock(run)) > 1


def test_a_dead_producers_upload_is_gone_on_with(client, uploads, run, status):
    dead = uploads.lock_upload(run)
    uploads.enqueue_staged(run, dead, identified([1, 2]))
    client.delete(KEYS.upload_lock(run))  # its time ran out
    token = uploads.lock_upload(run)
    assert uploads.enqueue_staged(run, token, identified([1, 2])) == Enqueued(None, 0, 2)
    assert uploads.enqueue_staged(run, token, identified([3])).new == 1
    assert sealed(uploads, run, token) == ["b1.1", "b1.2"]
    assert status().total == 3


@pytest.mark.parametrize("ended", [True, False], ids=["ended since", "still at it"])
def test_a_producer_that_was_taken_over_stores_seals_and_discards_nothing_more(client, uploads, run, status, ended):
    slow = uploads.lock_upload(run)
    uploads.enqueue_staged(run, slow, identified([1]))
    client.delete(KEYS.upload_lock(run))  # its time ran out
    other = uploads.lock_upload(run)
    if ended:
        sealed(uploads, run, other)
    before = status()
    with pytest.raises(InputError, match="took over"):
        uploads.enqueue_staged(run, slow, identified([2]))
    with pytest.raises(InputError, match="took over"):
        sealed(uploads, run, slow)
    assert uploads.discard(run, slow) == 0
    assert status() == before
    assert client.exists(KEYS.upload_lock(run)) == (not ended)


def test_a_slow_producer_that_nobody_took_over_goes_on(client, uploads, run, status):
    token = uploads.lock_upload(run)
    uploads.enqueue_staged(run, token, identified([1]))
    client.delete(KEYS.upload_lock(run))  # the next spec took longer than the lock lives
    uploads.enqueue_staged(run, token, identified([2]))
    client.delete(KEYS.upload_lock(run))
    assert sealed(uploads, run, token) == ["b1.1", "b1.2"]
    assert status().total == 2


def test_a_slow_producer_that_nobody_took_over_can_discard(client, uploads, run):
    token = uploads.lock_upload(run)
    uploads.enqueue_staged(run, token, identified([1]))
    client.delete(KEYS.upload_lock(run))
    assert uploads.discard(run, token) == 1
    assert chunk_ids(client) == []


def test_an_empty_run_is_not_dropped_under_another_producer(client, uploads, run):
    uploads.lock_upload(run)
    uploads.drop_if_empty(run)
    assert ReadingLedger(client, KEYS).number_of("may") == run


def test_a_run_that_holds_something_is_not_dropped(redis_url, client, uploads, run):
    stored(redis_url)
    uploads.drop_if_empty(run)
    assert ReadingLedger(client, KEYS).number_of("may") == run


def test_a_run_that_is_gone_cannot_be_locked(client, uploads, run):
    uploads.drop_if_empty(run)
    assert uploads.lock_upload(run) is None
    assert not client.exists(KEYS.run(run), KEYS.upload_lock(run))


def test_specs_that_are_open_or_ended_are_known_to_an_upload(redis_url, uploads, run):
    chunk_id = stored(redis_url, 2)
    bring_to(redis_url, chunk_id, [State.WAITING, State.REJECTED])
    token = uploads.lock_upload(run)
    assert uploads.enqueue_staged(run, token, identified([1, 2])) == Enqueued(None, 0, 2)
    assert sealed(uploads, run, token) == []


def test_discarding_works_while_the_server_is_full(client, uploads, run):
    token = uploads.lock_upload(run)
    uploads.enqueue_staged(run, token, identified([1]))
    client.config_set("maxmemory", 1)
    try:
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            uploads.enqueue_staged(run, token, identified([2]))
        assert uploads.discard(run, token) == 1
    finally:
        client.config_set("maxmemory", 0)
    assert chunk_ids(client) == []


def test_a_producer_does_not_wait_for_ever_for_another(client, monkeypatch):
    uploads = UploadLedger(client, KEYS)
    run = uploads.open_run("may", "bulk")
    assert uploads.lock_upload(run)
    monkeypatch.setattr(enqueueing, "UPLOAD_LOCK_SECONDS", 1)
    waited = []
    with pytest.raises(InputError, match="another producer is uploading"):
        uploads.lock_upload(run, lambda: waited.append(True))
    assert waited == [True]


def test_two_rows_of_one_upload_that_conflict_are_both_named(client):
    uploads = UploadLedger(client, KEYS)
    one, other = identified([1]) + identified([2])
    twin = other._replace(task_id=one.task_id)
    with pytest.raises(ConflictError, match=r"stands twice in this upload .* 'row 1' and 'row 2'"):
        uploads.enqueue_open(uploads.open_run("may", "bulk"), [one, one, twin])
    assert chunk_ids(client) == []


# --- damaged records --------------------------------------------------------------------------------------------------

DAMAGED = {
    "garbage": lambda client, chunk: client.hset(chunk, "z", b"garbage"),
    "no rows": lambda client, chunk: client.hdel(chunk, "z"),
    "no states": lambda client, chunk: client.hdel(chunk, "s"),
    "gone": lambda client, chunk: client.delete(chunk),
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_an_upload_with_a_damaged_chunk_can_be_discarded(client, uploads, run, damage):
    token = uploads.lock_upload(run)
    for first in (1, 4, 7):
        uploads.enqueue_staged(run, token, identified(range(first, first + 3)))
    damage(client, KEYS.chunk("b1.2"))
    assert uploads.discard(run, token) == 3
    assert (chunk_ids(client), indexed(client), client.zrange(KEYS.runs, 0, -1)) == ([], 0, [])


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_an_upload_with_a_damaged_chunk_can_be_sealed(redis_url, client, uploads, run, status, damage):
    token = uploads.lock_upload(run)
    for first in (1, 4, 7):
        uploads.enqueue_staged(run, token, identified(range(first, first + 3)))
    damage(client, KEYS.chunk("b1.2"))
    assert sealed(uploads, run, token) == ["b1.1", "b1.2", "b1.3"]
    assert status().uploading == 0
    assert on_ledger(redis_url, lambda ledger: ledger.leases.lease("b1.2", "me")) == NotLeased("dead letter")
    assert (status().waiting, status().total - status().expired) == (6, 6)
