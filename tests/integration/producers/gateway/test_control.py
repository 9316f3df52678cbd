"""What roles may do over HTTP, and that no route shows or changes anything of another brand: a real gateway."""

import json
from contextlib import ExitStack

import pytest

from couponpress import Client
from couponpress.ledger.dead_letters import note_message
from couponpress.ledger.moves import Move
from tests.builders import KEYS, cut_out_body, moved, producer_settings
from tests.running_gateway import running_gateway

OWN, FOREIGN = "120344", "120345"


@pytest.fixture
def runs(redis_url, client):
    """A run of the own brand, one of another brand, one of both, and one with a name that no gateway gives."""
    with Client(producer_settings(redis_url)) as producer:
        producer.enqueue(cut_out_body(1, brand_id=OWN), run="own")
        producer.enqueue(cut_out_body(2, brand_id=FOREIGN), run="foreign")
        producer.enqueue(cut_out_body(3, brand_id=OWN), run="mixed")
        producer.enqueue(cut_out_body(4, brand_id=FOREIGN), run="mixed")
        producer.enqueue(cut_out_body(5, brand_id=OWN), run="shop/秋季 1")
        yield producer


def refused(answer, status, kind):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"/docs#{kind}"


#: Every act, and the roles that may not do it although they see everything that it is about.
ACTS = [
    ("POST", "/runs/own/specs", cut_out_body(9, brand_id=OWN), {"viewer"}),
    ("POST", "/runs/own/pause", {"why": "a look"}, {"viewer"}),
    ("POST", "/runs/own/resume", {}, {"viewer"}),
    ("POST", "/runs/own/cancel", {}, {"viewer"}),
    ("POST", "/runs/own/redrive", {"outcome": "cancelled"}, {"viewer"}),
]


@pytest.mark.parametrize(("method", "path", "body", "not_for"), ACTS, ids=lambda value: str(value)[:20])
def test_a_role_may_do_what_it_is_for_and_nothing_else(call, runs, method, path, body, not_for):
    for token in ("viewer", "operator", "auditor"):
        answer = call(token, method, path, json=body)
        if token in not_for:
            refused(answer, 403, "role-not-allowed")
        else:
            assert answer.status_code in {200, 202}, answer.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/holds"),
        ("GET", "/limit"),
        ("PUT", "/limit"),
        ("GET", "/audit"),
        ("POST", "/pause"),
        ("POST", "/resume"),
    ]
    + [("POST", f"/brands/{OWN}/pause"), ("POST", f"/brands/{OWN}/resume")],
)
def test_an_apps_token_has_no_more_rights_than_before(call, runs, method, path):
    body = {"json": {"rate": "1/second"}} if method == "PUT" else {}
    refused(call("other", method, path, **body), 403, "role-not-allowed")
    assert runs.rate().by_hand == ""
    assert runs.holds() == []


def test_an_app_may_not_send_specs_again(call, runs):
    call("shop", "POST", "/runs/may/specs", json=cut_out_body(8, brand_id=OWN))
    refused(call("shop", "POST", "/runs/may/redrive"), 403, "role-not-allowed")


@pytest.mark.parametrize("token", ["viewer", "operator", "auditor"])
def test_no_question_shows_another_brand(call, runs, redis_url, client, token):
    assert [run["run"] for run in call(token, "GET", "/runs").json()["runs"]] == ["shop/秋季 1", "mixed", "own"]
    refused(call(token, "GET", "/runs/foreign"), 404, "no-such-run")
    refused(call(token, "GET", "/runs/foreign/results"), 404, "no-such-run")
    refused(call(token, "GET", "/specs/cut-out-000002"), 404, "no-such-spec")
    refused(call(token, "GET", "/specs/cut-out-000004"), 404, "no-such-spec")
    moved(redis_url, "u3.2", Move(0, "reject", code="SECRET_OF_THE_OTHER"))
    mixed = call(token, "GET", "/runs/mixed")
    assert "SECRET_OF_THE_OTHER" not in mixed.text
    assert {mixed.json()[name] for name in ("total", "waiting", "rejected", "throttled", "reasons")} == {None}
    (row,) = call(token, "GET", "/runs/mixed/results").text.splitlines()
    assert json.loads(row)["brand_id"] == OWN
    assert call(token, "GET", "/runs/own").json()["total"] == 1
    assert call(token, "GET", "/runs/shop/秋季 1").json()["run"] == "shop/秋季 1"
    assert len(call(token, "GET", "/runs/shop/秋季 1/results").text.splitlines()) == 1


