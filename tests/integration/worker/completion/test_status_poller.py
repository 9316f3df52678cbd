"""Specs that the platform has not called back about are asked about; the answers end in a real ledger."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis.asyncio import Redis

from couponpress.ledger.dead_letters import DEAD_LETTER_CODE
from couponpress.ledger.moves import Move
from couponpress.ledger.progress import ReadingLedger
from couponpress.ledger.working import WorkLedger
from couponpress.outcome import State
from couponpress_worker.completion.moves import EXPIRED_CODE, GAVE_UP_CODE
from couponpress_worker.completion.status_poller import ROUND, OverdueQuery
from couponpress_worker.periodic import TICK_SECONDS, Failures, keep_running
from couponpress_worker.rate.slots import SlotsClosedError
from couponpress_worker.wechatpay.judgement import Answer, NoAnswer
from couponpress_worker.wechatpay.retry import LAST_DELAYS_SECONDS, MAX_TRIES
from tests.builders import (
    KEYS,
    PICTURE,
    bring_to,
    let_pass,
    moved,
    now_ms,
    states_of,
    stored,
)

SPAN, EXPIRY = 780, 172_800
MADE = Answer(200, content={"task_state": "SUCCESS", "cut_out_result": {"image_url": PICTURE}})
FAILED = Answer(200, content={"task_state": "FAIL"})
PROCESSING = Answer(200, content={"task_state": "PROCESSING"})
ABSENT = Answer(404, code="RESOURCE_NOT_EXISTS")
REFUSED = Answer(403, code="RULE_LIMIT", message="a rule of business forbids it")
NOT_AUTHORISED = Answer(403, code="NO_AUTH", message="the brand did not authorise")
THROTTLED = Answer(429, code="RATELIMIT_EXCEEDED", retry_after_seconds=7.0)
WRONG_KEY = Answer(401, code="SIGN_ERROR", message="签名错误", request_id="08F1-268435461")
BROKEN = Answer(502)
SILENT = NoAnswer("open", "timeout")


class FakePlatform:
    """Answers every query alike, or each task in its own way."""

    def __init__(self, answer, **of_task):
        self.answer, self.of_task, self.asked = answer, of_task, []

    async def query(self, task_id, brand_id, image_generation_type, gate):
        await gate()
        self.asked.append((task_id, brand_id, image_generation_type))
        return self.of_task.get(task_id.replace("-", "_"), self.answer)


class FakeSlots:
    """Gives a slot to everybody; the first few pass unused."""

    def __init__(self, passing=0, closed=False):
        self.passing, self.closed, self.taken, self.pauses = passing, closed, 0, []

    async def take(self):
        if self.closed:
            raise SlotsClosedError
        self.taken += 1
        return self.taken

    async def due(self, slot, *, urgent):
        return slot > self.passing

    def now_us(self, slot):
        return slot

    def answered(self, slot):
        assert slot <= self.taken

    def throttled(self, slot, retry_after_seconds):
        assert slot <= self.taken
        self.pauses.append(retry_after_seconds)


class Lead:
    """A process that leads for so many questions."""

    def __init__(self, questions=1000):
        self.questions = questions

    async def mine(self):
        self.questions -= 1
        return self.questions >= 0


def rounds(url, platform, *, slots=None, lead=None, count=1):
    """Let one process take up what is due."""

    async def act():
        async with Redis.from_url(url) as connection:
            query = OverdueQuery(
                ledger=WorkLedger(connection, KEYS),
                platform=platform,
                slots=slots or FakeSlots(),
                callback_span_seconds=SPAN,
                expire_after_seconds=EXPIRY,
            )
            for _ in range(count):
                await query.round((lead or Lead()).mine)

    asyncio.run(act())


def accepted(url, client, *, ago=SPAN + 1, count=1):
    """A chunk whose specs were accepted so many seconds ago."""
    chunk_id = stored(url, count)
    bring_to(url, chunk_id, [State.ACCEPTED] * count)
    client.hincrby(KEYS.chunk(chunk_id), "accepted_ms", -ago * 1000)
    let_pass(client, KEYS.awaiting, ago)
    return chunk_id


def outcomes(client):
    return list(ReadingLedger(client, KEYS).outcomes("b1"))


# --- overdue ----------------------------------------------------------------------------------------------------------


def test_a_spec_that_is_not_yet_overdue_is_not_asked_about(redis_url, client):
    accepted(redis_url, client, ago=SPAN - 60)
    platform = FakePlatform(MADE)
    rounds(redis_url, platform)
    assert platform.asked == []


def test_an_overdue_spec_is_asked_about_by_its_ids_and_type(redis_url, client):
    accepted(redis_url, client)
    platform = FakePlatform(MADE)
    rounds(redis_url, platform)
    assert platform.asked == [("cut-out-000001", "120344", "CUT_OUT")]


def test_a_picture_that_was_made_is_stored(redis_url, client):
    accepted(redis_url, client)
    rounds(redis_url, FakePlatform(MADE))
    (told,) = outcomes(client)
    assert (told.outcome, told.image_url) == ("succeeded", PICTURE)
    assert ReadingLedger(client, KEYS).status("b1").finished


def test_a_picture_that_failed_is_told(redis_url, client):
    accepted(redis_url, client)
    rounds(redis_url, FakePlatform(FAILED))
    assert outcomes(client)[0].outcome == "failed"


@pytest.mark.parametrize("state", [State.ACCEPTED, State.LOOKING])
def test_an_answer_is_not_booked_for_another_spec_that_stands_in_the_place_by_now(redis_url, client, state):
    """As after a Redis that lost its last second while the platform was asked."""

    class SlowPlatform(FakePlatform):
        async def query(self, *asked):
            answer = await super().query(*asked)
            with ThreadPoolExecutor() as beside:  # the helpers below run a loop of their own
                beside.submit(self.lose_and_store_anew).result()
            return answer

        def lose_and_store_anew(self):
            client.flushdb()
            assert stored(redis_url, first=2) == chunk_id
            bring_to(redis_url, chunk_id, [state])

    chunk_id = accepted(redis_url, client) if state is State.ACCEPTED else looking(redis_url)
    platform = SlowPlatform(MADE)
    rounds(redis_url, platform)
    assert [asked[0] for asked in platform.asked] == ["cut-out-000001"]
    assert states_of(client, chunk_id) == [state]


@pytest.mark.parametrize("state", [State.ACCEPTED, State.LOOKING])
def test_unknown_to_the_platform_does_not_undo_a_try_that_was_made_since(redis_url, client, state):
    """As when another leader heard the same before, and the spec was sent again and taken meanwhile."""

    class SlowPlatform(FakePlatform):
        async def query(self, *asked):
            answer = await super().query(*asked)
            with ThreadPoolExecutor() as beside:
                beside.submit(self.go_again_and_be_taken).result()
            return answer

        def go_again_and_be_taken(self):
            for name, tries in (("absent", 0), ("release", 0), ("accept", 1)):
                moved(redis_url, chunk_id, Move(0, name, tries=tries))

    chunk_id = accepted(redis_url, client) if state is State.ACCEPTED else looking(redis_url)
    rounds(redis_url, SlowPlatform(ABSENT))
    assert states_of(client, chunk_id) == [State.ACCEPTED]


def test_only_accepted_specs_of_a_chunk_are_asked_about(redis_url, client):
    chunk_id = stored(redis_url, 3)
    bring_to(redis_url, chunk_id, [State.ACCEPTED, State.SUCCEEDED, State.RETRYING])
    let_pass(client, KEYS.awaiting, SPAN + 1)
    platform = FakePlatform(MADE)
    rounds(redis_url, platform)
    assert [task_id for task_id, *_ in platform.asked] == ["cut-out-000001"]


@pytest.mark.parametrize("answer", [PROCESSING, THROTTLED, NOT_AUTHORISED, BROKEN, SILENT, REFUSED], ids=repr)
def test_a_spec_that_nothing_new_is_known_of_stays_accepted_and_is_silent_anew(redis_url, client, answer):
    chunk_id = accepted(redis_url, client)
    platform = FakePlatform(answer)
    rounds(redis_url, platform, count=3)
    assert states_of(client, chunk_id) == [State.ACCEPTED]
    assert len(platform.asked) == 1
    let_pass(client, KEYS.awaiting, SPAN + 1)
    rounds(redis_url, platform)
    assert len(platform.asked) == 2


def test_a_spec_that_the_platform_does_not_know_goes_again(redis_url, client):
    chunk_id = accepted(redis_url, client)
    rounds(redis_url, FakePlatform(ABSENT))
    assert states_of(client, chunk_id) == [State.RETRYING]
    assert outcomes(client)[0].code == "NOT_FOUND"


@pytest.mark.parametrize("answer", [PROCESSING, BROKEN, SILENT, REFUSED], ids=repr)
def test_a_spec_without_an_ending_for_too_long_is_given_up(redis_url, client, answer):
    accepted(redis_url, client, ago=EXPIRY + SPAN + 1)
    rounds(redis_url, FakePlatform(answer))
    (told,) = outcomes(client)
    assert (told.outcome, told.code) == ("expired", EXPIRED_CODE)


def test_a_moments_outage_at_the_deadline_gives_no_spec_up(redis_url, client):
    chunk_id = accepted(redis_url, client, ago=EXPIRY + 1)
    rounds(redis_url, FakePlatform(BROKEN))
    assert states_of(client, chunk_id) == [State.ACCEPTED]


def test_a_spec_that_the_platform_accepts_and_never_knows_ends(redis_url, client):
    chunk_id = stored(redis_url)
    for _ in range(MAX_TRIES - 1):
        assert all(moved(redis_url, chunk_id, Move(0, "again", tries=1), Move(0, "release")))
    assert moved(redis_url, chunk_id, Move(0, "accept", tries=1)) == [True]
    let_pass(client, KEYS.awaiting, SPAN + 1)
    rounds(redis_url, FakePlatform(ABSENT))
    (told,) = outcomes(client)
    assert (told.outcome, told.code) == ("expired", EXPIRED_CODE)
    assert f"after {MAX_TRIES} tries" in told.message


def test_a_short_run_has_its_turn_while_a_long_one_is_queried(redis_url, client):
    """Three chunks of a long run are older than the short run's only spec."""
    for first in (1, 101, 201):
        chunk_id = stored(redis_url, 100, first=first, run="long")
        bring_to(redis_url, chunk_id, [State.ACCEPTED] * 100)
    let_pass(client, KEYS.awaiting, 100)
    bring_to(redis_url, stored(redis_url, first=301, run="short"), [State.ACCEPTED])
    let_pass(client, KEYS.awaiting, SPAN + 1)
    platform = FakePlatform(PROCESSING)
    rounds(redis_url, platform)
    assert len(platform.asked) == ROUND // 2 + 1  # half a round for either; the short one has no more
    assert "cut-out-000301" in [task_id for task_id, *_ in platform.asked[:2]]


