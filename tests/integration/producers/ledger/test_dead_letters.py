"""Chunks that kill their workers and records that cannot be read become dead letters; good chunks do not."""

import zlib

import pytest
import redis

from couponpress import Client
from couponpress.keys import lane_of
from couponpress.ledger.dead_letters import DEAD_LETTER_CODE, LOST_LEASES, RECORD_LOST, DeadLetterLedger, note_message
from couponpress.ledger.leases import GivenBack, Leased, LeaseLost, NotLeased
from couponpress.ledger.moves import TAKE_UP_MS, Move
from couponpress.ledger.progress import ReadingLedger
from couponpress.outcome import State
from couponpress_worker.runtime.recovery import chunks_to_publish
from tests.builders import (
    KEYS,
    PICTURE,
    bring_to,
    chunk_ids,
    identified,
    indexed,
    let_pass,
    moved,
    on_ledger,
    producer_settings,
    spec,
    states_of,
    stored,
)

WAITING, EXPIRED = State.WAITING, State.EXPIRED


@pytest.fixture
def chunk(redis_url, client):
    """A chunk of three waiting specs."""
    return stored(redis_url, 3)


def lease(url, chunk_id, owner="worker-1"):
    return on_ledger(url, lambda ledger: ledger.leases.lease(chunk_id, owner))


def give_back(url, chunk_id, owner="worker-1"):
    return on_ledger(url, lambda ledger: ledger.leases.give_back(chunk_id, owner))


def abandoned(url):
    return on_ledger(url, lambda ledger: ledger.leases.abandoned())


def run_out(client, chunk_id):
    """Let the time of one chunk run out, whatever it waits for."""
    client.zadd(KEYS.open(lane_of(chunk_id)), {chunk_id: 1}, xx=True)


def lose(url, client, chunk_id, owner="worker-1"):
    """Lease a chunk and die with it; returns what recovery publishes then."""
    assert isinstance(lease(url, chunk_id, owner), Leased)
    run_out(client, chunk_id)
    return abandoned(url)


def dead_letters(client):
    return DeadLetterLedger(client, KEYS).chunks()


def status(client, number="b1"):
    return ReadingLedger(client, KEYS).status(number)


def outcomes(client, number="b1"):
    return list(ReadingLedger(client, KEYS).outcomes(number))


# --- chunks that kill their workers -----------------------------------------------------------------------------------


def test_a_chunk_that_kills_three_workers_in_a_row_becomes_a_dead_letter(redis_url, client, chunk, caplog):
    published = [lose(redis_url, client, chunk, f"worker-{number}") for number in range(LOST_LEASES)]
    assert published == [[chunk], [chunk], []]
    assert states_of(client, chunk) == [EXPIRED] * 3
    (told,) = dead_letters(client)
    assert (told.chunk_id, told.run, told.specs) == (chunk, "may", 3)
    assert "3 workers in a row" in told.reason
    assert "worker-2" in told.reason
    assert "b1.1 is a dead letter" in caplog.text
    assert {(one.outcome, one.code) for one in outcomes(client)} == {("expired", DEAD_LETTER_CODE)}
    assert ReadingLedger(client, KEYS).reasons("b1") == {f"expired {DEAD_LETTER_CODE}": 3}
    assert status(client).finished
    assert lease(redis_url, chunk) == NotLeased("nothing")
    let_pass(client, KEYS.open("bulk"), 3600)
    assert on_ledger(redis_url, chunks_to_publish) == []


def test_a_chunk_between_its_last_death_and_its_move_to_the_dead_letters_is_not_taken(redis_url, client, chunk):
    client.hset(KEYS.chunk(chunk), "lost", LOST_LEASES)  # the leader died in between
    assert lease(redis_url, chunk) == NotLeased("suspect")
    run_out(client, chunk)
    assert abandoned(redis_url) == []
    assert states_of(client, chunk) == [EXPIRED] * 3


