"""One chunk from lease to outcomes, with a ledger and a platform that are handed in."""

import asyncio
import time
from collections import defaultdict
from dataclasses import replace

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from couponpress.ledger.chunks import Row
from couponpress.ledger.leases import GivenBack, KeptBack, Leased, LeaseLost, NotLeased, Renewed
from couponpress_worker.events import Answered, ChunkLeft, ChunkTaken, Event, Sent
from couponpress_worker.rate.bucket import Grant
from couponpress_worker.rate.slots import Slots
from couponpress_worker.safety.auto_hold import BRANDS_IN_A_ROW, Fault
from couponpress_worker.safety.breaker_gate import Outage
from couponpress_worker.safety.send_switch import Halt
from couponpress_worker.safety.slow_start import BRAND_AT_ONCE, PARTNER_AT_ONCE
from couponpress_worker.store.availability import RedisWatch
from couponpress_worker.store.recorder import Recorder
from couponpress_worker.submission.submitter import SIGN_AHEAD, STOPPING, Submitter
from couponpress_worker.timings import REAL
from couponpress_worker.wechatpay.client import NotSent
from couponpress_worker.wechatpay.judgement import Accepted, Answer, NoAnswer, Retry

CHUNK = "b1.1"
#: A chunk is in hand for 0.5 s, and a probe goes every 0.2 s.
SHORT = replace(REAL.scaled(0.2), hand_on=0.5)
#: What the last chunk told to whoever listens.
TOLD: list[Event] = []
ACCEPTED = Answer(200, content={"task_id": "t"})
THROTTLED = Answer(429, code="RATELIMIT_EXCEEDED", retry_after_seconds=0.0)


class LedgerInHand:
    """A ledger for one chunk: says what was leased, keeps what was moved, and is open as long as anything waits."""

    def __init__(self, specs, tries=0, lease="leased", brands=("1",)):
        brand_of = [brands[position % len(brands)] for position in range(specs)]
        self.rows = [
            Row(str(position), b'{"brand_id":"%s","n":%d}' % (brand.encode(), position))
            for position, brand in enumerate(brand_of)
        ]
        self.tries, self.lease_reply = tries, lease
        self.moves = {}
        self.throttled = 0
        self.held = []
        self.renewed = 0

    async def lease_next(self, lane, owner):
        if self.lease_reply != "leased":
            return NotLeased(self.lease_reply)
        tries = self.tries if isinstance(self.tries, list) else [self.tries] * len(self.rows)
        return Leased(CHUNK, self.rows, "w" * len(self.rows), tries)

    async def renew(self, chunk_id, owner):
        self.renewed += 1
        return Renewed()

    async def give_back(self, chunk_id, owner, kept):
        self.kept = kept
        rest = len(self.rows) - len(self.moves)
        return KeptBack() if rest and rest == len(kept) else GivenBack(rest)

    async def move(self, moves):
        for move in moves.get(CHUNK, []):
            assert move.position not in self.moves, "each spec moves once"
            self.moves[move.position] = move
        return {chunk_id: [True] * len(steps) for chunk_id, steps in moves.items()}

    async def count_throttled(self, chunk_id, answers):
        self.throttled += answers

    async def hold(self, scope, reason, cure, since):
        self.held.append((scope, reason, cure))
        return True

    async def accepted_within(self, seconds):
        return False


class ScriptedPlatform:
    """Answers each body with what its script says, the last line for ever; passes through the gate as the real one."""

    def __init__(self, *script, by_body=None):
        self.script, self.by_body = list(script), by_body or {}
        self.asked = defaultdict(int)
        self.on_send = lambda: None

    def sign_submit(self, body):
        return body

    async def submit(self, body, gate):
        await gate()
        self.on_send()
        script = self.by_body.get(body, self.script)
        answer = script[min(self.asked[body], len(script) - 1)]
        self.asked[body] += 1
        return answer


async def no_write():
    """The write of a Redis that answers."""


async def endless_slots(wanted, urgent):
    return Grant(at_us=0, first_us=0, spacing_us=1, count=wanted)


