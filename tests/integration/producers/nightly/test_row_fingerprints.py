"""Fingerprints in the ledger: what succeeded is remembered, what ended badly is forgotten, what nobody sees goes."""

import time

import pytest

from couponpress.keys import run_of
from couponpress.ledger.chunks import unpack
from couponpress.ledger.enqueueing import UploadLedger
from couponpress.nightly.row_fingerprints import EPOCH_SECONDS, RowFingerprintLedger, fingerprint_of_body, row_digest
from couponpress.outcome import State
from tests.builders import KEYS, bring_to, identified, stored

NOW = (time.time() // EPOCH_SECONDS + 0.5) * EPOCH_SECONDS
ROWS = [row_digest(f"row {number}") for number in range(1, 5)]


@pytest.fixture
def row_fingerprints(client):
    return RowFingerprintLedger(client, KEYS)


@pytest.fixture
def number(redis_url, client, row_fingerprints):
    """A run of four rows: two succeeded, one rejected, one accepted."""
    chunk_id = stored(redis_url, 4)
    bring_to(redis_url, chunk_id, [State.SUCCEEDED, State.REJECTED, State.ACCEPTED, State.SUCCEEDED])
    return run_of(chunk_id)


def bodies(client, number):
    return [fingerprint_of_body(row.body) for row in unpack(client.hget(KEYS.chunk(f"{number}.1"), "z"))]


def test_what_succeeded_is_remembered_however_often(row_fingerprints, client, number):
    first, _, _, last = bodies(client, number)
    for _ in range(2):
        assert row_fingerprints.record("prices", number, NOW) == 3
        assert row_fingerprints.remembered("prices", ROWS, NOW) == [first, None, None, last]
    assert row_fingerprints.remembered("photos", ROWS, NOW) == [None] * 4


def test_what_ended_badly_since_is_forgotten_in_every_epoch(row_fingerprints, redis_url, client, number):
    row_fingerprints.record("prices", number, NOW)
    # The same rows, another night.
    uploads = UploadLedger(client, KEYS)
    rows = identified(range(1, 5), "june", task_id=None)
    again = uploads.enqueue_open(uploads.open_run("june", "bulk"), rows).chunk_id
    bring_to(redis_url, again, [State.FAILED, State.SUCCEEDED, State.WAITING, State.WAITING])
    later = NOW + EPOCH_SECONDS
    assert row_fingerprints.record("prices", run_of(again), later) == 2
    _, second, _, last = bodies(client, number)
    assert row_fingerprints.remembered("prices", ROWS, later) == [None, second, None, last]


def test_a_row_that_nights_see_is_carried_on_and_one_that_none_sees_is_forgotten(row_fingerprints, client, number):
    row_fingerprints.record("prices", number, NOW)
    first, _, _, last = bodies(client, number)
    for epoch in range(1, 4):
        assert row_fingerprints.remembered("prices", ROWS[:1], NOW + epoch * EPOCH_SECONDS) == [first]
    assert row_fingerprints.remembered("prices", ROWS, NOW + 3 * EPOCH_SECONDS) == [first, None, None, None]
    assert last is not None
    names = list(client.scan_iter(KEYS.prefix + "prints:*"))
    assert names
    for name in names:
        assert EPOCH_SECONDS / 2 < client.ttl(name) <= 6 * EPOCH_SECONDS


def test_a_damaged_chunk_is_not_remembered(row_fingerprints, client, number):
    kept = client.hget(KEYS.chunk(f"{number}.1"), "z")
    client.hset(KEYS.chunk(f"{number}.1"), "z", b"damaged")
    assert row_fingerprints.record("prices", number, NOW) == 0
    client.hset(KEYS.chunk(f"{number}.1"), "z", kept)


def test_what_a_row_takes(row_fingerprints, client):
    """Two hashes' worth of overhead is shared by all rows; with many rows some 24 bytes each are left."""
    rows = 50_000
    values = [*row_fingerprints._epochs("prices", NOW), b"", b""]
    before = client.info("memory")["used_memory"]
    for first in range(0, rows, 500):
        numbers = range(first, first + 500)
        values[3] = b"".join(row_digest(str(one)) + row_digest(f"body {one}") for one in numbers)
        row_fingerprints._record([], values)
    per_row = (client.info("memory")["used_memory"] - before) / rows
    assert 16 < per_row < 48