def test_a_chunk_that_is_longer_than_its_turn_is_queried_whole_and_each_spec_once(redis_url, client):
    for first, run in ((1, "long"), (101, "other")):
        chunk_id = stored(redis_url, 100, first=first, run=run)
        bring_to(redis_url, chunk_id, [State.ACCEPTED] * 100)
    let_pass(client, KEYS.awaiting, SPAN + 1)
    platform = FakePlatform(PROCESSING)
    rounds(redis_url, platform, count=4)
    assert sorted(task_id for task_id, *_ in platform.asked) == [f"cut-out-{n:06}" for n in range(1, 201)]


def test_a_short_runs_look_has_its_turn_among_a_long_runs(redis_url, client):
    looking(redis_url, count=100)
    chunk_id = stored(redis_url, run="short", first=900)
    assert moved(redis_url, chunk_id, Move(0, "look", tries=1, code="NO_ANSWER"))
    platform = FakePlatform(BROKEN)
    rounds(redis_url, platform)
    assert "cut-out-000900" in [task_id for task_id, *_ in platform.asked[:2]]


def test_trouble_with_redis_in_the_middle_of_a_round_is_told_after_it(redis_url, client):
    accepted(redis_url, client, count=3)
    with pytest.raises(SlotsClosedError):
        rounds(redis_url, FakePlatform(MADE), slots=FakeSlots(closed=True))