def submit(ledger, platform, *, acquire=endless_slots, halt=None, outage=None, only_brand=None, timings=REAL):
    """Submit the chunk; returns the summary and the chunks published again."""
    TOLD.clear()

    async def run():
        published = []

        async def publish_again(chunk_ids):
            published.extend(chunk_ids)

        watch = RedisWatch(no_write, lambda: False)
        slots = Slots(watch.patient(acquire), lateness_seconds=1.0)
        recorder, switch = Recorder(ledger), halt or Halt()
        submitter = Submitter(
            leases=ledger,
            fault=Fault(ledger, ledger, recorder, switch),
            watch=watch,
            recorder=recorder,
            slots=slots,
            platform=platform,
            owner="me",
            publish_again=publish_again,
            halt=switch,
            tell=TOLD.append,
            outage=outage,
            only_brand=only_brand,
            timings=timings,
        )
        try:
            summary = await submitter.submit_chunk(CHUNK)
            assert submitter.in_hand == 0
        finally:
            await slots.close()
            await watch.close()
            submitter.close()
        return summary, published

    return asyncio.run(run())


def told(kind):
    return [event for event in TOLD if isinstance(event, kind)]


def test_those_that_spent_the_fewest_tries_go_first():
    ledger, platform = LedgerInHand(4, tries=[3, 0, 1, 0]), ScriptedPlatform(ACCEPTED)
    submit(ledger, platform)
    bodies = [row.body for row in ledger.rows]
    assert [bodies.index(body) for body in platform.asked] == [1, 3, 2, 0]


def test_every_spec_of_a_chunk_is_sent_once_and_recorded_as_accepted():
    ledger, platform = LedgerInHand(100), ScriptedPlatform(ACCEPTED)
    summary, published = submit(ledger, platform)
    assert {move.name for move in ledger.moves.values()} == {"accept"}
    assert sorted(ledger.moves) == list(range(100))
    assert set(platform.asked.values()) == {1}
    assert (summary.note, summary.sent, summary.handed_on, published) == ("closed", 100, 0, [])
    assert {event.place.position for event in told(Sent)} == set(range(100))  # each once in the flight record
    assert len(told(Sent)) == len(told(Answered)) == 100
    assert told(ChunkLeft) == [ChunkLeft(CHUNK, "closed", 100)]
    assert summary.as_dict()["judgements"] == {"Accepted": 100}


@pytest.mark.parametrize("why_not", ["nothing", "taken", "held"])
def test_a_hint_that_finds_nothing_to_do_sends_nothing(why_not):
    platform = ScriptedPlatform(ACCEPTED)
    summary, published = submit(LedgerInHand(3, lease=why_not), platform)
    assert (summary.note, summary.sent, published, dict(platform.asked)) == (why_not, 0, [], {})


@pytest.mark.parametrize(
    ("answer", "tries_before", "name", "code"),
    [
        (ACCEPTED, 0, "accept", ""),
        (Answer(400, code="PARAM_ERROR", message="bad", field="/brand_id"), 0, "reject", "PARAM_ERROR"),
        (Answer(403, code="RULE_LIMIT", message="no"), 0, "reject", "RULE_LIMIT"),
        (Answer(500, code="SYSTEM_ERROR", message="later"), 0, "again", "SYSTEM_ERROR"),
        (Answer(502), 0, "again", "HTTP_502"),
        (NoAnswer("open", "silence"), 0, "again", "NO_ANSWER"),
        (NoAnswer("not_sent", "refused"), 0, "again", "NOT_SENT"),
        (Answer(200, objection="the signature does not hold"), 0, "again", "UNTRUSTED_ANSWER"),
        (Answer(500, code="SYSTEM_ERROR", message="later"), 7, "look", "SYSTEM_ERROR"),
        (Answer(400, code="ALREADY_EXISTS", message="known"), 0, "look", "ALREADY_EXISTS"),
    ],
)
def test_each_judgement_leads_to_its_move_and_spends_one_try(answer, tries_before, name, code):
    ledger = LedgerInHand(1, tries=tries_before)
    submit(ledger, ScriptedPlatform(answer))
    move = ledger.moves[0]
    assert (move.name, move.code, move.tries) == (name, code, 1)
    assert (move.delay_ms > 0) == (name == "again")


