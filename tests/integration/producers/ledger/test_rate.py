"""The rate that a person sets, on a real server: until when it holds, and that it is noted."""

import pytest

from couponpress.errors import InputError
from couponpress.ledger.audit import AuditLog
from couponpress.ledger.rate import PacingLedger
from tests.builders import KEYS


@pytest.fixture
def pacing(client):
    client.hset(KEYS.pace("submit"), "configured", "500/second")
    return PacingLedger(client, KEYS)


def test_a_rate_by_hand_is_over_at_its_end_whoever_reads_it(client, pacing):
    now = client.time()[0]
    pacing.set_rate("100/second", until=now + 3600)
    told = pacing.rate()
    assert (told.in_force, told.why, told.by_hand_until) == ("100/second", "by hand", now + 3600)
    client.hset(KEYS.pace("submit"), "by_hand_until", (now - 1) * 1_000_000)
    told = pacing.rate()
    assert (told.in_force, told.why, told.by_hand_since, told.by_hand_until) == ("500/second", "configured", 0.0, None)


def test_a_rate_without_an_end_replaces_one_with_an_end(client, pacing):
    pacing.set_rate("100/second", until=client.time()[0] + 3600)
    pacing.set_rate("200/second")
    assert (pacing.rate().in_force, pacing.rate().by_hand_until) == ("200/second", None)


def test_every_change_is_noted_and_a_refused_one_is_not(client, pacing):
    pacing.set_rate("100/second")
    pacing.set_rate(None)
    with pytest.raises(InputError):
        pacing.set_rate("fast")
    assert [(entry.act, entry.detail) for entry in AuditLog(client, KEYS).entries()] == [
        ("limit", "default"),
        ("limit", "100/second"),
    ]
