"""The fleet's acts on a real server: leases, every move from every state, retries, looks, recovery, forgetting."""

import random

import pytest

from couponpress.keys import HELD_SCORE, lane_of
from couponpress.ledger.enqueueing import UploadLedger
from couponpress.ledger.fleet_queries import Place
from couponpress.ledger.holds import HoldingLedger
from couponpress.ledger.leases import LEASE_MS, GivenBack, Leased, LeaseLost, NotLeased, Renewed
from couponpress.ledger.moves import CANARY_SPECS, TAKE_UP_MS, Move
from couponpress.ledger.progress import ReadingLedger
from couponpress.ledger.redrive import RedriveLedger
from couponpress.outcome import State
from tests.builders import (
    KEYS,
    MOVE_TO,
    PICTURE,
    assert_consistent,
    bring_to,
    chunk_ids,
    identified,
    indexed,
    let_pass,
    moved,
    now_ms,
    on_ledger,
    states_of,
    stored,
)

WAITING, RETRYING, LOOKING, PAUSED = State.WAITING, State.RETRYING, State.LOOKING, State.PAUSED
ACCEPTED = State.ACCEPTED
#: move -> the state it leads to, and the states that it may leave.
TABLE = {
    "accept": (ACCEPTED, {WAITING, RETRYING, LOOKING, PAUSED}),
    "again": (RETRYING, {WAITING}),
    "look": (LOOKING, {WAITING, PAUSED}),
    "release": (WAITING, {RETRYING}),
    "absent": (RETRYING, {LOOKING, ACCEPTED}),
    "reject": (State.REJECTED, {WAITING, RETRYING, LOOKING, PAUSED}),
    "expire": (State.EXPIRED, {WAITING, RETRYING, LOOKING, ACCEPTED}),
    "cancel": (State.CANCELLED, {WAITING, RETRYING, LOOKING, PAUSED}),
    "succeed": (State.SUCCEEDED, {WAITING, RETRYING, LOOKING, PAUSED, ACCEPTED, State.EXPIRED}),
    "fail": (State.FAILED, {WAITING, RETRYING, LOOKING, PAUSED, ACCEPTED}),
    "dead_letter": (State.EXPIRED, {WAITING, RETRYING}),
    "pause": (PAUSED, {WAITING, RETRYING}),
    "resume": (WAITING, {PAUSED}),
}
CASES = [(name, state) for name in TABLE for state in State]
MADE = [(name, state) for name, state in CASES if state in TABLE[name][1]]
NOT_MADE = [case for case in CASES if case not in MADE]


@pytest.fixture
def chunk(redis_url, client):
    """A chunk of three waiting specs."""
    return stored(redis_url, 3)


def everything(client):
    """All that the server holds."""
    return {key: client.dump(key) for key in client.scan_iter()}


def status(client, chunk_id="b1.1"):
    return ReadingLedger(client, KEYS).status(chunk_id.partition(".")[0])


def outcomes(client, number="b1"):
    return list(ReadingLedger(client, KEYS).outcomes(number))


def lease(url, chunk_id, owner="worker-1"):
    return on_ledger(url, lambda ledger: ledger.leases.lease(chunk_id, owner))


def renew(url, chunk_id, owner="worker-1"):
    return on_ledger(url, lambda ledger: ledger.leases.renew(chunk_id, owner))


def give_back(url, chunk_id, owner="worker-1"):
    return on_ledger(url, lambda ledger: ledger.leases.give_back(chunk_id, owner))


def hold(client, scope):
    client.hset(KEYS.holds, scope, '{"reason": "r", "cure": "c", "since": 0}')


# --- leases -----------------------------------------------------------------------------------------------------------


def test_a_lease_hands_over_rows_states_and_tries(redis_url, client, chunk):
    moved(redis_url, chunk, Move(1, "accept", tries=2))
    leased = lease(redis_url, chunk)
    assert isinstance(leased, Leased)
    assert leased.rows == [one.row for one in identified([1, 2, 3])]
    assert (leased.states, leased.tries, leased.waiting()) == ("waw", [0, 2, 0], [0, 2])


def test_a_leased_chunk_is_taken(redis_url, chunk):
    lease(redis_url, chunk)
    assert lease(redis_url, chunk, "worker-2") == NotLeased("taken")


def test_a_lease_that_is_asked_for_again_under_its_own_name_is_the_same_lease(redis_url, chunk):
    """As after a lost answer; `Leases` gives each lease a name of its own."""
    assert lease(redis_url, chunk) == lease(redis_url, chunk)


def test_a_lease_lives_for_its_time(redis_url, client, chunk):
    before = now_ms(client)
    lease(redis_url, chunk)
    assert before + LEASE_MS <= client.zscore(KEYS.open("bulk"), chunk) <= now_ms(client) + LEASE_MS


def test_a_lease_that_ran_out_goes_to_the_next_once_recovery_saw_it(redis_url, client, chunk):
    lease(redis_url, chunk)
    let_pass(client, KEYS.open("bulk"), LEASE_MS / 1000 + 1)
    assert lease(redis_url, chunk, "worker-2") == NotLeased("taken")
    assert abandoned(redis_url) == [chunk]
    assert isinstance(lease(redis_url, chunk, "worker-2"), Leased)
    assert renew(redis_url, chunk) == LeaseLost()
    assert give_back(redis_url, chunk) == LeaseLost()


def test_a_renewed_lease_lives_on(redis_url, client, chunk):
    lease(redis_url, chunk)
    let_pass(client, KEYS.open("bulk"), 20)
    assert renew(redis_url, chunk) == Renewed()
    let_pass(client, KEYS.open("bulk"), 20)
    assert lease(redis_url, chunk, "worker-2") == NotLeased("taken")


def test_renewing_again_is_harmless(redis_url, chunk):
    lease(redis_url, chunk)
    assert renew(redis_url, chunk) == Renewed()
    assert renew(redis_url, chunk) == Renewed()


def test_a_lease_that_nobody_has_cannot_be_renewed(redis_url, chunk):
    assert renew(redis_url, chunk) == LeaseLost()