@pytest.mark.parametrize("answer", [THROTTLED, WRONG_KEY], ids=repr)
def test_a_limit_or_a_wrong_key_gives_no_spec_up(redis_url, client, answer):
    chunk_id = accepted(redis_url, client, ago=EXPIRY + 1)
    rounds(redis_url, FakePlatform(answer))
    assert states_of(client, chunk_id) == [State.ACCEPTED]


def test_a_spec_is_not_given_up_unasked_when_its_picture_was_made_late(redis_url, client):
    accepted(redis_url, client, ago=EXPIRY + 1)
    rounds(redis_url, FakePlatform(MADE))
    assert outcomes(client)[0].outcome == "succeeded"


def test_queries_do_not_make_a_spec_younger(redis_url, client):
    accepted(redis_url, client, ago=EXPIRY - 60)
    rounds(redis_url, FakePlatform(PROCESSING))
    let_pass(client, KEYS.awaiting, SPAN + 1)
    client.hincrby(KEYS.chunk("b1.1"), "accepted_ms", -61_000)
    rounds(redis_url, FakePlatform(PROCESSING))
    assert outcomes(client)[0].outcome == "expired"


def test_each_query_has_a_slot(redis_url, client):
    accepted(redis_url, client, count=3)
    slots = FakeSlots()
    rounds(redis_url, FakePlatform(MADE), slots=slots)
    assert slots.taken == 3


