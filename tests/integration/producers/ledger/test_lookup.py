"""One spec by its task_id, and runs by how their name begins."""

import pytest

from couponpress import State
from couponpress.ledger.lookup import FindingLedger
from couponpress.ledger.moves import Move
from tests.builders import KEYS, PICTURE, bring_to, cut_out_body, moved, stored


@pytest.fixture
def ledger(client):
    return FindingLedger(client, KEYS)


def test_a_spec_is_found_with_its_state_and_its_line(ledger, redis_url):
    chunk = stored(redis_url, 3)
    moved(redis_url, chunk, Move(1, "succeed", image_url=PICTURE))
    found = ledger.spec(cut_out_body(2)["task_id"])
    assert (found.run, found.state, found.line.image_url) == ("may", State.SUCCEEDED, PICTURE)
    assert ledger.spec(cut_out_body(1)["task_id"]).state is State.WAITING
    assert ledger.spec("not-known") is None


def test_what_cannot_be_read_is_not_found(ledger, redis_url, client):
    chunk = stored(redis_url, 1)
    client.hset(KEYS.chunk(chunk), "z", b"rubbish")
    found = ledger.spec(cut_out_body(1)["task_id"])
    client.delete(KEYS.chunk(chunk))
    gone = ledger.spec(cut_out_body(1)["task_id"])
    client.flushall()
    assert (found, gone) == (None, None)


def test_runs_are_listed_the_youngest_first(ledger, redis_url):
    for number, name in enumerate(["shop/a", "shop/b", "shops/c", "other", "shop/d"]):
        bring_to(redis_url, stored(redis_url, 1, run=name, lane="urgent" if number % 2 else "bulk", first=number), [])
    assert ledger.run_numbers("shop/") == ["b5", "u2", "b1"]
    assert ledger.run_numbers("none/") == []
    assert ledger.run_numbers("") == ["b5", "u4", "b3", "u2", "b1"]