def test_a_chunk_that_does_not_exist_is_nothing_to_do(redis_url):
    assert lease(redis_url, "b99.1") == NotLeased("nothing")
    assert renew(redis_url, "b99.1") == LeaseLost()
    assert give_back(redis_url, "b99.1") == LeaseLost()


def test_an_open_chunk_whose_record_is_gone_becomes_a_dead_letter_and_is_closed(redis_url, client):
    client.zadd(KEYS.open("bulk"), {"b9.9": 1})
    assert lease(redis_url, "b9.9") == NotLeased("dead letter")
    assert client.zscore(KEYS.open("bulk"), "b9.9") is None


def test_a_staged_chunk_is_nothing_to_do_yet(redis_url, client):
    uploads = UploadLedger(client, KEYS)
    run = uploads.open_run("may", "bulk")
    chunk_id = uploads.enqueue_staged(run, uploads.lock_upload(run), identified([1])).chunk_id
    assert lease(redis_url, chunk_id) == NotLeased("nothing")


def test_a_chunk_without_waiting_specs_is_closed_by_the_lease(redis_url, client, chunk):
    lease(redis_url, chunk)
    bring_to(redis_url, chunk, [ACCEPTED] * 3)
    let_pass(client, KEYS.open("bulk"), LEASE_MS / 1000 + 1)
    assert lease(redis_url, chunk, "worker-2") == NotLeased("nothing")
    assert client.zcard(KEYS.open("bulk")) == 0
    assert client.hget(KEYS.chunk(chunk), "owner") is None


@pytest.mark.parametrize("scope", ["partner", "run:b1"])
def test_a_held_chunk_is_kept_back(redis_url, client, chunk, scope):
    hold(client, scope)
    assert lease(redis_url, chunk) == NotLeased("held")
    assert client.zscore(KEYS.open("bulk"), chunk) == HELD_SCORE


def test_a_hold_of_another_run_keeps_nothing_back(redis_url, client, chunk):
    hold(client, "run:b2")
    assert isinstance(lease(redis_url, chunk), Leased)


def test_a_chunk_that_is_given_back_empty_is_closed(redis_url, client, chunk):
    lease(redis_url, chunk)
    bring_to(redis_url, chunk, [ACCEPTED, RETRYING, State.REJECTED])
    assert give_back(redis_url, chunk) == GivenBack(0)
    assert client.zcard(KEYS.open("bulk")) == 0


def test_a_chunk_that_is_given_back_with_a_rest_is_to_be_taken_up_soon(redis_url, client, chunk):
    lease(redis_url, chunk)
    bring_to(redis_url, chunk, [ACCEPTED, WAITING, WAITING])
    assert give_back(redis_url, chunk) == GivenBack(2)
    assert 0 < client.zscore(KEYS.open("bulk"), chunk) - now_ms(client) <= TAKE_UP_MS


def test_the_rest_can_be_leased_at_once(redis_url, chunk):
    lease(redis_url, chunk)
    give_back(redis_url, chunk)
    assert isinstance(lease(redis_url, chunk, "worker-2"), Leased)


def test_giving_back_again_finds_the_lease_gone(redis_url, client, chunk):
    lease(redis_url, chunk)
    give_back(redis_url, chunk)
    before = everything(client)
    assert give_back(redis_url, chunk) == LeaseLost()
    assert everything(client) == before


def test_a_worker_cannot_give_back_what_another_has(redis_url, client, chunk):
    lease(redis_url, chunk)
    before = everything(client)
    assert give_back(redis_url, chunk, "worker-2") == LeaseLost()
    assert everything(client) == before


# --- moves ------------------------------------------------------------------------------------------------------------


def in_state(url, state):
    """A chunk of one spec in this state."""
    chunk_id = stored(url)
    bring_to(url, chunk_id, [state])
    return chunk_id


@pytest.mark.parametrize(("name", "state"), MADE)
def test_a_move_that_the_table_allows_is_made(redis_url, client, name, state):
    chunk_id, to = in_state(redis_url, state), TABLE[name][0]
    assert moved(redis_url, chunk_id, Move(0, name, tries=1)) == [True]
    assert states_of(client, chunk_id) == [to]
    told = status(client)
    assert getattr(told, to.value) == told.total == 1
    assert told.finished is to.ended


@pytest.mark.parametrize(("name", "state"), NOT_MADE)
def test_a_move_that_the_table_does_not_allow_changes_nothing(redis_url, client, name, state):
    chunk_id = in_state(redis_url, state)
    before = everything(client)
    move = Move(0, name, tries=1, delay_ms=1, image_url=PICTURE, code="CODE", message="why")
    assert moved(redis_url, chunk_id, move) == [False]
    assert everything(client) == before


@pytest.mark.parametrize(("spent", "made"), [(0, False), (1, True), (2, False)])
def test_a_move_that_belongs_to_one_try_is_made_after_that_one_only(redis_url, client, chunk, spent, made):
    moved(redis_url, chunk, Move(0, "accept", tries=1))
    assert moved(redis_url, chunk, Move(0, "absent", after_tries=spent), Move(9, "absent", after_tries=1)) == [
        made,
        False,
    ]
    assert states_of(client, chunk) == [RETRYING if made else ACCEPTED, WAITING, WAITING]


@pytest.mark.parametrize("name", TABLE)
def test_a_move_that_is_repeated_changes_nothing(redis_url, client, name):
    chunk_id = in_state(redis_url, next(state for state in State if state in TABLE[name][1]))
    move = Move(0, name, tries=1, delay_ms=1000, code="CODE", message="why")
    assert moved(redis_url, chunk_id, move) == [True]
    before = everything(client)
    assert moved(redis_url, chunk_id, move) == [False]
    assert everything(client) == before


def test_the_table_holds_every_move_there_is(client):
    assert set(MOVE_TO.values()) | {"release", "absent", "dead_letter", "resume"} == set(TABLE)


def test_moves_of_one_call_are_made_in_their_order(redis_url, client, chunk):
    steps = [Move(0, "again", tries=1), Move(0, "release"), Move(0, "accept", tries=1), Move(0, "again")]
    assert moved(redis_url, chunk, *steps) == [True, True, True, False]
    assert states_of(client, chunk) == [ACCEPTED, WAITING, WAITING]


