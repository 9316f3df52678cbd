"""Acts on all specs that match a filter, over HTTP: a real gateway."""

import time

import pytest

from couponpress import Client
from tests.builders import cut_out_body, producer_settings
from tests.running_gateway import running_gateway
from tests.waiting import soon

OWN, FOREIGN = "120344", "120345"


@pytest.fixture
def producer(redis_url, client):
    with Client(producer_settings(redis_url)) as producer:
        producer.enqueue_many([cut_out_body(1, brand_id=OWN), cut_out_body(2, brand_id=FOREIGN)], run="mixed")
        producer.enqueue_many([cut_out_body(number, brand_id=OWN) for number in range(10, 13)], run="own")
        yield producer


def counted(call, token, act="cancel", **body):
    """Make a selection, and return it once it is counted."""
    made = call(token, "POST", "/selections", json={"act": act} | body)
    assert made.status_code == 202, made.text
    return reached(call, token, made.json()["id"], "counted")


def reached(call, token, selection_id, state):
    def there():
        return call(token, "GET", f"/selections/{selection_id}").json()["state"] == state

    soon(there)
    return call(token, "GET", f"/selections/{selection_id}").json()


def refused(answer, status, kind):
    assert answer.status_code == status, answer.text
    assert answer.json()["type"] == f"/docs#{kind}"


def test_what_was_counted_is_done_and_nothing_else(call, producer):
    one = counted(call, "operator", brand=OWN)
    assert (one["specs"], one["runs"], one["selection"]) == (4, {"own": 3, "mixed": 1}, f"brand={OWN}")
    assert producer.run("own").waiting == 3, "counting changes nothing"
    producer.enqueue(cut_out_body(20, brand_id=OWN), run="later")
    assert call("operator", "POST", f"/selections/{one['id']}/act", json={"why": "wrong brand"}).status_code == 202
    assert reached(call, "operator", one["id"], "done")["done"] == 4
    told = {status.run: (status.waiting, status.cancelled) for status in producer.runs()}
    assert told == {"mixed": (1, 1), "own": (0, 3), "later": (1, 0)}
    ended, _ = producer.audit(act="cancel")
    assert (ended.who, ended.door, ended.why, ended.result) == ("operator", "gateway", "wrong brand", "4 specs")
    refused(call("operator", "POST", f"/selections/{one['id']}/act"), 409, "conflict")
    assert call("operator", "GET", f"/selections/{one['id']}").json()["runs"] == {"own": 3, "mixed": 1}
    again = counted(call, "operator", "redrive", run="own", states=["cancelled"])
    call("operator", "POST", f"/selections/{again['id']}/act")
    assert reached(call, "operator", again["id"], "done")["done"] == 3


def test_a_pause_of_what_matches_may_end_by_itself(call, producer):
    one = counted(call, "operator", "pause", run="own")
    path = f"/selections/{one['id']}/act"
    refused(call("operator", "POST", path, json={"until": "06:00"}), 422, "invalid")
    assert call("operator", "POST", path, json={"for": "2h"}).status_code == 202
    assert reached(call, "operator", one["id"], "done")["done"] == 3
    until = call("operator", "GET", "/specs/cut-out-000010").json()["paused_until"]
    assert 7000 < until - time.time() < 7210
    other = counted(call, "operator", "cancel", run="own")
    refused(call("operator", "POST", f"/selections/{other['id']}/act", json={"for": "2h"}), 409, "conflict")
    assert call("operator", "GET", f"/selections/{other['id']}").json()["state"] == "counted"


def test_one_that_is_stopped_is_not_done(call, producer):
    one = counted(call, "operator", run="own")
    assert call("operator", "POST", f"/selections/{one['id']}/stop").status_code == 200
    call("operator", "POST", f"/selections/{one['id']}/act")
    assert reached(call, "operator", one["id"], "stopped")["done"] == 0
    assert producer.run("own").waiting == 3


@pytest.mark.parametrize(
    "body", [{}, {"brand": FOREIGN}, {"lane": "bulk"}, {"run": "mixed"}, {"older_than": "ages"}], ids=str
)
def test_no_selection_reaches_another_brand(call, producer, body):
    answer = call("operator", "POST", "/selections", json={"act": "cancel"} | body)
    if body in ({}, {"older_than": "ages"}):
        refused(answer, 409, "conflict")
    else:
        refused(answer, 403, "brand-not-allowed")


def test_of_a_mixed_run_the_own_brand_can_be_chosen(call, producer):
    assert counted(call, "operator", run="mixed", brand=OWN)["specs"] == 1
    assert counted(call, "chief", run="mixed")["specs"] == 2
    assert counted(call, "chief", lane="bulk")["specs"] == 5


def test_roles_and_other_tokens_are_kept_out(call, producer):
    for token in ("viewer", "shop"):
        refused(call(token, "POST", "/selections", json={"act": "cancel", "run": "own"}), 403, "role-not-allowed")
    one = counted(call, "chief", run="own")
    refused(call("operator", "GET", f"/selections/{one['id']}"), 404, "no-such-selection")
    refused(call("operator", "POST", f"/selections/{one['id']}/act"), 404, "no-such-selection")
    refused(call("operator", "POST", f"/selections/{one['id']}/stop"), 404, "no-such-selection")


def test_what_the_act_cannot_change_is_told(call, producer):
    made = call("chief", "POST", "/selections", json={"act": "cancel", "run": "own", "states": ["succeeded"]}).json()
    assert "changes no spec that is succeeded" in reached(call, "chief", made["id"], "failed")["trouble"]


def test_what_matches_is_paused_and_resumed(call, producer):
    one = counted(call, "operator", "pause", run="mixed", brand=OWN)
    call("operator", "POST", f"/selections/{one['id']}/act", json={"why": "a question"})
    assert reached(call, "operator", one["id"], "done")["done"] == 1
    assert (producer.run("mixed").waiting, producer.run("mixed").paused) == (1, 1)
    assert call("viewer", "GET", "/runs/mixed").json()["paused"] in (1, None)
    again = counted(call, "operator", "resume", brand=OWN)
    call("operator", "POST", f"/selections/{again['id']}/act")
    assert reached(call, "operator", again["id"], "done")["done"] == 1
    assert producer.run("mixed").paused == 0
    assert [entry.who for entry in producer.audit(act="pause")] == ["operator", "operator"]


def test_two_gateways_share_their_selections(call, producer, gateway, tmp_path, redis_server_url):
    """One counts, another acts, the first tells of it; each could be behind the same balancer."""
    with running_gateway(tmp_path, redis_server_url) as other, other.caller("operator") as caller:

        def call_other(token, method, path, **options):
            return caller.request(method, path, **options)

        one = counted(call, "operator", brand=OWN)
        assert call_other("operator", "GET", f"/selections/{one['id']}").json() == one
        assert call_other("operator", "POST", f"/selections/{one['id']}/act").status_code == 202
        assert reached(call, "operator", one["id"], "done")["done"] == 4
        assert producer.run("own").cancelled == 3
        refused(call("operator", "POST", f"/selections/{one['id']}/act"), 409, "conflict")
        stopped = counted(call_other, "operator", "redrive", brand=OWN, states=["cancelled"])
        call("operator", "POST", f"/selections/{stopped['id']}/stop")
        call_other("operator", "POST", f"/selections/{stopped['id']}/act")
        assert reached(call, "operator", stopped["id"], "stopped")["done"] == 0