@pytest.mark.parametrize("name", ["accept", "again", "look", "reject", "succeed", "fail"])
def test_an_answer_in_between_clears_a_chunk_of_suspicion(redis_url, client, chunk, name):
    for number in range(4):
        assert lose(redis_url, client, chunk) == [chunk]
        if number == 1:
            moved(redis_url, chunk, Move(0, name, delay_ms=3600_000))
            assert not client.hexists(KEYS.chunk(chunk), "lost")
    assert states_of(client, chunk)[1:] == [WAITING] * 2


def test_a_worker_that_gives_the_chunk_back_clears_it(redis_url, client, chunk):
    for number in range(4):
        assert lose(redis_url, client, chunk) == [chunk]
        if number == 1:
            lease(redis_url, chunk)
            assert give_back(redis_url, chunk) == GivenBack(3)
    assert states_of(client, chunk) == [WAITING] * 3


def test_a_worker_that_turns_out_to_live_takes_the_suspicion_back(redis_url, client, chunk):
    """Redis was away for longer than a lease, or the machine stood still: that says nothing about the chunk."""
    for number in range(2 * LOST_LEASES):
        assert lose(redis_url, client, chunk, f"worker-{number}") == [chunk]
        assert give_back(redis_url, chunk, f"worker-{number}") == LeaseLost()
        assert give_back(redis_url, chunk, f"worker-{number}") == LeaseLost()  # repeated after a lost reply
    assert states_of(client, chunk) == [WAITING] * 3
    assert not client.hexists(KEYS.chunk(chunk), "lost")


def test_a_living_worker_takes_back_only_what_was_held_against_itself(redis_url, client, chunk):
    lose(redis_url, client, chunk, "dead")
    lose(redis_url, client, chunk, "slow")
    give_back(redis_url, chunk, "slow")
    assert client.hget(KEYS.chunk(chunk), "lost") == b"1"
    assert give_back(redis_url, chunk, "dead") == LeaseLost()
    assert client.hget(KEYS.chunk(chunk), "lost") == b"1"


def test_a_chunk_that_nobody_took_up_is_not_suspected(redis_url, client, chunk):
    lease(redis_url, chunk)
    give_back(redis_url, chunk)
    for _ in range(2 * LOST_LEASES):
        let_pass(client, KEYS.open("bulk"), TAKE_UP_MS / 1000 + 1)
        assert abandoned(redis_url) == [chunk]
    assert not client.hexists(KEYS.chunk(chunk), "lost")


@pytest.mark.parametrize("poison", range(4))
def test_of_all_the_chunks_that_dying_workers_had_in_hand_only_the_deadly_one_becomes_a_dead_letter(
    redis_url, client, poison
):
    """It kills each worker at once, before any of the others has an answer."""
    chunks = [stored(redis_url, 2, first=10 * number) for number in range(4)]
    hinted = list(chunks)
    for generation in range(40):
        owner = f"worker-{generation}"
        in_hand = [chunk_id for chunk_id in hinted if isinstance(lease(redis_url, chunk_id, owner), Leased)]
        if chunks[poison] not in in_hand:  # then this one lives, and works
            for chunk_id in in_hand:
                moved(redis_url, chunk_id, Move(0, "succeed"), Move(1, "succeed"))
                give_back(redis_url, chunk_id, owner)
        for chunk_id in chunks:
            run_out(client, chunk_id)
        hinted = abandoned(redis_url)
        if not hinted:
            break
    assert [one.chunk_id for one in dead_letters(client)] == [chunks[poison]]
    assert status(client).succeeded == 6
    assert status(client).expired == 2
    assert status(client).finished


def test_only_what_was_still_to_be_sent_becomes_a_dead_letter(redis_url, client):
    chunk = stored(redis_url, 5)
    bring_to(redis_url, chunk, [State.ACCEPTED, State.RETRYING, State.LOOKING, State.SUCCEEDED, WAITING])
    for number in range(LOST_LEASES):
        lose(redis_url, client, chunk, f"worker-{number}")
    assert states_of(client, chunk) == [State.ACCEPTED, EXPIRED, State.LOOKING, State.SUCCEEDED, EXPIRED]
    assert not status(client).finished