def test_moves_of_several_chunks_are_told_apart(redis_url, client):
    first, second = stored(redis_url, 2), stored(redis_url, 2, first=10)
    moves = {first: [Move(1, "accept")], second: [Move(0, "release"), Move(0, "fail")], "b99.1": [Move(0, "accept")]}
    made = on_ledger(redis_url, lambda ledger: ledger.moves.move(moves))
    assert made == {first: [True], second: [False, True], "b99.1": [False]}


def test_no_moves_change_nothing(redis_url, client, chunk):
    before = everything(client)
    assert moved(redis_url, chunk) == []
    assert on_ledger(redis_url, lambda ledger: ledger.moves.move({})) == {}
    assert everything(client) == before


def test_a_position_outside_the_chunk_is_not_moved(redis_url, client, chunk):
    assert moved(redis_url, chunk, Move(3, "accept"), Move(99, "accept")) == [False, False]


def test_a_server_that_forgot_its_scripts_learns_them_again(redis_url, client, chunk):
    async def act(ledger):
        await ledger.moves.move({chunk: [Move(0, "accept")]})
        client.script_flush()
        made = await ledger.moves.move({chunk: [Move(1, "accept")]})
        client.script_flush()
        return made, await ledger.leases.lease(chunk, "worker-1")

    made, leased = on_ledger(redis_url, act)
    assert made == {chunk: [True]}
    assert leased.states == "aaw"


def test_tries_add_up(redis_url, client, chunk):
    for _ in range(3):
        moved(redis_url, chunk, Move(1, "again", tries=1), Move(1, "release"))
    moved(redis_url, chunk, Move(1, "accept", tries=1))
    assert [one.attempts for one in outcomes(client)] == [0, 4, 0]


def test_tries_are_counted_to_an_end_that_prints(redis_url, client, chunk):
    moved(redis_url, chunk, *[Move(0, "again", tries=1), Move(0, "release")] * 100)
    assert outcomes(client)[0].attempts == ord("~") - ord("0")


@pytest.mark.parametrize("name", ["accept", "succeed", "fail"])
def test_a_callback_that_comes_before_the_answer_proves_a_try(redis_url, client, chunk, name):
    moved(redis_url, chunk, Move(0, name))
    moved(redis_url, chunk, Move(0, "accept", tries=1))  # the answer, recorded late
    assert outcomes(client)[0].attempts == 1


def test_a_picture_is_stored_with_its_spec(redis_url, client, chunk):
    moved(redis_url, chunk, Move(2, "succeed", image_url=PICTURE))
    assert [one.image_url for one in outcomes(client)] == ["", "", PICTURE]
    assert outcomes(client)[2].outcome == "succeeded"


def test_a_reason_is_stored_with_its_spec_and_counted_for_the_run(redis_url, client, chunk):
    moved(
        redis_url,
        chunk,
        Move(0, "reject", code="PARAM_ERROR", message="参数错误"),
        Move(1, "reject", code="PARAM_ERROR", message="x"),
        Move(2, "fail", code="FAIL", message="y"),
    )
    assert (outcomes(client)[0].code, outcomes(client)[0].message) == ("PARAM_ERROR", "参数错误")
    assert ReadingLedger(client, KEYS).reasons("b1") == {"rejected PARAM_ERROR": 2, "failed FAIL": 1}


def test_a_reason_tells_when_a_spec_first_and_last_ended_so(redis_url, client, chunk):
    before = now_ms(client)
    moved(redis_url, chunk, Move(0, "reject", code="NO_AUTH"))
    (first,) = client.hvals(KEYS.reasons_seen("b1"))
    *moments, place = first.split()
    began, last = map(int, moments)
    assert place.decode() == f"{chunk}/0"
    assert before <= began == last <= now_ms(client)
    client.hset(KEYS.reasons_seen("b1"), "rejected NO_AUTH", f"{began - 5000} {last - 5000}")
    moved(redis_url, chunk, Move(1, "reject", code="NO_AUTH"), Move(2, "expire", code="GAVE_UP"))
    seen = {reason: told.split() for reason, told in client.hgetall(KEYS.reasons_seen("b1")).items()}
    assert int(seen[b"rejected NO_AUTH"][0]) == began - 5000
    assert int(seen[b"rejected NO_AUTH"][1]) >= last
    assert seen[b"rejected NO_AUTH"][2].decode() == f"{chunk}/1"
    assert set(seen) == {b"rejected NO_AUTH", b"expired GAVE_UP"}


def test_the_totals_count_what_happened_and_never_shrink(redis_url, client, chunk):
    moved(
        redis_url,
        chunk,
        Move(0, "reject", tries=1, code="NO_AUTH"),
        Move(1, "again", tries=1, code="HTTP_502"),
        Move(2, "succeed", tries=1, image_url=PICTURE),
    )
    on_ledger(redis_url, lambda ledger: ledger.moves.count_throttled(chunk, 7))
    told = {b"rejected NO_AUTH": b"1", b"succeeded": b"1", b"tries": b"3", b"throttled": b"7"}
    assert client.hgetall(KEYS.totals) == told
    list(RedriveLedger(client, KEYS).redrive("b1", None, None))
    assert client.hgetall(KEYS.totals) == told
    moved(redis_url, chunk, Move(0, "reject", tries=1, code="NO_AUTH"))
    assert client.hgetall(KEYS.totals) == told | {b"rejected NO_AUTH": b"2", b"tries": b"4"}


def test_a_retry_waits_since_its_chunk_was_made(redis_url, client):
    before = now_ms(client)
    chunk = stored(redis_url, 1)
    moved(redis_url, chunk, Move(0, "again", delay_ms=0))
    assert client.zcard(KEYS.waiting_since("bulk")) == 0
    moved(redis_url, chunk, Move(0, "release"))
    assert before <= client.zscore(KEYS.waiting_since("bulk"), chunk) <= now_ms(client)
    client.hset(KEYS.chunk(chunk), "made", "1700000000.5000")  # 5 ms: the fraction counts microseconds
    moved(redis_url, chunk, Move(0, "again", delay_ms=0))
    moved(redis_url, chunk, Move(0, "release"))
    assert client.zscore(KEYS.waiting_since("bulk"), chunk) == 1_700_000_000_005