def test_a_slot_that_passes_unused_is_followed_by_another(redis_url, client):
    accepted(redis_url, client)
    slots, platform = FakeSlots(passing=2), FakePlatform(MADE)
    rounds(redis_url, platform, slots=slots)
    assert slots.taken == 3
    assert len(platform.asked) == 1


def test_a_limit_slows_the_queries_down_for_as_long_as_it_says(redis_url, client):
    accepted(redis_url, client)
    slots = FakeSlots()
    rounds(redis_url, FakePlatform(THROTTLED), slots=slots)
    assert slots.pauses == [7.0]


def test_a_process_that_lost_the_lead_asks_no_more(redis_url, client):
    for first in (1, 2):
        chunk_id = stored(redis_url, first=first)
        bring_to(redis_url, chunk_id, [State.ACCEPTED])
    let_pass(client, KEYS.awaiting, SPAN + 1)
    platform = FakePlatform(MADE)
    rounds(redis_url, platform, lead=Lead(1))
    assert len(platform.asked) == 1


def test_a_wrong_key_is_told_with_its_cure(redis_url, client, caplog):
    accepted(redis_url, client)
    rounds(redis_url, FakePlatform(WRONG_KEY))
    assert "COUPONPRESS_MCH_PRIVATE_KEY_FILE" in caplog.text


def test_a_wrong_key_holds_the_partner_after_one_query(redis_url, client):
    for first in (1, 101):
        chunk_id = stored(redis_url, 100, first=first)
        bring_to(redis_url, chunk_id, [State.LOOKING, *[State.ACCEPTED] * 99])
    let_pass(client, KEYS.awaiting, SPAN + 1)
    platform = FakePlatform(WRONG_KEY)
    rounds(redis_url, platform)
    assert len(platform.asked) == 1
    (hold,) = ReadingLedger(client, KEYS).holds()
    assert (hold.kind, hold.reason) == ("partner", "SIGN_ERROR: 签名错误 (Request-ID 08F1-268435461)")


def test_a_chunk_that_a_wrong_key_left_unasked_is_asked_about_right_after_the_release(redis_url, client):
    accepted(redis_url, client, count=3)
    rounds(redis_url, FakePlatform(WRONG_KEY))
    platform = FakePlatform(MADE)
    rounds(redis_url, platform)
    assert len(platform.asked) == 3


def test_a_brand_that_withdrew_its_permission_holds_no_spec_open_for_ever(redis_url, client):
    accepted(redis_url, client, ago=EXPIRY + 1)
    rounds(redis_url, FakePlatform(NOT_AUTHORISED))
    assert outcomes(client)[0].outcome == "expired"


def test_specs_whose_rows_cannot_be_read_wait_for_callbacks_until_they_are_given_up(redis_url, client):
    chunk_id = accepted(redis_url, client, count=2)
    client.hset(KEYS.chunk(chunk_id), "z", b"garbage")
    platform = FakePlatform(MADE)
    rounds(redis_url, platform)
    assert states_of(client, chunk_id) == [State.ACCEPTED] * 2
    let_pass(client, KEYS.awaiting, SPAN + 1)
    client.hset(KEYS.chunk(chunk_id), "accepted_ms", 1)
    rounds(redis_url, platform)
    assert states_of(client, chunk_id) == [State.EXPIRED] * 2
    assert platform.asked == []