def test_a_picture_that_comes_after_its_spec_was_given_up_is_stored(redis_url, client, chunk):
    for number in range(LOST_LEASES):
        lose(redis_url, client, chunk, f"worker-{number}")
    assert moved(redis_url, chunk, Move(1, "succeed", image_url=PICTURE)) == [True]
    assert [one.image_url for one in outcomes(client)] == ["", PICTURE, ""]
    assert ReadingLedger(client, KEYS).reasons("b1") == {f"expired {DEAD_LETTER_CODE}": 2}
    assert status(client).finished


def test_a_person_has_it_tried_again(redis_url, client, chunk):
    for number in range(LOST_LEASES):
        lose(redis_url, client, chunk, f"worker-{number}")
    with Client(producer_settings(redis_url)) as producer:
        assert [one.chunk_id for one in producer.dead_letter_chunks()] == [chunk]
        assert producer.redrive("may", code=DEAD_LETTER_CODE) == 3
        assert producer.dead_letter_chunks() == []
        assert producer.reasons("may") == {}
    assert isinstance(lease(redis_url, chunk), Leased)  # with three chances again
    assert not status(client).finished


# --- records that cannot be read --------------------------------------------------------------------------------------

GOOD = [one.row for one in identified([1, 2, 3])]
DAMAGES = {
    "not compressed": {"z": b"garbage"},
    "cut off": {"z": zlib.compress(b'["row 1"]\n{}')[:-6]},
    "no row ids": {"z": zlib.compress(b"{}\n{}\n{}\n{}")},
    "not text": {"z": zlib.compress(b"\xff\xfe\n{}")},
    "a row too few": {"z": zlib.compress(b'["1","2"]\n{}\n{}')},
    "no rows": {"z": None},
    "no version": {"v": None},
}


def damage(client, chunk_id, fields):
    for name, value in fields.items():
        client.hset(KEYS.chunk(chunk_id), name, value) if value is not None else client.hdel(KEYS.chunk(chunk_id), name)