def test_the_reason_of_a_try_is_kept_while_it_waits_and_goes_with_success(redis_url, client, chunk):
    moved(redis_url, chunk, Move(0, "again", tries=1, code="HTTP_502", message="bad gateway", request_id="08F1-0"))
    told = on_ledger(redis_url, lambda ledger: ledger.queries.history(Place(chunk, 0)))
    assert told == (1, "HTTP_502", "bad gateway", "08F1-0")
    assert (outcomes(client)[0].code, outcomes(client)[0].request_id) == ("HTTP_502", "08F1-0")
    moved(redis_url, chunk, Move(0, "accept", tries=1))
    assert outcomes(client)[0].code == ""
    assert ReadingLedger(client, KEYS).reasons("b1") == {}


def test_nobody_has_a_history_in_a_chunk_that_is_gone(redis_url):
    assert on_ledger(redis_url, lambda ledger: ledger.queries.history(Place("b9.9", 0))) == (0, "", "", "")


@pytest.mark.parametrize(
    "text", ["\ud800", "a\udfffb", "\x00\n\"'", "错误 🙂", "x" * 100_000], ids=lambda text: ascii(text)[:9]
)
def test_any_text_can_be_a_reason(redis_url, client, chunk, text):
    assert moved(redis_url, chunk, Move(0, "reject", code="CODE", message=text)) == [True]
    told = outcomes(client)[0].message
    assert told == text.encode(errors="replace").decode()


def test_an_accepted_spec_is_awaited_from_then_on(redis_url, client, chunk):
    before = now_ms(client)
    moved(redis_url, chunk, Move(0, "accept"))
    assert before <= client.zscore(KEYS.awaiting, chunk) <= now_ms(client)
    moved(redis_url, chunk, Move(0, "succeed"))
    assert client.zscore(KEYS.awaiting, chunk) is None


def test_a_retry_is_due_after_its_delay(redis_url, client, chunk):
    before = now_ms(client)
    moved(redis_url, chunk, Move(0, "again", delay_ms=60_000))
    assert before + 60_000 <= client.zscore(KEYS.retries, f"{chunk}/0") <= now_ms(client) + 60_000


def test_a_look_is_due_after_its_delay(redis_url, client, chunk):
    before = now_ms(client)
    moved(redis_url, chunk, Move(0, "look", delay_ms=60_000))
    assert before + 60_000 <= client.zscore(KEYS.looks, f"{chunk}/0") <= now_ms(client) + 60_000


def test_a_callback_that_ends_the_last_waiting_spec_closes_the_chunk(redis_url, client, chunk):
    bring_to(redis_url, chunk, [ACCEPTED, ACCEPTED, WAITING])
    assert client.zcard(KEYS.open("bulk")) == 1
    moved(redis_url, chunk, Move(2, "succeed"))
    assert client.zcard(KEYS.open("bulk")) == 0


def test_a_chunk_in_hand_is_closed_by_whoever_has_it_in_hand(redis_url, client, chunk):
    lease(redis_url, chunk)
    bring_to(redis_url, chunk, [State.SUCCEEDED] * 3)
    assert client.zcard(KEYS.open("bulk")) == 1
    assert give_back(redis_url, chunk) == GivenBack(0)
    assert client.zcard(KEYS.open("bulk")) == 0


# --- the end of a run -------------------------------------------------------------------------------------------------


def test_a_run_is_finished_when_its_last_spec_has_an_outcome(redis_url, client):
    first, second = stored(redis_url), stored(redis_url, first=2)
    bring_to(redis_url, first, [State.SUCCEEDED])
    assert not status(client).finished
    assert client.zcard(KEYS.finished) == 0
    before = now_ms(client) / 1000
    bring_to(redis_url, second, [State.REJECTED])
    assert status(client).finished
    assert before <= status(client).finished_at <= now_ms(client) / 1000
    assert client.zrange(KEYS.finished, 0, -1) == [b"b1"]


@pytest.mark.parametrize("state", [WAITING, RETRYING, LOOKING, ACCEPTED])
def test_a_run_is_not_finished_while_a_spec_is_open(redis_url, client, chunk, state):
    bring_to(redis_url, chunk, [State.SUCCEEDED, state, State.FAILED])
    assert not status(client).finished


def test_late_news_do_not_move_the_end_of_a_run(redis_url, client, chunk):
    bring_to(redis_url, chunk, [State.SUCCEEDED] * 3)
    client.hset(KEYS.run("b1"), "finished_ms", 1000)
    moved(redis_url, chunk, Move(0, "fail"), Move(1, "accept"))
    assert status(client).finished_at == 1.0


def test_one_run_does_not_finish_another(redis_url, client):
    may, june = stored(redis_url, run="may"), stored(redis_url, run="june", first=2)
    bring_to(redis_url, may, [State.SUCCEEDED])
    assert status(client, may).finished
    assert not status(client, june).finished


def test_throttled_answers_are_counted_for_the_run(redis_url, client, chunk):
    on_ledger(redis_url, lambda ledger: ledger.moves.count_throttled(chunk, 3))
    on_ledger(redis_url, lambda ledger: ledger.moves.count_throttled(chunk, 4))
    assert status(client).throttled == 7


# --- retries and looks ------------------------------------------------------------------------------------------------


def release(url):
    return on_ledger(url, lambda ledger: ledger.moves.release_due_retries())


def test_a_retry_that_is_not_due_stays(redis_url, client, chunk):
    moved(redis_url, chunk, Move(0, "again", delay_ms=5000))
    assert release(redis_url) == []
    assert states_of(client, chunk)[0] == RETRYING


