"""Selections as Redis keeps them: found by every gateway, gone after an hour, failed when their process ended."""

from datetime import timedelta

import pytest

from couponpress.gateway.selection_store import KEPT_SECONDS, LOST_SECONDS, MOST_KEPT, Kept, SelectionStore
from couponpress.ledger.selection import Selection
from tests.builders import KEYS

WHOLE = Selection.of(
    run="may", brand="7", states=("rejected", "expired"), code="NO_AUTH", lane="bulk", older_than=timedelta(hours=2)
)


@pytest.fixture
def store(client):
    return SelectionStore(client, KEYS)


def kept(selection_id="a1", selection=WHOLE):
    return Kept(selection_id, "operator", "redrive", selection)


@pytest.mark.parametrize("selection", [WHOLE, Selection.of(brand="7")], ids=str)
def test_what_is_kept_is_found_whole(store, selection):
    one = kept(selection=selection)
    store.add(one)
    assert store.find("a1") == one
    assert store.find("a2") is None


def test_places_come_back_as_they_were_counted(store):
    store.add(kept())
    store.note("a1", "counting", {}, {"b1.1": [0, 7, 99], "b1.2": [3]})
    store.note("a1", "counting", {"state": "counted", "counted": 4, "runs": '{"may": 4}'})
    one = store.find("a1")
    assert (one.state, one.counted, one.runs) == ("counted", 4, {"may": 4})
    chosen = store.chosen(one)
    assert (chosen.places, chosen.specs, chosen.act) == ({"b1.1": [0, 7, 99], "b1.2": [3]}, 4, "redrive")


def test_only_one_of_two_gateways_gets_to_act(store):
    store.add(kept())
    store.note("a1", "counting", {"state": "counted"})
    assert store.note("a1", "counted", {"state": "acting"}) == ("counted", False)
    assert store.note("a1", "counted", {"state": "acting"}) == ("acting", False)
    store.note("a1", "", {"stop": 1})
    assert store.note("a1", "acting", {"done": 3}) == ("acting", True)
    assert store.note("a2", "counted", {"state": "acting"}) == ("", False)
    store.note("a2", "", {"stop": 1})
    assert store.find("a2") is None, "one that is gone does not come back"


def test_one_whose_gateway_ended_reads_as_failed(store, client):
    store.add(kept())
    client.hincrby(KEYS.selection("a1"), "told", -LOST_SECONDS - 2)
    one = store.find("a1")
    assert one.state == "failed"
    assert "has ended" in one.trouble


def test_they_end_by_themselves_and_only_so_many_are_kept(store, client):
    for number in range(MOST_KEPT):
        assert store.room_left()
        store.add(kept(f"{number:x}"))
    assert not store.room_left()
    store.note("0", "counting", {}, {"b1.1": [0]})
    for key in (KEYS.selection("0"), KEYS.selection_places("0")):
        assert 0 < client.ttl(key) <= KEPT_SECONDS
    client.zincrby(KEYS.selections, -KEPT_SECONDS - 10, "0")
    assert store.room_left()


def test_a_full_server_still_takes_them(store, client):
    client.config_set("maxmemory", 1)
    try:
        store.add(kept())
        store.note("a1", "counting", {"state": "counted"}, {"b1.1": [0]})
        assert store.chosen(store.find("a1")).places == {"b1.1": [0]}
    finally:
        client.config_set("maxmemory", 0)