def test_no_act_reaches_another_brand(call, runs):
    for act in ("pause", "resume", "cancel", "redrive"):
        refused(call("operator", "POST", f"/runs/foreign/{act}"), 404, "no-such-run")
        refused(call("operator", "POST", f"/runs/mixed/{act}"), 403, "brand-not-allowed")
    refused(call("operator", "POST", f"/brands/{FOREIGN}/pause"), 403, "brand-not-allowed")
    refused(call("operator", "POST", "/pause"), 403, "brand-not-allowed")
    refused(call("operator", "POST", "/resume"), 403, "brand-not-allowed")
    refused(call("operator", "PUT", "/limit", json={"rate": "1/second"}), 403, "brand-not-allowed")
    assert runs.holds() == []
    assert {one.run: one.waiting for one in runs.runs()} == {"own": 1, "foreign": 1, "mixed": 2, "shop/秋季 1": 1}


def test_holds_are_shown_as_far_as_they_concern_the_token(call, runs):
    for scope in ({"run": "own"}, {"run": "foreign"}, {"run": "mixed"}, {"brand": FOREIGN}, {"brand": OWN}, {}):
        runs.pause(**scope, why="because")
    told = [(hold["kind"], hold["scope"]) for hold in call("viewer", "GET", "/holds").json()["holds"]]
    assert sorted(told) == [("brand", OWN), ("partner", "partner"), ("run", "mixed"), ("run", "own")]
    everything = call("admin", "GET", "/holds").json()["holds"]
    assert len(everything) == 6
    assert {(hold["why"], hold["by"]["door"]) for hold in everything} == {("because", "client")}


def test_a_pause_over_http_says_who_why_and_until_when(call, runs):
    body = {"why": "WeChat 维护", "for": "30m"}
    assert call("chief", "POST", "/pause", json=body).json() == {"held": True}
    (hold,) = call("viewer", "GET", "/holds").json()["holds"]
    assert (hold["why"], hold["by"]["name"], hold["by"]["door"]) == ("WeChat 维护", "chief", "gateway")
    assert hold["by"]["address"] == "127.0.0.1"
    assert hold["until"] == pytest.approx(hold["since"] + 1800, abs=5)
    assert call("chief", "POST", "/pause", json=body | {"for": "10m"}).json() == {"held": False}
    assert call("chief", "POST", "/resume").json() == {"released": True}
    assert call("operator", "POST", f"/brands/{OWN}/pause").json() == {"held": True}
    assert call("operator", "POST", f"/brands/{OWN}/resume").json() == {"released": True}


@pytest.mark.parametrize(
    "body",
    [{"for": "never"}, {"until": "2020-01-01T00:00:00Z"}, {"until": "06:00", "for": "1h"}, {"why": "two\nlines"}],
    ids=str,
)
def test_what_cannot_be_read_pauses_nothing(call, runs, body):
    refused(call("chief", "POST", "/pause", json=body), 409, "conflict")
    assert runs.holds() == []


@pytest.mark.parametrize(
    "body", [{"until": "2036-01-01T06:00"}, {"wy": "typo"}, {"why": "x" * 501}], ids=lambda b: str(b)[:20]
)
def test_what_breaks_a_rule_of_the_body_pauses_nothing(call, runs, body):
    assert call("chief", "POST", "/pause", json=body).status_code in {409, 422}
    refused(
        call("chief", "POST", "/pause", content=b"{", headers={"content-type": "application/json"}), 400, "not-json"
    )
    assert runs.holds() == []