def test_a_due_retry_waits_again_and_its_chunk_is_published(redis_url, client, chunk):
    bring_to(redis_url, chunk, [RETRYING, ACCEPTED, ACCEPTED])
    assert client.zcard(KEYS.open("bulk")) == 0
    assert release(redis_url) == [chunk]
    assert states_of(client, chunk) == [WAITING, ACCEPTED, ACCEPTED]
    assert 0 < client.zscore(KEYS.open("bulk"), chunk) - now_ms(client) <= TAKE_UP_MS
    assert client.zcard(KEYS.retries) == 0


def test_releasing_again_publishes_nothing_more(redis_url, chunk):
    bring_to(redis_url, chunk, [RETRYING] * 3)
    assert release(redis_url) == [chunk]
    assert release(redis_url) == []


def test_due_retries_of_several_chunks_are_released_together(redis_url, client):
    chunks = [stored(redis_url, 2, first=first) for first in (1, 11, 21)]
    for chunk_id in chunks:
        bring_to(redis_url, chunk_id, [RETRYING, RETRYING])
    assert sorted(release(redis_url)) == chunks
    assert status(client).waiting == 6


def test_a_retry_that_a_callback_ended_is_due_no_more(redis_url, client, chunk):
    bring_to(redis_url, chunk, [RETRYING, ACCEPTED, ACCEPTED])
    moved(redis_url, chunk, Move(0, "succeed"))
    assert release(redis_url) == []


def test_a_retry_whose_chunk_is_gone_is_struck_off(redis_url, client):
    client.zadd(KEYS.retries, {"b9.9/3": 1})
    release(redis_url)
    assert client.zcard(KEYS.retries) == 0


def test_a_retry_released_while_its_chunk_is_in_hand_is_handed_on_with_it(redis_url, client, chunk):
    lease(redis_url, chunk)
    bring_to(redis_url, chunk, [RETRYING, ACCEPTED, ACCEPTED])
    release(redis_url)
    assert lease(redis_url, chunk, "worker-2") == NotLeased("taken")
    assert give_back(redis_url, chunk) == GivenBack(1)


def due_looks(url, limit=50):
    return on_ledger(url, lambda ledger: ledger.queries.due_looks(limit))


def test_due_looks_come_oldest_first_and_limited(redis_url, client, chunk):
    for position, delay_ms in enumerate((-1000, -3000, -2000)):
        moved(redis_url, chunk, Move(position, "look", delay_ms=delay_ms))
    assert due_looks(redis_url, 2) == [Place(chunk, 1), Place(chunk, 2)]


def test_a_look_that_is_not_due_stays(redis_url, client, chunk):
    moved(redis_url, chunk, Move(0, "look", delay_ms=60_000))
    assert due_looks(redis_url) == []


def test_a_postponed_look_gives_way(redis_url, client, chunk):
    bring_to(redis_url, chunk, [LOOKING, LOOKING])
    on_ledger(redis_url, lambda ledger: ledger.queries.postpone_look(Place(chunk, 0), 10_000))
    assert due_looks(redis_url) == [Place(chunk, 1)]
    let_pass(client, KEYS.looks, 11)
    assert len(due_looks(redis_url)) == 2


def test_a_look_that_was_answered_meanwhile_is_not_postponed(redis_url, client, chunk):
    on_ledger(redis_url, lambda ledger: ledger.queries.postpone_look(Place(chunk, 0), 10_000))
    assert client.zcard(KEYS.looks) == 0


def test_a_dropped_look_is_due_no_more(redis_url, client):
    client.zadd(KEYS.looks, {"b9.9/3": 1})
    on_ledger(redis_url, lambda ledger: ledger.queries.drop_look(Place("b9.9", 3)))
    assert due_looks(redis_url) == []


# --- overdue ----------------------------------------------------------------------------------------------------------


def overdue(url, silent_seconds=780, limit=50):
    return on_ledger(url, lambda ledger: ledger.queries.overdue_chunks(silent_seconds, limit))


def accepted_seconds_ago(url, chunk_id):
    return on_ledger(url, lambda ledger: ledger.queries.accepted_seconds_ago(chunk_id))


def test_a_chunk_is_overdue_once_it_was_silent_for_long_enough(redis_url, client, chunk):
    bring_to(redis_url, chunk, [ACCEPTED, WAITING, WAITING])
    assert overdue(redis_url) == []
    let_pass(client, KEYS.awaiting, 781)
    assert overdue(redis_url) == [chunk]


def test_an_overdue_chunk_tells_how_long_ago_its_last_spec_was_accepted(redis_url, client, chunk):
    bring_to(redis_url, chunk, [ACCEPTED])
    let_pass(client, KEYS.awaiting, 1000)
    client.hincrby(KEYS.chunk(chunk), "accepted_ms", -1_000_000)
    assert 1000 <= accepted_seconds_ago(redis_url, chunk) < 1010


def test_a_queried_chunk_is_silent_anew_but_no_younger(redis_url, client, chunk):
    bring_to(redis_url, chunk, [ACCEPTED])
    client.hincrby(KEYS.chunk(chunk), "accepted_ms", -1_000_000)
    let_pass(client, KEYS.awaiting, 1000)
    on_ledger(redis_url, lambda ledger: ledger.queries.queried(chunk))
    assert overdue(redis_url) == []
    let_pass(client, KEYS.awaiting, 781)
    assert overdue(redis_url) == [chunk]
    assert accepted_seconds_ago(redis_url, chunk) >= 1000


def test_a_chunk_that_ended_while_it_was_queried_is_not_awaited_again(redis_url, client, chunk):
    on_ledger(redis_url, lambda ledger: ledger.queries.queried(chunk))
    assert client.zcard(KEYS.awaiting) == 0


def test_the_oldest_overdue_chunks_come_first(redis_url, client):
    chunks = [stored(redis_url, first=first) for first in (1, 2, 3)]
    for seconds, chunk_id in zip((2000, 4000, 3000), chunks, strict=True):
        bring_to(redis_url, chunk_id, [ACCEPTED])
        client.zincrby(KEYS.awaiting, -seconds * 1000, chunk_id)
    assert overdue(redis_url, limit=2) == [chunks[1], chunks[2]]


