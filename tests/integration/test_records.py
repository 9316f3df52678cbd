"""What earlier releases left in Redis: this version reads it, tells the same of it, and works on it to its end."""

import pytest

from couponpress import Client
from couponpress.ledger.moves import Move
from couponpress.outcome import State
from tests import records, release
from tests.builders import assert_consistent, chunk_ids, moved, on_ledger, producer_settings, spec, states_of

RELEASES = sorted(records.HOME.glob("*.json"))
MADE_NOW = "this version"


@pytest.fixture(params=[*(path.stem for path in RELEASES), MADE_NOW])
def left(request, server, redis_url):
    """What people were told of the records that the server now has."""
    if request.param == MADE_NOW:
        records.make(redis_url)
        held, told = records.dump(server), records.told(redis_url)
        server.flushall()
    else:
        held, told = records.read(records.HOME / f"{request.param}.json")
    records.load(server, held)
    return told


def test_the_same_is_told_of_them(left, redis_url):
    found = records.told(redis_url)
    assert {name: found[name] for name in left} == left


def test_each_is_consistent(left, server):
    assert left["runs"]
    assert_consistent(server)


def test_the_work_goes_on_to_its_end(left, server, redis_url):
    with Client(producer_settings(redis_url)) as client:
        client.resume("held")
        client.redrive("damaged")
        for chunk_id in chunk_ids(server):
            waiting = [at for at, state in enumerate(states_of(server, chunk_id)) if state is State.WAITING]
            if waiting:
                leased = on_ledger(redis_url, lambda ledger, one=chunk_id: ledger.leases.lease(one, "one/1"))
                assert set(leased.waiting()) == set(waiting), chunk_id
                made = moved(
                    redis_url, chunk_id, *(Move(at, "succeed", image_url="https://example.com/1.png") for at in waiting)
                )
                assert all(made)
                on_ledger(redis_url, lambda ledger, one=chunk_id: ledger.leases.give_back(one, "one/1"))
        assert client.run("held").succeeded == 3
        assert client.run("damaged").succeeded == 2
        assert client.run("may").waiting == 0


@pytest.mark.usefixtures("left")
def test_a_row_that_is_known_is_not_enqueued_again(redis_url):
    with Client(producer_settings(redis_url)) as client:
        receipt = client.enqueue_many([spec(100)], run="may")
    assert (receipt.new, receipt.known) == (0, 1)


def test_a_commit_that_the_changelog_names_is_that_of_the_tag():
    """A clone without tags builds the release from it."""
    named = release.named()
    assert {path.stem for path in RELEASES[:-1]} <= named.keys()
    for version, commit in named.items():
        assert release.commit_of(f"v{version}") in {commit, None}