@pytest.mark.parametrize("fields", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_chunk_that_cannot_be_read_becomes_a_dead_letter_at_once(redis_url, client, chunk, fields):
    damage(client, chunk, fields)
    assert lease(redis_url, chunk) == NotLeased("dead letter")
    assert states_of(client, chunk) == [EXPIRED] * 3
    assert status(client).finished
    (told,) = dead_letters(client)
    assert told.specs == 3
    assert told.reason
    assert lease(redis_url, chunk) in {NotLeased("nothing"), NotLeased("dead letter")}
    assert client.zcard(KEYS.open("bulk")) == 0
    assert [one.outcome for one in outcomes(client)] == ["expired"] * 3


def test_tries_that_are_lost_are_counted_anew(redis_url, client, chunk):
    damage(client, chunk, {"t": None})
    leased = lease(redis_url, chunk)
    assert leased.tries == [0, 0, 0]
    assert moved(redis_url, chunk, Move(2, "again", tries=1)) == [True]
    assert [one.attempts for one in outcomes(client)] == [0, 0, 1]


def test_states_that_are_lost_become_dead_letters_and_are_counted_anew(redis_url, client, chunk):
    moved(redis_url, chunk, Move(0, "accept"))
    client.zrem(KEYS.awaiting, chunk)
    damage(client, chunk, {"s": None})
    assert lease(redis_url, chunk) == NotLeased("dead letter")
    assert states_of(client, chunk) == [EXPIRED] * 3
    assert (status(client).expired, status(client).accepted, status(client).finished) == (3, 0, True)


def test_a_newer_record_holds_its_run_and_is_left_as_it_is(redis_url, client, chunk):
    damage(client, chunk, {"v": b"2"})
    assert lease(redis_url, chunk) == NotLeased("held")
    assert states_of(client, chunk) == [WAITING] * 3
    (hold,) = ReadingLedger(client, KEYS).holds()
    assert hold.scope == "may"
    assert "version '2'" in hold.reason
    assert "upgrade" in hold.cure
    assert lease(redis_url, chunk) == NotLeased("held")
    assert dead_letters(client) == []


def test_a_record_that_is_lost_does_not_keep_its_run_open_and_can_be_submitted_again(redis_url):
    with redis.Redis.from_url(redis_url) as client, Client(producer_settings(redis_url)) as producer:
        specs = [spec(number) for number in range(250)]
        producer.enqueue_many(specs, run="may")
        client.delete(KEYS.chunk("b1.2"))
        assert lease(redis_url, "b1.2") == NotLeased("dead letter")
        assert [(one.chunk_id, one.reason) for one in dead_letters(client)] == [("b1.2", RECORD_LOST)]
        assert (status(client).total, status(client).waiting) == (150, 150)
        assert indexed(client) == 150
        receipt = producer.enqueue_many(specs, run="may")
        assert (receipt.new, receipt.known) == (100, 150)
        assert status(client).total == 250
        assert len({one.task_id for one in producer.outcomes("may")}) == 250


def test_a_run_whose_only_open_chunk_is_lost_is_finished(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        done, lost = stored(redis_url, 2), stored(redis_url, 2, first=10)
        bring_to(redis_url, done, [State.SUCCEEDED] * 2)
        client.delete(KEYS.chunk(lost))
        assert not status(client).finished
        lease(redis_url, lost)
        assert status(client).finished
        assert status(client).total == 2


def test_a_damaged_chunk_is_forgotten_with_its_run(redis_url, client, chunk):
    stored(redis_url, 2, first=10)
    damage(client, chunk, DAMAGES["not compressed"])
    lease(redis_url, chunk)
    bring_to(redis_url, "b1.2", [State.SUCCEEDED] * 2)
    let_pass(client, KEYS.finished, 100)
    assert on_ledger(redis_url, lambda ledger: ledger.forget_finished(60)) == ["b1"]
    assert chunk_ids(client) == []
    assert indexed(client) == 0
    assert dead_letters(client) == []


def test_results_of_rows_that_cannot_be_read_are_lines_as_well(redis_url, client, chunk):
    damage(client, chunk, DAMAGES["not compressed"])
    lease(redis_url, chunk)
    assert [(one.row_id, one.outcome, one.code) for one in outcomes(client)] == [("", "expired", DEAD_LETTER_CODE)] * 3


def test_a_damaged_chunk_s_picture_is_stored_although_its_row_cannot_be_read(redis_url, client, chunk):
    moved(redis_url, chunk, Move(0, "accept"))
    damage(client, chunk, DAMAGES["not compressed"])
    lease(redis_url, chunk)
    assert moved(redis_url, chunk, Move(0, "succeed", image_url=PICTURE)) == [True]
    assert status(client).finished


# --- once a person has seen them --------------------------------------------------------------------------------------


def test_dead_letters_are_counted_and_deleted_and_their_specs_stay_as_they_ended(redis_url, client, chunk):
    other = stored(redis_url, 2, run="june", first=10)
    for one in (chunk, other):
        for number in range(LOST_LEASES):
            lose(redis_url, client, one, f"worker-{number}")
    note_message(client, KEYS, "bulk", "no hint", b"hello")
    with Client(producer_settings(redis_url)) as producer:
        assert producer.delete_dead_letters(dry_run=True) == (2, 1)
        assert producer.delete_dead_letters("june", why="seen") == (1, 0)
        assert [one.chunk_id for one in producer.dead_letter_chunks()] == [chunk]
        assert producer.delete_dead_letters(why="seen too") == (1, 1)
        assert producer.delete_dead_letters() == (0, 0)
        assert (producer.dead_letter_chunks(), producer.dead_letter_messages()) == ([], (0, []))
        told = [(entry.run, entry.result, entry.why) for entry in producer.audit(act="delete-dead-letters")]
        assert told == [
            ("", "nothing", ""),
            ("", "1 chunks, 1 messages", "seen too"),
            ("june", "1 chunks, 0 messages", "seen"),
        ]
        assert producer.redrive("may", code=DEAD_LETTER_CODE) == 3, "they can still be sent again"