# --- recovery ---------------------------------------------------------------------------------------------------------


def abandoned(url, limit=500):
    return on_ledger(url, lambda ledger: ledger.leases.abandoned(limit))


def unannounced(url):
    return on_ledger(url, lambda ledger: ledger.leases.unannounced())


def test_a_chunk_whose_worker_died_is_published_and_taken_over(redis_url, client, chunk):
    lease(redis_url, chunk)
    let_pass(client, KEYS.open("bulk"), LEASE_MS / 1000 + 1)
    assert abandoned(redis_url) == [chunk]
    assert isinstance(lease(redis_url, chunk, "worker-2"), Leased)


def test_a_worker_that_comes_back_after_its_chunk_was_published_has_lost_it(redis_url, client, chunk):
    lease(redis_url, chunk)
    let_pass(client, KEYS.open("bulk"), LEASE_MS / 1000 + 1)
    abandoned(redis_url)
    assert renew(redis_url, chunk) == LeaseLost()
    assert give_back(redis_url, chunk) == LeaseLost()


def test_a_chunk_in_hand_is_not_abandoned(redis_url, client, chunk):
    lease(redis_url, chunk)
    assert abandoned(redis_url) == []


def test_a_rest_that_nobody_took_up_is_published(redis_url, client, chunk):
    lease(redis_url, chunk)
    give_back(redis_url, chunk)
    assert abandoned(redis_url) == []
    let_pass(client, KEYS.open("bulk"), TAKE_UP_MS / 1000 + 1)
    assert abandoned(redis_url) == [chunk]


def test_an_abandoned_chunk_is_published_once_per_span(redis_url, client, chunk):
    lease(redis_url, chunk)
    let_pass(client, KEYS.open("bulk"), LEASE_MS / 1000 + 1)
    assert abandoned(redis_url) == [chunk]
    assert abandoned(redis_url) == []
    let_pass(client, KEYS.open("bulk"), TAKE_UP_MS / 1000 + 1)
    assert abandoned(redis_url) == [chunk]


def test_abandoned_chunks_of_both_lanes_are_found_the_urgent_ones_first(redis_url, client):
    bulk, urgent = stored(redis_url, run="may"), stored(redis_url, run="now", lane="urgent", first=2)
    for chunk_id in (bulk, urgent):
        lease(redis_url, chunk_id)
        let_pass(client, KEYS.open(lane_of(chunk_id)), LEASE_MS / 1000 + 1)
    assert abandoned(redis_url) == [urgent, bulk]


def test_chunks_are_found_in_rounds(redis_url, client):
    chunks = [stored(redis_url, first=first) for first in range(5)]
    for chunk_id in chunks:
        lease(redis_url, chunk_id)
    let_pass(client, KEYS.open("bulk"), LEASE_MS / 1000 + 1)
    found = abandoned(redis_url, 3) + abandoned(redis_url, 3)
    assert sorted(found) == chunks


def test_a_chunk_whose_first_hint_still_waits_is_not_abandoned(redis_url, client, chunk):
    let_pass(client, KEYS.open("bulk"), 3600)
    assert abandoned(redis_url) == []


def test_a_held_chunk_is_neither_abandoned_nor_unannounced(redis_url, client, chunk):
    hold(client, "partner")
    lease(redis_url, chunk)
    let_pass(client, KEYS.open("bulk"), 3600)
    assert abandoned(redis_url) == unannounced(redis_url) == []


def test_a_chunk_whose_hint_was_lost_is_announced_when_the_queue_is_empty(redis_url, client, chunk):
    client.lpush(KEYS.queue("bulk"), "a hint")
    assert unannounced(redis_url) == []
    client.delete(KEYS.queue("bulk"))
    assert unannounced(redis_url) == [chunk]
    assert unannounced(redis_url) == []  # it has TAKE_UP_MS to be taken up


def test_a_queue_that_is_full_in_one_lane_does_not_hide_the_other(redis_url, client):
    client.lpush(KEYS.queue("bulk"), "a hint")
    stored(redis_url, run="may")
    urgent = stored(redis_url, run="now", lane="urgent", first=2)
    assert unannounced(redis_url) == [urgent]


def test_an_announced_chunk_that_nobody_took_up_is_abandoned(redis_url, client, chunk):
    unannounced(redis_url)
    let_pass(client, KEYS.open("bulk"), TAKE_UP_MS / 1000 + 1)
    assert abandoned(redis_url) == [chunk]


# --- forgetting -------------------------------------------------------------------------------------------------------


def forget(url, result_ttl_seconds=60):
    return on_ledger(url, lambda ledger: ledger.forget_finished(result_ttl_seconds))


def finished(url, client, seconds_ago, **where):
    chunk_id = stored(url, **where)
    moved(url, chunk_id, Move(0, "reject", code="PARAM_ERROR"))
    client.zincrby(KEYS.finished, -seconds_ago * 1000, chunk_id.partition(".")[0])
    return chunk_id


def test_a_finished_run_is_forgotten_with_everything_of_it(redis_url, client):
    finished(redis_url, client, 61)
    hold(client, "run:b1")
    assert forget(redis_url) == ["b1"]
    # What is left is no longer about the run: how many names were given, and what ever happened.
    assert set(client.keys(KEYS.prefix + "*")) == {
        name.encode() for name in (KEYS.run_numbers, KEYS.counts, KEYS.totals)
    }
    assert set(client.hvals(KEYS.counts)) == {b"0"}
    assert client.hgetall(KEYS.run_numbers) == {b"": b"1"}


def test_results_live_for_their_time(redis_url, client):
    chunk_id = finished(redis_url, client, 50)
    assert forget(redis_url) == []
    assert chunk_ids(client) == [chunk_id]


def test_a_run_with_open_specs_is_never_forgotten(redis_url, client, chunk):
    bring_to(redis_url, chunk, [State.SUCCEEDED, ACCEPTED])
    assert forget(redis_url, 0) == []
    assert chunk_ids(client) == [chunk]