# --- looks ------------------------------------------------------------------------------------------------------------


def looking(url, *, tries=1, code="NO_ANSWER", count=1):
    """A chunk whose specs' submitting ended open after so many tries."""
    chunk_id = stored(url, count)
    looks = [Move(position, "look", tries=tries, code=code, message="why") for position in range(count)]
    assert all(moved(url, chunk_id, *looks))
    return chunk_id


@pytest.mark.parametrize(
    ("answer", "state"),
    [(MADE, State.SUCCEEDED), (FAILED, State.FAILED), (PROCESSING, State.ACCEPTED), (ABSENT, State.RETRYING)],
    ids=["made", "failed", "processing", "absent"],
)
def test_a_look_finds_out_what_became_of_a_spec(redis_url, client, answer, state):
    chunk_id = looking(redis_url)
    rounds(redis_url, FakePlatform(answer))
    assert states_of(client, chunk_id) == [state]
    assert client.zcard(KEYS.looks) == 0


def test_a_spec_that_never_arrived_goes_again_after_its_delay(redis_url, client):
    chunk_id = looking(redis_url, tries=3)
    before = now_ms(client)
    rounds(redis_url, FakePlatform(ABSENT))
    due = client.zscore(KEYS.retries, f"{chunk_id}/0")
    assert before + 4000 <= due <= now_ms(client) + 4000
    assert outcomes(client)[0].attempts == 3


def test_a_spec_whose_tries_ended_in_an_outage_goes_again_once_the_platform_answers(redis_url, client):
    """A look is repeated until it is answered, so no outage is too long."""
    chunk_id = looking(redis_url, tries=MAX_TRIES)
    for answer in (SILENT, BROKEN):
        rounds(redis_url, FakePlatform(answer))
        let_pass(client, KEYS.looks, 60)
    rounds(redis_url, FakePlatform(ABSENT))
    assert states_of(client, chunk_id) == [State.RETRYING]
    assert outcomes(client)[0].attempts == MAX_TRIES


def test_a_spec_that_never_arrived_and_has_no_tries_left_is_rejected(redis_url, client):
    most = MAX_TRIES + len(LAST_DELAYS_SECONDS)
    looking(redis_url, tries=most)
    rounds(redis_url, FakePlatform(ABSENT))
    (told,) = outcomes(client)
    assert (told.outcome, told.code, told.attempts) == ("rejected", GAVE_UP_CODE, most)
    assert "NO_ANSWER why" in told.message


def test_a_task_id_that_exists_with_other_data_is_rejected(redis_url, client):
    looking(redis_url, code="ALREADY_EXISTS")
    rounds(redis_url, FakePlatform(ABSENT))
    (told,) = outcomes(client)
    assert (told.outcome, told.code) == ("rejected", "ALREADY_EXISTS")


def test_a_look_that_the_platform_refuses_ends_the_spec(redis_url, client):
    looking(redis_url)
    rounds(redis_url, FakePlatform(REFUSED))
    (told,) = outcomes(client)
    assert (told.outcome, told.code) == ("rejected", "RULE_LIMIT")
    assert "a rule of business forbids it" in told.message


@pytest.mark.parametrize("answer", [THROTTLED, NOT_AUTHORISED, BROKEN, SILENT], ids=repr)
def test_a_look_that_taught_nothing_is_taken_up_later(redis_url, client, answer):
    chunk_id = looking(redis_url)
    platform = FakePlatform(answer)
    rounds(redis_url, platform, count=3)
    assert states_of(client, chunk_id) == [State.LOOKING]
    assert len(platform.asked) == 1
    let_pass(client, KEYS.looks, 60)
    rounds(redis_url, platform)
    assert len(platform.asked) == 2


