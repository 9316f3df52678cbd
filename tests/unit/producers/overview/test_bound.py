"""What the fleet is bound by, as a table: each row is a fleet and the answer."""

from dataclasses import replace

import pytest

from couponpress.ledger.outage import PlatformDown
from couponpress.ledger.presence import Present
from couponpress.ledger.progress import Hold
from couponpress.overview.bound import Facts, bound_by

DOWN = PlatformDown(0.0, "HTTP_502: bad gateway")
PARTNER = Hold("partner", "SIGN_ERROR", "mend the key", 0.0)
BRAND = Hold("120344", "NO_AUTH", "ask for it", 0.0, "brand")
#: A fleet that sends at its limit.
BUSY = Facts(
    paused=0,
    waiting=1000,
    delayed=0,
    accepted=10,
    chunks=10,
    held_chunks=0,
    holds=[],
    workers=[Present("worker", "host", 1, "sending")],
    platform_down=None,
    sent_per_second=480.0,
    fills_limit=True,
    effective_per_second=488.0,
    why_rate="configured",
    quiet_seconds=0.0,
)


def workers(*states):
    return [Present("worker", "host", pid, state) for pid, state in enumerate(states)]


TABLE = {
    "at the configured limit": ({}, "limit", "configured"),
    "at a limit set by hand": ({"why_rate": "by hand"}, "limit", "by hand"),
    "at the limit that refusals taught": ({"why_rate": "throttled"}, "limit", "found"),
    "resting after a refusal": ({"sent_per_second": 0.0, "quiet_seconds": 2.5}, "limit", "quiet"),
    "below the limit": ({"sent_per_second": 300.0, "fills_limit": False}, "workers", "too few workers"),
    "a limit that nobody told": ({"effective_per_second": None, "fills_limit": False}, "workers", "too few workers"),
    "no worker": ({"workers": []}, "workers", "no worker"),
    "no worker, and the platform is down": ({"workers": [], "platform_down": DOWN}, "workers", "no worker"),
    "workers without Redis": ({"workers": workers("Redis full", "Redis away")}, "workers", "no worker works"),
    "one of two workers stuck": ({"workers": workers("stuck", "sending")}, "limit", "configured"),
    "the platform is down": ({"platform_down": DOWN, "sent_per_second": 1.0}, "platform", "down"),
    "retries alone": ({"waiting": 0, "delayed": 5, "chunks": 0}, "platform", "retries only"),
    "everything held": ({"holds": [PARTNER]}, "paused", "partner held"),
    "everything held, and no worker": ({"holds": [PARTNER], "workers": []}, "paused", "partner held"),
    "a brand held, and all is its": ({"holds": [BRAND], "held_chunks": 10}, "paused", "all held"),
    "a brand held, and others go on": ({"holds": [BRAND], "held_chunks": 9}, "limit", "configured"),
    "all accepted": ({"waiting": 0, "chunks": 0}, "nothing to do", "all accepted"),
    "nothing": ({"waiting": 0, "accepted": 0, "chunks": 0}, "nothing to do", "no specs"),
    "nothing, and held": ({"waiting": 0, "accepted": 0, "holds": [PARTNER]}, "nothing to do", "no specs"),
}


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
def test_the_fleet_is_bound_by(row):
    changes, kind, case = row
    told = bound_by(replace(BUSY, **changes))
    assert (told.kind, told.case) == (kind, case)


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
def test_the_answer_is_a_sentence_that_shows_no_code(row):
    sentence = bound_by(replace(BUSY, **row[0])).sentence
    assert sentence
    assert not {"None", "{", "["} & set(sentence.split())


def test_the_sentence_says_what_to_do():
    assert "mend the key" in bound_by(replace(BUSY, holds=[PARTNER])).sentence
    assert "couponpress worker" in bound_by(replace(BUSY, workers=[])).sentence
    assert "HTTP_502" in bound_by(replace(BUSY, platform_down=DOWN)).sentence


def test_slow_rates_are_told_with_their_digits():
    told = bound_by(replace(BUSY, sent_per_second=0.1, effective_per_second=0.1)).sentence
    assert told.startswith("0.1 requests a second leave of 0.1 that")


def test_one_spec_is_told_as_one():
    assert bound_by(replace(BUSY, waiting=1, workers=[])).sentence.startswith("1 spec waits")