@pytest.mark.parametrize(("status", "code"), [(400, "PARAM_ERROR"), (400, "ALREADY_EXISTS"), (502, "SYSTEM_ERROR")])
def test_the_reason_keeps_the_platforms_id_of_the_call(status, code):
    ledger = LedgerInHand(1)
    submit(ledger, ScriptedPlatform(Answer(status, code=code, message="why", request_id="08F1-268435457")))
    assert (ledger.moves[0].code, ledger.moves[0].request_id) == (code, "08F1-268435457")


def test_a_rejection_names_the_field():
    ledger = LedgerInHand(1)
    submit(ledger, ScriptedPlatform(Answer(400, code="PARAM_ERROR", message="too long", field="/brand_id")))
    assert ledger.moves[0].message == "too long (/brand_id)"


def test_throttling_spends_no_try_and_the_same_bytes_go_again():
    ledger, platform = LedgerInHand(3), ScriptedPlatform(THROTTLED, THROTTLED, ACCEPTED)
    summary, _ = submit(ledger, platform)
    assert [ledger.moves[position].tries for position in range(3)] == [1, 1, 1]
    assert set(platform.asked.values()) == {3}
    assert (ledger.throttled, summary.judgements) == (6, {"Throttled": 6, "Accepted": 3})


def test_one_fault_of_ours_holds_the_partner_and_stops_the_chunk():
    ledger = LedgerInHand(100)
    platform = ScriptedPlatform(Answer(401, code="SIGN_ERROR", message="wrong key"))
    halt = Halt()
    summary, published = submit(ledger, platform, halt=halt)
    assert ledger.held[0][:2] == ("partner", "SIGN_ERROR: wrong key")
    assert "COUPONPRESS_MCH_PRIVATE_KEY_FILE" in ledger.held[0][2]
    assert summary.sent == 1  # the first spec goes ahead of the others
    assert ledger.moves == {}  # no spec is blamed for it
    assert (summary.note, summary.handed_on, published) == ("handed on", 100, [CHUNK])
    assert halt.stops("b1")


def test_a_shutdown_hands_the_rest_back_at_once():
    ledger, platform, halt = LedgerInHand(100), ScriptedPlatform(ACCEPTED), Halt()

    def stop_after_ten():
        if sum(platform.asked.values()) >= 9:
            halt.stopping = True

    platform.on_send = stop_after_ten
    summary, published = submit(ledger, platform, halt=halt)
    assert 10 <= summary.sent < 100
    assert len(ledger.moves) == summary.sent  # what was sent is recorded
    assert (summary.handed_on, published) == (100 - summary.sent, [CHUNK])


REFUSED = Answer(403, code="NO_AUTH", message="not authorised")


def of_brand(ledger, brand):
    return [row.body for row in ledger.rows if b'"brand_id":"%s"' % brand.encode() in row.body]


def test_a_brand_without_permission_is_held_and_its_specs_wait_while_the_others_go_on():
    ledger = LedgerInHand(100, brands=("1", "2"))
    platform = ScriptedPlatform(ACCEPTED, by_body={body: [REFUSED] for body in of_brand(ledger, "2")})
    halt = Halt()
    summary, published = submit(ledger, platform, halt=halt)
    assert [one[:2] for one in ledger.held] == [("brand:2", "NO_AUTH: not authorised")]
    assert "`couponpress resume --brand 2`" in ledger.held[0][2]
    assert sum(platform.asked[body] for body in of_brand(ledger, "2")) <= BRAND_AT_ONCE
    assert sorted(ledger.moves) == list(range(0, 100, 2))
    assert {move.name for move in ledger.moves.values()} == {"accept"}
    assert ledger.kept == dict.fromkeys(range(1, 100, 2), "brand:2")
    assert (summary.note, summary.handed_on, published) == ("kept back", 0, [])
    assert halt.keeps_back("2")
    assert not halt.stops("b1")


def test_a_brand_that_loses_its_permission_in_mid_chunk_costs_what_was_signed():
    ledger = LedgerInHand(100)
    refused_after = 20

    class Withdraws(ScriptedPlatform):
        async def submit(self, body, gate):
            await gate()
            self.asked[body] += 1
            return ACCEPTED if sum(self.asked.values()) <= refused_after else REFUSED

    platform = Withdraws()
    summary, _ = submit(ledger, platform)
    assert summary.sent <= refused_after + SIGN_AHEAD
    assert len(ledger.moves) == refused_after
    assert ledger.kept.keys() == set(range(100)) - ledger.moves.keys()


