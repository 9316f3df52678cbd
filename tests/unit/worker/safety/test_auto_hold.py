"""What the platform refuses as a whole: what is held, when many brands mean the partner, and Redis being away."""

import asyncio
from dataclasses import replace

import pytest
import redis.exceptions

from couponpress_worker.events import Held, unheard
from couponpress_worker.safety.auto_hold import BRANDS_IN_A_ROW, Fault
from couponpress_worker.safety.send_switch import Halt
from couponpress_worker.store.recorder import Recorder
from couponpress_worker.wechatpay.judgement import Accepted, Hold, Rejected

WRONG_KEY = Hold("partner", "SIGN_ERROR", "wrong key", "mend it")
NO_AUTH = Hold("brand", "NO_AUTH", "not authorised", "Ask the brand.")


class FakeLedger:
    """Takes holds, or is away."""

    def __init__(self, *, permitted=False, away=False):
        self.permitted, self.away, self.held = permitted, away, {}

    async def hold(self, scope, reason, cure, since):
        if self.away:
            raise redis.exceptions.ConnectionError("gone")
        await asyncio.sleep(0)
        return self.held.setdefault(scope, (reason, cure)) == (reason, cure)

    async def accepted_within(self, seconds):
        if self.away:
            raise redis.exceptions.ConnectionError("gone")
        return self.permitted


def met(ledger, *events, tell=unheard):
    """Let a process meet judgements of brands, in their order; returns its halt."""
    halt = Halt()

    async def act():
        fault = Fault(ledger, ledger, Recorder(ledger), halt, tell)
        for judgement, brand in events:
            fault.answered(judgement)
            if isinstance(judgement, Hold):
                await fault.hold(judgement, brand)

    asyncio.run(act())
    return halt


def refused(count, first=0):
    return [(NO_AUTH, f"b{number}") for number in range(first, first + count)]


def test_a_wrong_set_up_holds_the_partner_with_reason_and_cure():
    ledger = FakeLedger()
    halt = met(ledger, (WRONG_KEY, "7"))
    assert ledger.held == {"partner": ("SIGN_ERROR: wrong key", "mend it")}
    assert halt.stops("b1")


def test_a_hold_tells_the_request_id_that_the_platforms_support_asks_for():
    ledger = FakeLedger()
    met(ledger, (replace(WRONG_KEY, request_id="08F1-268435461"), "7"))
    assert ledger.held["partner"][0] == "SIGN_ERROR: wrong key (Request-ID 08F1-268435461)"


def test_a_hold_is_told_with_its_cure_and_whether_it_was_the_first():
    ledger, told = FakeLedger(), []
    for _ in range(2):  # two processes that meet the same refusal
        met(ledger, (WRONG_KEY, "7"), (WRONG_KEY, "7"), tell=told.append)
    ledger.held["partner"] = ("another reason", "another cure")
    met(ledger, (WRONG_KEY, "7"), tell=told.append)
    assert told == [
        Held("partner", "partner", "SIGN_ERROR: wrong key", "mend it", ours=ours) for ours in (True, True, False)
    ]


def test_a_refused_brand_is_held_and_its_cure_names_it():
    ledger = FakeLedger()
    halt = met(ledger, (NO_AUTH, "7"), (NO_AUTH, "7"))
    assert ledger.held == {
        "brand:7": ("NO_AUTH: not authorised", "Ask the brand. Then `couponpress resume --brand 7`.")
    }
    assert halt.keeps_back("7")
    assert not halt.stops("b1")


@pytest.mark.parametrize(
    ("permitted", "events", "partner"),
    [
        (False, refused(BRANDS_IN_A_ROW - 1), False),
        (False, refused(BRANDS_IN_A_ROW), True),
        (False, [(NO_AUTH, "7")] * BRANDS_IN_A_ROW, False),
        (True, refused(BRANDS_IN_A_ROW), False),
        (False, [*refused(BRANDS_IN_A_ROW - 1), (Accepted(), "x"), (NO_AUTH, "last")], False),
        (False, [*refused(BRANDS_IN_A_ROW - 1), (Rejected("PARAM_ERROR", "x"), "x"), (NO_AUTH, "last")], True),
    ],
    ids=["fewer", "in a row", "one brand", "the fleet has the permission", "one was taken", "a row was wrong"],
)
def test_so_many_brands_in_a_row_mean_the_partner(permitted, events, partner):
    ledger = FakeLedger(permitted=permitted)
    halt = met(ledger, *events)
    assert halt.stops("b1") == partner
    assert ("partner" in ledger.held) == partner
    if partner:
        reason, cure = ledger.held["partner"]
        assert f"{BRANDS_IN_A_ROW} brands" in reason
        assert "couponpress resume" in cure


def test_a_hold_that_redis_does_not_take_is_told_and_tried_with_the_next_refusal(caplog):
    ledger = FakeLedger(away=True)
    halt = met(ledger, (WRONG_KEY, "7"), *refused(BRANDS_IN_A_ROW))
    assert not halt.stops("b1")
    assert caplog.text.count("Redis does not take the hold") == 1 + BRANDS_IN_A_ROW
    ledger.away = False
    assert met(ledger, (WRONG_KEY, "7")).stops("b1")


def test_this_process_stops_before_redis_has_answered():
    class Slow(FakeLedger):
        seen = None

        async def hold(self, scope, reason, cure, since):
            self.seen = halt.holds(scope)
            return await super().hold(scope, reason, cure, since)

    ledger, halt = Slow(), Halt()

    async def act():
        await Fault(ledger, ledger, Recorder(ledger), halt).hold(WRONG_KEY, "7")

    asyncio.run(act())
    assert ledger.seen
    assert halt.held == {"partner"}
    assert halt.settling == frozenset()