def test_a_look_at_a_spec_of_a_brand_that_stays_unauthorised_ends_at_the_deadline(redis_url, client):
    chunk_id = looking(redis_url, count=2)
    since_ms = [int(client.hget(KEYS.chunk(chunk_id), name)) for name in ("l0", "l1")]
    assert all(0 <= now_ms(client) - one < 60_000 for one in since_ms)
    client.hincrby(KEYS.chunk(chunk_id), "l1", -(EXPIRY + 1) * 1000)
    rounds(redis_url, FakePlatform(NOT_AUTHORISED))
    assert states_of(client, chunk_id) == [State.LOOKING, State.EXPIRED]
    assert (outcomes(client)[1].code, "NO_AUTH" in outcomes(client)[1].message) == (EXPIRED_CODE, True)
    let_pass(client, KEYS.looks, 60)
    rounds(redis_url, FakePlatform(MADE))
    assert not {b"l0", b"l1"} & set(client.hkeys(KEYS.chunk(chunk_id)))


def test_looks_that_teach_nothing_do_not_keep_others_from_their_turn(redis_url, client):
    chunk_id = looking(redis_url, count=100)
    platform = FakePlatform(BROKEN, cut_out_000100=MADE)
    rounds(redis_url, platform, count=2)
    assert states_of(client, chunk_id)[99] == State.SUCCEEDED


def test_a_look_whose_chunk_is_gone_is_struck_off_unasked(redis_url, client):
    client.zadd(KEYS.looks, {"b9.9/3": 1})
    platform = FakePlatform(MADE)
    rounds(redis_url, platform)
    assert platform.asked == []
    assert client.zcard(KEYS.looks) == 0


def test_a_look_at_a_row_that_cannot_be_read_is_given_up(redis_url, client):
    chunk_id = looking(redis_url, count=2)
    client.hset(KEYS.chunk(chunk_id), "z", b"garbage")
    platform = FakePlatform(MADE)
    rounds(redis_url, platform)
    assert states_of(client, chunk_id) == [State.EXPIRED] * 2
    assert {one.code for one in outcomes(client)} == {DEAD_LETTER_CODE}
    assert platform.asked == []


# --- the loop ---------------------------------------------------------------------------------------------------------


def run(url, platform, *, slots=None, halted=lambda: False, lead=None):
    async def act():
        stopped = asyncio.Event()

        async with Redis.from_url(url) as connection, asyncio.timeout(10):
            query = OverdueQuery(
                ledger=WorkLedger(connection, KEYS),
                platform=platform,
                slots=slots or FakeSlots(),
                callback_span_seconds=SPAN,
                expire_after_seconds=EXPIRY,
            )

            leader = lead or Lead()

            async def may_ask():
                stopped.set()  # after this round
                return not halted() and await leader.mine()

            await keep_running(
                "status poller",
                lambda: query.turn(may_ask),
                stopped,
                Failures(),
                tick_seconds=TICK_SECONDS,
                leader=may_ask,
            )

    asyncio.run(act())


def test_the_leader_queries_until_it_is_stopped(redis_url, client):
    accepted(redis_url, client)
    run(redis_url, FakePlatform(MADE))
    assert outcomes(client)[0].outcome == "succeeded"


def test_nothing_is_queried_while_everything_is_held(redis_url, client):
    accepted(redis_url, client)
    platform = FakePlatform(MADE)
    run(redis_url, platform, halted=lambda: True)
    assert platform.asked == []


def test_a_hold_that_comes_in_the_middle_of_a_round_ends_it(redis_url, client):
    accepted(redis_url, client, count=5)
    platform = FakePlatform(MADE)
    run(redis_url, platform, halted=lambda: len(platform.asked) >= 2)
    assert len(platform.asked) == 2


def test_a_process_that_does_not_lead_queries_nothing(redis_url, client):
    accepted(redis_url, client)
    platform = FakePlatform(MADE)
    run(redis_url, platform, lead=Lead(0))
    assert platform.asked == []


def test_closed_slots_end_the_queries(redis_url, client):
    chunk_id = accepted(redis_url, client)
    run(redis_url, FakePlatform(MADE), slots=FakeSlots(closed=True))
    assert states_of(client, chunk_id) == [State.ACCEPTED]


def test_a_fault_of_our_own_is_told_and_does_not_end_the_queries(redis_url, client, caplog):
    accepted(redis_url, client)
    run(redis_url, FakePlatform(ZeroDivisionError("ours")))
    assert "status poller failed and goes on" in caplog.text