def test_a_chunk_of_a_held_brand_is_kept_back_unsent():
    ledger, platform, halt = LedgerInHand(5), ScriptedPlatform(ACCEPTED), Halt()
    halt.held = frozenset({"brand:1"})
    summary, published = submit(ledger, platform, halt=halt)
    assert (summary.note, summary.sent, published, dict(platform.asked)) == ("kept back", 0, [], {})


def test_brands_refused_one_after_the_other_mean_the_partner():
    brands = [f"{number}" for number in range(100)]
    ledger, platform = LedgerInHand(100, brands=brands), ScriptedPlatform(REFUSED)
    summary, published = submit(ledger, platform)
    assert BRANDS_IN_A_ROW <= summary.sent < BRANDS_IN_A_ROW + PARTNER_AT_ONCE
    assert "partner" in {scope for scope, *_ in ledger.held}
    assert (ledger.moves, published) == ({}, [CHUNK])


def test_a_hold_of_another_run_does_not_stop_this_one():
    halt = Halt()
    halt.held = frozenset({"run:b2"})
    summary, _ = submit(LedgerInHand(5), ScriptedPlatform(ACCEPTED), halt=halt)
    assert summary.sent == 5


def test_a_chunk_whose_time_is_over_hands_its_rest_on():
    given = 0

    async def few_slots(wanted, urgent):
        nonlocal given
        if given >= 7:
            await asyncio.sleep(60)  # the bucket has nothing for a long while
        count = min(wanted, 7 - given)
        given += count
        return Grant(at_us=0, first_us=0, spacing_us=1, count=count)

    ledger = LedgerInHand(20)
    summary, published = submit(
        ledger, ScriptedPlatform(ACCEPTED), acquire=few_slots, timings=replace(REAL, hand_on=0.2)
    )
    assert (summary.note, summary.sent, summary.handed_on, published) == ("handed on", 7, 13, [CHUNK])


def test_a_request_whose_slot_passed_is_sent_in_a_later_one():
    class PassesFirst(ScriptedPlatform):
        passed = 0

        async def submit(self, body, gate):
            if self.passed < 4:
                self.passed += 1
                raise NotSent("late")
            return await super().submit(body, gate)

    ledger, platform = LedgerInHand(3), PassesFirst(ACCEPTED)
    summary, _ = submit(ledger, platform)
    assert (summary.sent, set(platform.asked.values())) == (3, {1})


def test_a_lost_lease_sends_nothing_more():
    class LostAtOnce(LedgerInHand):
        async def give_back(self, chunk_id, owner, kept):
            return LeaseLost()

    late = replace(REAL, lease=-1.0)  # the lease had run out before its reply arrived
    platform = ScriptedPlatform(ACCEPTED)
    summary, published = submit(LostAtOnce(3), platform, timings=late)
    assert (summary.note, summary.sent, dict(platform.asked)) == ("lease lost", 0, {})
    assert published == [CHUNK]  # nobody may have it, and its hint may be gone


class RedisThatForgets:
    """A Redis that is back, again and again: it keeps the lease so often, and then knows of none."""

    def __init__(self, kept):
        self.kept, self.server, self.sent, self.sent_by_then = kept, 0, 0, []

    async def slots(self, wanted, urgent):
        return Grant(0, 0, 1, min(wanted, 5), server=b"%d" % self.server)

    def note_sent(self):
        self.sent += 1
        if self.sent % 10 == 0:
            self.server += 1  # another one from now on: the next slots come from it

    async def renew(self, chunk_id, owner):
        self.sent_by_then.append(self.sent)
        await asyncio.sleep(0.05)  # slots are to be had meanwhile
        assert self.sent == self.sent_by_then[-1], "nothing is sent while it is in doubt who has the chunk"
        self.kept -= 1
        return Renewed() if self.kept >= 0 else LeaseLost()


def test_each_time_that_redis_was_back_the_lease_is_confirmed_before_anything_more_is_sent():
    ledger, platform, server = LedgerInHand(40), ScriptedPlatform(ACCEPTED), RedisThatForgets(kept=9)
    ledger.renew, platform.on_send = server.renew, server.note_sent
    summary, published = submit(ledger, platform, acquire=server.slots)
    assert (summary.note, summary.sent, published) == ("closed", 40, [])
    assert set(platform.asked.values()) == {1}
    # The first slots of all come from a server that is new to the process as well.
    assert server.sent_by_then[0] == 0
    assert len(server.sent_by_then) >= 4