def test_the_limit_is_set_shown_and_taken_back(call, runs):
    told = call("chief", "PUT", "/limit", json={"rate": "100/second", "for": "2h", "why": "slowly"}).json()
    assert (told["by_hand"], told["in_force"], told["why"]) == ("100/second", "100/second", "by hand")
    assert told["by_hand_until"] is not None
    assert call("viewer", "GET", "/limit").json()["by_hand"] == "100/second"
    assert call("chief", "PUT", "/limit", json={"rate": "default"}).json()["by_hand"] == ""
    for wrong in ("0/second", "fast", "1000000000/second"):
        refused(call("chief", "PUT", "/limit", json={"rate": wrong}), 409, "conflict")


def test_the_audit_log_is_for_admins_and_shows_what_concerns_them(call, runs):
    for run in ("own", "foreign", "mixed"):
        runs.pause(run)
    runs.pause(brand=FOREIGN)
    runs.pause(brand=OWN)
    runs.pause()
    for token in ("viewer", "operator", "chief"):
        refused(call(token, "GET", "/audit"), 403, "role-not-allowed")
    own = call("auditor", "GET", "/audit", params={"act": "pause"}).json()["entries"]
    assert [(entry["run"], entry["brand"]) for entry in own] == [("", OWN), ("own", "")]
    everything = call("admin", "GET", "/audit", params={"act": "pause", "since": "1h"}).json()["entries"]
    assert [(entry["run"], entry["brand"]) for entry in everything] == [
        ("", ""), ("", OWN), ("", FOREIGN), ("mixed", ""), ("foreign", ""), ("own", ""),
    ]  # fmt: skip
    assert len(call("admin", "GET", "/audit", params={"limit": 2}).json()["entries"]) == 2
    refused(call("admin", "GET", "/audit", params={"since": "sometime"}), 409, "conflict")


def test_denials_are_noted_with_the_token_and_the_address(tmp_path, redis_url, client):
    with ExitStack() as stack:
        fresh = stack.enter_context(running_gateway(tmp_path, redis_url))  # its notes are few, so it must be new
        viewer, nobody, admin = (stack.enter_context(fresh.caller(token)) for token in ("viewer", None, "admin"))
        refused(viewer.post("/pause"), 403, "role-not-allowed")
        refused(nobody.get("/runs"), 401, "no-token")
        refused(nobody.post("/runs/own/specs", json={}), 401, "no-token")
        entries = admin.get("/audit", params={"act": "denied"}).json()["entries"]
    told = [(entry["who"], entry["detail"], entry["address"]) for entry in entries]
    assert told == [
        ("nobody", "no-token: POST /v1/runs/own/specs", "127.0.0.1"),
        ("nobody", "no-token: GET /v1/runs", "127.0.0.1"),
        ("viewer", "role-not-allowed: POST /v1/pause", "127.0.0.1"),
    ]


def test_a_redrive_over_http_sends_what_was_asked_for(call, runs):
    assert call("operator", "POST", "/runs/own/cancel", json={"why": "too early"}).json()["cancelled"] == 1
    assert call("operator", "POST", "/runs/own/redrive", json={"outcome": "cancelled"}).json() == {
        "run": "own",
        "again": 1,
    }
    assert call("operator", "POST", "/runs/own/redrive", json={"outcome": "succeeded"}).status_code == 422
    acts = [entry["act"] for entry in call("admin", "GET", "/audit", params={"who": "operator"}).json()["entries"]]
    assert acts == ["redrive", "redrive", "cancel", "cancel"]


def test_the_brands_of_a_run_go_with_it(runs, client):
    assert client.smembers(KEYS.brands("u3")) == {OWN.encode(), FOREIGN.encode()}


def test_dead_letters_are_deleted_by_a_token_for_everything_only(call, redis_url, client):
    note_message(client, KEYS, "bulk", "no hint", b"hello")
    path = "/dead-letters/delete"
    assert call("operator", "POST", path).status_code == 403
    assert call("viewer", "POST", path).status_code == 403
    assert call("chief", "POST", path, json={"dry_run": True}).json() == {"chunks": 0, "messages": 1}
    assert call("chief", "POST", path, json={"why": "seen"}).json() == {"chunks": 0, "messages": 1}
    assert call("chief", "POST", path).json() == {"chunks": 0, "messages": 0}