def test_forgetting_one_run_leaves_the_others(redis_url, client):
    finished(redis_url, client, 61, run="may")
    kept = finished(redis_url, client, 1, run="june", first=2)
    assert forget(redis_url) == ["b1"]
    assert chunk_ids(client) == [kept]
    assert indexed(client) == 1


def test_what_is_forgotten_is_new_again(redis_url, client):
    finished(redis_url, client, 61)
    forget(redis_url)
    assert stored(redis_url) == "b2.1"
    assert status(client, "b2.1").waiting == 1


def test_forgetting_again_does_nothing_more(redis_url, client):
    finished(redis_url, client, 61)
    forget(redis_url)
    assert forget(redis_url) == []


@pytest.mark.parametrize("staged", [0, 1], ids=["only locked", "with a chunk"])
def test_a_run_is_not_forgotten_while_an_upload_into_it_is_open(redis_url, client, staged):
    chunk_id = finished(redis_url, client, 61)
    uploads = UploadLedger(client, KEYS)
    token = uploads.lock_upload("b1")
    for number in range(staged):
        uploads.enqueue_staged("b1", token, identified([10 + number]))
    assert forget(redis_url) == []
    assert chunk_id in chunk_ids(client)
    assert [one for batch in uploads.seal("b1", token) for one in batch] == ["b1.2"] * staged


def test_a_run_is_not_forgotten_while_an_upload_that_died_waits_for_its_seal(redis_url, client):
    finished(redis_url, client, 61)
    uploads = UploadLedger(client, KEYS)
    uploads.enqueue_staged("b1", uploads.lock_upload("b1"), identified([10]))
    client.delete(KEYS.upload_lock("b1"))  # its time ran out
    assert forget(redis_url) == []
    assert chunk_ids(client) == ["b1.1", "b1.2"]


def test_a_callback_for_a_forgotten_spec_finds_nothing(redis_url, client):
    chunk_id = finished(redis_url, client, 61)
    forget(redis_url)
    assert on_ledger(redis_url, lambda ledger: ledger.queries.places(["cut-out-000001"])) == [None]
    assert moved(redis_url, chunk_id, Move(0, "succeed")) == [False]
    assert on_ledger(redis_url, lambda ledger: ledger.queries.rows(chunk_id)) == ([], "")


def test_a_run_with_chunks_that_were_discarded_is_forgotten_whole(redis_url, client):
    uploads = UploadLedger(client, KEYS)
    finished(redis_url, client, 61)
    token = uploads.lock_upload("b1")
    uploads.enqueue_staged("b1", token, identified([10]))
    uploads.discard("b1", token)
    assert forget(redis_url) == ["b1"]
    assert chunk_ids(client) == []


# --- everything ends --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_every_spec_ends_in_one_outcome(redis_url, client, seed):
    """Crashes, lost hints, lost replies, late callbacks and holds, in any order; then quiet, and all must end."""
    chance = random.Random(seed)
    uploads, holds = UploadLedger(client, KEYS), HoldingLedger(client, KEYS)
    hinted = []

    def enqueue():
        lane = chance.choice(["urgent", "bulk"])
        run = uploads.open_run(f"run in {lane}", lane)
        numbers = chance.sample(range(400), 12)
        if chance.random() < 0.5:
            told = uploads.enqueue_open(run, identified(numbers, lane))
            hinted.extend([told.chunk_id] if told.chunk_id and chance.random() < 0.7 else [])
            return
        token = uploads.lock_upload(run)
        for _ in range(2):  # the second call is the repetition after a lost reply
            uploads.enqueue_staged(run, token, identified(numbers, lane))
        if chance.random() < 0.2:
            uploads.discard(run, token)
        else:
            hinted.extend(one for batch in uploads.seal(run, token) for one in batch)

    def some_move(position):
        name = chance.choice(["accept", "accept", "again", "look", "reject", "succeed", "fail", "absent", "expire"])
        return Move(position, name, tries=1, delay_ms=chance.randrange(5000), code="CODE", message="why")

    def moment():
        for key in (KEYS.open("urgent"), KEYS.open("bulk"), KEYS.retries, KEYS.looks, KEYS.awaiting):
            let_pass(client, key, chance.choice([0, 5, 40, 1000]))

    async def work(ledger, owner, crash):
        hinted.extend(await ledger.moves.release_due_retries())
        hinted.extend(await ledger.leases.abandoned())
        hinted.extend(await ledger.leases.unannounced())
        while hinted and chance.random() < 0.9:
            chunk_id = hinted.pop(chance.randrange(len(hinted)))
            leased = await ledger.leases.lease(chunk_id, owner)
            if not isinstance(leased, Leased):
                continue
            moves = {chunk_id: [some_move(position) for position in leased.waiting() if chance.random() < 0.7]}
            for _ in range(chance.choice([1, 2])):
                await ledger.moves.move(moves)
            if crash and chance.random() < 0.3:
                continue
            match await ledger.leases.give_back(chunk_id, owner):
                case GivenBack(waiting) if waiting and chance.random() < 0.7:
                    hinted.append(chunk_id)

    async def storm(ledger):
        for step in range(60):
            act = chance.choice(["enqueue", "work", "work", "callbacks", "moment", "hold", "release"])
            if act == "enqueue":
                enqueue()
            elif act == "work":
                await work(ledger, f"worker-{step}", crash=True)
            elif act == "callbacks":
                for chunk_id in chance.sample(chunk_ids(client), min(3, len(chunk_ids(client)))):
                    if client.hget(KEYS.chunk(chunk_id), "accepted_ms"):
                        await ledger.moves.move({chunk_id: [some_move(position) for position in range(12)]})
            elif act == "moment":
                moment()
            elif act == "hold":
                holds.hold(chance.choice([None, "b1", "u2"]), "reason", "cure")
            else:
                hinted.extend(holds.release(chance.choice([None, "b1", "u2"])) or [])
        hinted.clear()  # every hint is lost

    async def quiet(ledger):
        for scope in (None, *(number.decode() for number in client.zrange(KEYS.runs, 0, -1))):
            holds.release(scope)
        for round_ in range(200):
            if all(one.finished for one in map(reading.status, reading.run_numbers())):
                return
            moment()
            await work(ledger, f"survivor-{round_}", crash=False)
            for place in await ledger.queries.due_looks(50):
                await ledger.moves.move({place.chunk_id: [Move(place.position, "absent", tries=0)]})
            for chunk_id in await ledger.queries.overdue_chunks(1, 50):
                await ledger.moves.move({chunk_id: [Move(position, "expire") for position in range(12)]})

    reading = ReadingLedger(client, KEYS)
    on_ledger(redis_url, storm)
    assert_consistent(client)
    on_ledger(redis_url, quiet)
    for number in reading.run_numbers():
        told = reading.status(number)
        assert told.finished, told
        assert told.ended == told.total == len(outcomes(client, number))
        assert all(one.outcome for one in outcomes(client, number))
    assert client.zcard(KEYS.open("bulk")) == client.zcard(KEYS.open("urgent")) == 0
    assert client.zcard(KEYS.retries) == client.zcard(KEYS.looks) == client.zcard(KEYS.awaiting) == 0