def test_what_redis_forgot_to_be_leased_is_sent_no_more():
    ledger, platform, server = LedgerInHand(40), ScriptedPlatform(ACCEPTED), RedisThatForgets(kept=1)
    ledger.renew, platform.on_send = server.renew, server.note_sent
    summary, _ = submit(ledger, platform, acquire=server.slots)
    assert len(server.sent_by_then) == 2
    assert summary.sent == server.sent_by_then[1] < 20
    assert summary.sent == len(ledger.moves)  # what had been sent is recorded all the same


def test_a_lease_that_redis_does_not_confirm_for_a_while_is_asked_for_again():
    class Silent(LedgerInHand):
        async def renew(self, chunk_id, owner):
            self.renewed += 1
            if self.renewed < 3:
                raise RedisConnectionError("gone")
            return Renewed()

    ledger, platform = Silent(3), ScriptedPlatform(ACCEPTED)

    async def slots(wanted, urgent):
        return Grant(0, 0, 1, wanted, server=b"new")

    summary, _ = submit(ledger, platform, acquire=slots)
    assert (summary.note, summary.sent, ledger.renewed) == ("closed", 3, 3)


def open_outage():
    """An outage that many failed calls of the last seconds have opened."""
    now = time.monotonic() - 3
    outage = Outage(lambda: False, lambda: now, timings=SHORT)
    given = outage.pass_now()
    for number in range(300):
        now += 0.01
        outage.answered(given, number, Retry("HTTP_503", "down"))
    outage._clock = time.monotonic
    assert outage.is_open
    return outage


@pytest.mark.parametrize(
    "failure",
    [
        Answer(503),
        Answer(502, code=""),
        NoAnswer("open", "reset"),
        NoAnswer("not_sent", "refused"),
        Answer(200, objection="unsigned"),
    ],
    ids=repr,
)
def test_while_the_platform_is_down_probes_go_and_cost_no_try(failure):
    ledger, platform = LedgerInHand(100), ScriptedPlatform(failure)
    summary, published = submit(ledger, platform, outage=open_outage(), timings=SHORT)
    assert 2 <= summary.sent <= 4
    assert ledger.moves == {}
    assert (summary.note, summary.handed_on, published) == ("handed on", 100, [CHUNK])


def test_the_only_spec_that_is_left_is_probed_with_again_and_again():
    ledger, platform = LedgerInHand(1), ScriptedPlatform(Answer(503))
    summary, _ = submit(ledger, platform, outage=open_outage(), timings=SHORT)
    assert 2 <= summary.sent <= 4
    assert ledger.moves == {}


def test_the_chunk_that_probes_goes_on_when_the_platform_answers_again():
    class FirstProbeFails(ScriptedPlatform):
        async def submit(self, body, gate):
            answer = await super().submit(body, gate)
            return Answer(503) if sum(self.asked.values()) == 1 else answer

    ledger, outage, platform = LedgerInHand(100), open_outage(), FirstProbeFails(ACCEPTED)
    summary, published = submit(ledger, platform, outage=outage)
    assert not outage.is_open
    assert {move.name for move in ledger.moves.values()} == {"accept"}
    assert (summary.note, summary.sent, published) == ("closed", 101, [])


def test_a_failing_probe_proves_nothing_and_the_chunk_goes_on_a_little_at_a_time():
    ledger, platform = LedgerInHand(100, brands=("1", "2", "3", "4", "5")), ScriptedPlatform(Answer(503))
    submit(ledger, platform, outage=open_outage(), timings=SHORT)
    assert 1 <= len(platform.asked) <= PARTNER_AT_ONCE  # the others of the chunk are not even tried


