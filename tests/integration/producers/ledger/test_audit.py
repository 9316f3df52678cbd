"""The audit log on a real server: entries in order, filters, and the bound by age."""

import pytest

from couponpress.ledger.attribution import Actor, Attribution
from couponpress.ledger.audit import READ_BATCH, Act, AuditLog
from tests.builders import KEYS

BY = Attribution(Actor("cli", "li", "ops-1"), "because")


@pytest.fixture
def log(client):
    return AuditLog(client, KEYS)


def test_an_entry_comes_back_whole(client, log):
    log.add(Act("cancel", BY, run="秋季", brand="7", detail="all of it"), "3 specs")
    (entry,) = log.entries()
    assert entry.at == pytest.approx(client.time()[0], abs=5)
    assert (entry.act, entry.result, entry.run, entry.brand) == ("cancel", "3 specs", "秋季", "7")
    assert (entry.detail, entry.why) == ("all of it", "because")
    assert (entry.door, entry.who, entry.address) == ("cli", "li", "ops-1")
    assert entry.shown_target == "run 秋季, brand 7"


def test_the_latest_comes_first_over_more_than_one_read(log):
    for number in range(READ_BATCH + 3):
        log.add(Act("pause", BY, run=str(number)), "done")
    assert [entry.run for entry in log.entries()] == [str(number) for number in reversed(range(READ_BATCH + 3))]


def test_entries_are_chosen_by_moment_person_and_act(client, log):
    for at, name in [(1000, "pause"), (2000, "resume"), (3000, "pause")]:
        client.xadd(KEYS.audit, {"act": name, "who": "li" if at < 3000 else "wu"}, id=f"{at}-1")

    def at(**chosen):
        return [entry.at for entry in log.entries(**chosen)]

    assert at() == [3.0, 2.0, 1.0]
    assert at(since=2) == [3.0, 2.0]
    assert at(until=3) == [2.0, 1.0]
    assert at(since=1.5, until=2.5) == [2.0]
    assert at(who="li") == [2.0, 1.0]
    assert at(act="pause") == [3.0, 1.0]
    assert at(before="3000-1") == [2.0, 1.0]
    assert at(before="3000-1", until=2) == [1.0]


def test_entries_that_are_too_old_are_dropped(client):
    old = client.time()[0] * 1000 - 3_600_000
    for number in range(1000):
        client.xadd(KEYS.audit, {"act": "pause"}, id=f"{old}-{number + 1}")
    AuditLog(client, KEYS, kept_seconds=600).add(Act("pause", BY), "done")
    assert client.xlen(KEYS.audit) < 200  # whole nodes of the stream go, so some stay
    AuditLog(client, KEYS, kept_seconds=7200).add(Act("pause", BY), "done")
    assert client.xlen(KEYS.audit) > 1


def test_what_cannot_be_stored_as_it_is_comes_back_readable(log):
    log.add(Act("pause", Attribution(Actor("cli", "l\ni", "x" * 200), "half \ud800")), "done")
    (entry,) = log.entries()
    assert (entry.who, entry.address, entry.why) == ("l?i", "x" * 100, "half ?")