# --- the canary -------------------------------------------------------------------------------------------------------


def rejected(url, count, *, run="may", first=1):
    """Enqueue a chunk and let the platform reject all of it but the last spec, which waits."""
    chunk_id = stored(url, count + 1, run=run, first=first)
    why = {"code": "PARAM_ERROR", "message": "too long", "request_id": "08F1-0"}
    moves = [Move(position, "reject", tries=1, **why) for position in range(count)]
    assert all(moved(url, chunk_id, *moves))
    return chunk_id


def holds_of(client):
    return {hold.shown: hold for hold in ReadingLedger(client, KEYS).holds()}


def test_a_run_whose_first_specs_are_all_rejected_is_held(redis_url, client):
    rejected(redis_url, 30)
    rejected(redis_url, CANARY_SPECS - 31, first=101)
    assert holds_of(client) == {}
    rejected(redis_url, 1, first=201)
    (hold,) = holds_of(client).values()
    assert (hold.kind, hold.scope) == ("run", "may")
    assert hold.reason == (
        "the platform rejected its first 50 specs and took none, the last one with PARAM_ERROR: too long "
        "(Request-ID 08F1-0)"
    )
    assert "`couponpress cancel may`" in hold.cure
    assert "`couponpress resume may`" in hold.cure


def test_the_rejections_of_other_runs_do_not_count(redis_url, client):
    rejected(redis_url, CANARY_SPECS - 1)
    rejected(redis_url, CANARY_SPECS - 1, run="june", first=101)
    assert holds_of(client) == {}


@pytest.mark.parametrize("name", ["accept", "succeed", "fail"])
def test_one_spec_that_was_taken_lets_a_run_go_on(redis_url, client, name):
    moved(redis_url, stored(redis_url), Move(0, name))
    for first in (101, 201):
        rejected(redis_url, 99, first=first)
    assert holds_of(client) == {}


@pytest.mark.parametrize("name", ["again", "look", "cancel", "expire"])
def test_what_is_no_rejection_neither_trips_nor_calms_the_canary(redis_url, client, name):
    chunk_id = stored(redis_url, 100)
    moved(redis_url, chunk_id, *(Move(position, name) for position in range(100)))
    assert holds_of(client) == {}
    rejected(redis_url, CANARY_SPECS, first=101)
    assert holds_of(client).keys() == {"run may"}


def test_a_rejection_after_a_look_is_no_answer_to_a_row(redis_url, client):
    chunk_id = stored(redis_url, 100)
    moved(redis_url, chunk_id, *(Move(position, "look") for position in range(100)))
    moved(redis_url, chunk_id, *(Move(position, "reject", code="GAVE_UP") for position in range(100)))
    assert holds_of(client) == {}


def test_a_run_that_has_ended_is_not_held(redis_url, client):
    chunk_id = stored(redis_url, 100)
    moved(redis_url, chunk_id, *(Move(position, "reject", code="PARAM_ERROR") for position in range(100)))
    assert holds_of(client) == {}


def test_a_rejection_told_twice_counts_once(redis_url, client):
    chunk_id = rejected(redis_url, CANARY_SPECS - 1)
    moved(redis_url, chunk_id, *(Move(position, "reject") for position in range(CANARY_SPECS - 1)))
    assert holds_of(client) == {}


def test_the_moves_are_told_as_ever_when_the_canary_trips(redis_url, client):
    chunk_id = stored(redis_url, 61)
    moves = [Move(position, "reject") for position in [*range(60), 3]]
    assert moved(redis_url, chunk_id, *moves) == [True] * 60 + [False]
    assert holds_of(client).keys() == {"run may"}


def test_after_a_resume_the_canary_wants_new_evidence(redis_url, client):
    rejected(redis_url, 60)
    holding = HoldingLedger(client, KEYS)
    assert holding.release("b1") == []
    rejected(redis_url, CANARY_SPECS - 1, first=101)
    assert holds_of(client) == {}
    rejected(redis_url, 1, first=301)
    assert holds_of(client).keys() == {"run may"}


def test_a_run_that_passed_and_was_paused_is_not_watched_again(redis_url, client):
    moved(redis_url, stored(redis_url), Move(0, "accept"))
    holding = HoldingLedger(client, KEYS)
    holding.hold("b1", "paused by hand", "cure")
    holding.release("b1")
    rejected(redis_url, 99, first=101)
    assert holds_of(client) == {}


# --- what was accepted lately -----------------------------------------------------------------------------------------


def test_whether_anything_was_accepted_lately(redis_url, client):
    assert not on_ledger(redis_url, lambda ledger: ledger.queries.accepted_within(60))
    chunk_id = stored(redis_url)
    moved(redis_url, chunk_id, Move(0, "accept"))
    assert on_ledger(redis_url, lambda ledger: ledger.queries.accepted_within(60))
    client.hincrby(KEYS.chunk(chunk_id), "accepted_ms", -61_000)
    on_ledger(redis_url, lambda ledger: ledger.queries.queried(chunk_id))  # a query is no acceptance
    assert not on_ledger(redis_url, lambda ledger: ledger.queries.accepted_within(60))