def test_a_spec_that_waits_for_a_probe_is_kept_back_as_soon_as_its_brand_is_held():
    ledger, platform, halt, outage = LedgerInHand(3), ScriptedPlatform(ACCEPTED), Halt(), open_outage()
    began = time.monotonic()
    outage._breaker.ask(began + 60)  # no probe for a minute

    async def none_yet(wanted, urgent):
        asyncio.get_running_loop().call_later(0.1, hold)
        return await endless_slots(wanted, urgent)

    def hold():
        halt.held = frozenset({"brand:1"})

    summary, published = submit(ledger, platform, acquire=none_yet, halt=halt, outage=outage)
    assert (summary.note, dict(platform.asked), published) == ("kept back", {}, [])
    assert ledger.kept == dict.fromkeys(range(3), "brand:1")
    assert time.monotonic() - began < REAL.hand_on - 1


def test_a_wrong_key_that_a_probe_meets_holds_the_partner_and_opens_nothing_wide():
    ledger, halt, outage = LedgerInHand(100), Halt(), open_outage()
    summary, _ = submit(ledger, ScriptedPlatform(Answer(401, code="SIGN_ERROR")), halt=halt, outage=outage)
    assert (summary.sent, halt.stops("b1"), ledger.moves) == (1, True, {})
    assert outage.is_open


@pytest.mark.parametrize("scope", ["brand:1", "partner"])
def test_every_pass_of_a_request_that_a_hold_stops_is_given_back(scope):
    """Two of three passes are in hand when the hold comes; whoever asks next finds them."""
    ledger, halt, outage = LedgerInHand(4, brands=("1", "2", "3", "4")), Halt(), open_outage()
    outage.answered(outage._breaker.ask(time.monotonic() + 10), "x", Accepted())
    held_by = {"brand:1": {f"brand:{n}" for n in range(1, 5)}, "partner": {"partner"}}[scope]

    class HeldBeforeTheGate(ScriptedPlatform):
        async def submit(self, body, gate):
            halt.held = frozenset(held_by)
            return await super().submit(body, gate)

    platform = HeldBeforeTheGate(ACCEPTED)
    submit(ledger, platform, halt=halt, outage=outage)
    assert dict(platform.asked) == {}
    assert [outage.pass_now() is not None for _ in range(2)] == [True, True]


@pytest.mark.parametrize(
    ("answer", "unreached"), [(NoAnswer("not_sent", "refused"), 3), (NoAnswer("open", "reset"), 0)]
)
def test_requests_that_never_left_are_told_for_they_excuse_silence(answer, unreached):
    """On trial they fail one by one, so that the breaker opens late, and none of them counts as sent."""
    submit(LedgerInHand(3), ScriptedPlatform(answer))
    assert [event.error for event in told(Answered)].count("not_sent") == unreached


def test_chunks_that_are_held_are_told_for_they_excuse_silence():
    assert submit(LedgerInHand(3, lease="held"), ScriptedPlatform(ACCEPTED))[0].note == "held"
    assert [ChunkLeft(CHUNK, "held")] == TOLD
    halt = Halt()
    halt.held = frozenset({"brand:1"})
    submit(LedgerInHand(3), ScriptedPlatform(ACCEPTED), halt=halt)
    taken = ChunkTaken(CHUNK, "b1", 0, (0, 1, 2), dict.fromkeys(range(3), ""))  # rows without ids, as they are here
    assert [taken, ChunkLeft(CHUNK, "kept back")] == TOLD
    submit(LedgerInHand(3), ScriptedPlatform(ACCEPTED))
    assert told(ChunkLeft) == [ChunkLeft(CHUNK, "closed", 3)]


def test_a_process_that_stops_takes_nothing_in_hand():
    halt = Halt()
    halt.stopping = True
    ledger, platform = LedgerInHand(3), ScriptedPlatform(ACCEPTED)
    summary, published = submit(ledger, platform, halt=halt)
    assert (summary.note, summary.sent, published, dict(platform.asked)) == (STOPPING, 0, [], {})


def test_a_brand_that_submits_for_itself_ends_the_specs_of_others_unsent():
    ledger, platform = LedgerInHand(6, brands=("own", "other", "third")), ScriptedPlatform(ACCEPTED)
    summary, _ = submit(ledger, platform, only_brand="own")
    assert {position: (move.name, move.code) for position, move in ledger.moves.items()} == {
        position: ("accept", "") if position % 3 == 0 else ("reject", "OTHER_BRAND") for position in range(6)
    }
    assert all(b'"own"' in body for body in platform.asked)
    assert (summary.sent, summary.note) == (2, "closed")
