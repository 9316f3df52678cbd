"""The console as a browser meets it, without one: a real gateway, real HTTP, a real Redis."""

import re
import signal
import socket
import time
from contextlib import ExitStack, contextmanager

import httpx
import pytest
import redis

from couponpress import Client
from couponpress.gateway.console.session import COOKIE
from couponpress.gateway.tokens import add_token
from couponpress.ledger.dead_letters import note_message
from couponpress.ledger.moves import Move
from couponpress.outcome import State
from couponpress_worker.runtime import redis_server
from couponpress_worker.runtime.redis_server import free_port
from tests.builders import KEYS, bring_to, cut_out_body, moved, producer_settings
from tests.running_gateway import running_gateway
from tests.waiting import soon

BRANDS = {"one": ["120344"], "two": ["120345"]}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, redis_server_url):
    with running_gateway(tmp_path_factory.mktemp("gateway"), redis_server_url) as one:
        for name, role, brands in [
            ("admin", "admin", None),
            ("operator", "operator", None),
            ("viewer", "viewer", None),
            ("one", "operator", BRANDS["one"]),
            ("two", "viewer", BRANDS["two"]),
        ]:
            token = add_token(one.tokens_file, f"p-{name}", brands=brands, quota=None, namespace="*", role=role)
            one.tokens[name] = token
        time.sleep(1.1)  # the file is read again at most once a second
        yield one


@pytest.fixture
def client(redis_url):
    with Client(producer_settings(redis_url)) as one:
        yield one


def browser(gateway, language="en"):
    return httpx.Client(base_url=gateway.url, headers={"Accept": "text/html", "Accept-Language": language}, timeout=30)


def form_token(page):
    return re.search(r'name="form_token" value="(\w+)"', page)[1]


@contextmanager
def logged_in(gateway, name, language="en"):
    with browser(gateway, language) as one:
        page = one.get("/console/login").raise_for_status().text
        answer = one.post("/console/login", data={"token": gateway.tokens[name], "form_token": form_token(page)})
        assert answer.status_code == 303, answer.text
        yield one


def send(one, path, page="/console/runs", **fields):
    token = form_token(one.get(page, follow_redirects=True).text)
    return one.post(f"/console/{path}", data={"form_token": token, "back": page, **fields})


def specs(brand, count, start=0):
    return [
        cut_out_body(at, row_id=f"{brand}-{at}", brand_id=brand, task_id=None) for at in range(start, start + count)
    ]


def reject(redis_url, run_number, count):
    bring_to(redis_url, f"{run_number}.1", [State.REJECTED] * count)


# --- who comes in -----------------------------------------------------------------------------------------------------


def test_nobody_sees_anything_without_a_login(gateway, client):
    client.enqueue_many(specs("120344", 3), run="secret")
    with browser(gateway) as stranger:
        for path in ("", "runs", "runs/b1", "runs/b1/specs", "specs/x", "upload", "holds", "dead-letters", "audit"):
            answer = stranger.get(f"/console/{path}")
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/console/login"), path
        for path in ("parts/runs", "live?part=runs"):
            answer = stranger.get(f"/console/{path}", headers={"Accept": "text/x-part"})
            assert answer.status_code == 401, path
            assert "secret" not in answer.text
        for path in ("acts/pause", "acts/cancel", "acts/limit", "schedules/start"):
            assert stranger.post(f"/console/{path}", data={"kind": "partner"}).status_code in (303, 401, 403), path
    assert client.holds() == []


@pytest.mark.parametrize("token", ["", "wrong", "admin.wrong", "shop"])
def test_a_token_that_is_wrong_or_has_no_role_is_refused_with_a_sentence(gateway, token):
    with browser(gateway) as stranger:
        page = stranger.get("/console/login").text
        presented = gateway.tokens.get(token, token)
        answer = stranger.post("/console/login", data={"token": presented, "form_token": form_token(page)})
        assert answer.status_code == 403
        assert "role" in answer.text if token == "shop" else "not known" in answer.text
        assert "set-cookie" not in answer.headers


def test_a_login_ends_when_its_token_is_taken_out_of_the_file(gateway):
    token = add_token(gateway.tokens_file, "short", brands=None, quota=None, namespace="*", role="viewer")
    gateway.tokens["short"] = token
    time.sleep(1.1)
    with logged_in(gateway, "short") as one:
        assert one.get("/console/runs").status_code == 200
        text = gateway.tokens_file.read_text()
        begin = text.index("[tokens.short]")
        gateway.tokens_file.write_text(text[:begin].rstrip() + "\n")
        time.sleep(1.1)
        assert one.get("/console/runs").status_code == 303


def test_the_cookie_is_for_this_console_only(gateway):
    with browser(gateway) as one:
        page = one.get("/console/login").text
        answer = one.post("/console/login", data={"token": gateway.tokens["admin"], "form_token": form_token(page)})
    told = answer.headers["set-cookie"].lower()
    assert "httponly" in told
    assert "samesite=lax" in told
    assert "path=/console/" in told
    assert "max-age=43200" in told
    assert gateway.tokens["admin"] not in told


def test_a_login_leads_back_to_its_page_and_never_to_another_site(gateway):
    for wanted, leads in [
        ("/console/runs", "/console/runs"),
        ("https://example.com/", "/console/"),
        ("//example.com/console/", "/console/"),
        ("/console//example.com", "/console/"),
    ]:
        with browser(gateway) as one:
            page = one.get("/console/login").text
            answer = one.post(
                "/console/login",
                data={"token": gateway.tokens["viewer"], "form_token": form_token(page), "next": wanted},
            )
            assert answer.headers["location"] == leads


def test_every_answer_forbids_what_is_not_the_consoles_own(gateway):
    with browser(gateway) as stranger, logged_in(gateway, "viewer") as one:
        for answer in (stranger.get("/console/login"), one.get("/console/runs"), one.get("/console/nothing")):
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "script-src 'self'" in policy
            assert "unsafe" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cache-control"] == "no-store"
            assert not re.search(r"<script(?![^>]*\bsrc=)|\bon\w+=|style=|javascript:", answer.text)


# --- forms ------------------------------------------------------------------------------------------------------------


def test_a_form_without_its_token_or_of_another_login_does_nothing(gateway, client):
    client.enqueue_many(specs("120344", 3), run="held")
    with logged_in(gateway, "operator") as mine, logged_in(gateway, "admin") as other:
        foreign = form_token(other.get("/console/runs").text)
        for token in ("", "0" * 64, foreign):
            answer = mine.post("/console/acts/pause", data={"kind": "partner", "form_token": token})
            assert answer.status_code == 403
            assert "Nothing was done" in answer.text
    assert client.holds() == []


def test_pause_and_resume(gateway, client):
    client.enqueue_many(specs("120344", 3), run="autumn 秋季")
    with logged_in(gateway, "operator") as one:
        answer = send(one, "acts/pause", kind="run", scope="autumn 秋季", why="wrong prices")
        assert answer.headers["location"] == "/console/runs?told=paused"
        (hold,) = client.holds()
        assert (hold.scope, hold.kind) == ("autumn 秋季", "run")
        assert (hold.why, hold.by.door, hold.by.name) == ("wrong prices", "console", "p-operator")
        assert "wrong prices" in one.get("/console/holds").text
        assert send(one, "acts/resume", kind="run", scope="autumn 秋季").headers["location"].endswith("told=resumed")
        assert client.holds() == []
        assert send(one, "acts/pause", kind="partner").status_code == 303
        assert [hold.kind for hold in client.holds()] == ["partner"]


def test_a_run_is_cancelled_only_by_typing_its_name(gateway, client):
    client.enqueue_many(specs("120344", 3), run="may")
    with logged_in(gateway, "operator") as one:
        assert send(one, "acts/cancel", run="may", confirmed="May").status_code == 422
        assert client.run("may").waiting == 3
        assert send(one, "acts/cancel", run="may", confirmed="may").status_code == 303
    assert client.run("may").cancelled == 3


@pytest.mark.parametrize("rate", ["", "0", "-5", "1000000000", "fast", "5/day"])
def test_a_limit_that_is_none_is_refused(gateway, client, rate):
    with logged_in(gateway, "operator") as one:
        answer = send(one, "acts/limit", rate=rate)
    assert answer.status_code in (409, 422)
    assert client.rate().by_hand == ""


def test_a_limit_is_set_and_taken_back(gateway, client):
    with logged_in(gateway, "operator") as one:
        assert send(one, "acts/limit", rate="120").status_code == 303
        assert client.rate().by_hand == "120/second"
        assert send(one, "acts/limit", rate="default").status_code == 303
    assert client.rate().by_hand == ""


def test_a_pause_and_a_limit_can_end_by_themselves(gateway, client):
    with logged_in(gateway, "operator") as one:
        assert send(one, "acts/pause", kind="partner", **{"for": "30m"}).status_code == 303
        assert send(one, "acts/limit", rate="100", **{"for": "2h"}).status_code == 303
        (hold,) = client.holds()
        assert 1790 < hold.until - hold.since <= 1801
        assert "ends by itself" in one.get("/console/holds").text
        for wrong in ("soon", "-5m", "99999d"):
            assert send(one, "acts/pause", kind="partner", **{"for": wrong}).status_code == 409


def test_all_that_match_are_counted_first_and_then_sent_again(gateway, client, redis_url):
    client.enqueue_many(specs("120344", 130), run="big")
    number = _runs(gateway, "big")["big"]
    reject(redis_url, number, 100)
    with logged_in(gateway, "operator") as one:
        page = send(one, "acts/select", act="redrive", run="big", state="rejected").headers["location"]
        text = checked(one, page)
        assert ">100<" in text
        assert client.run("big").rejected == 100
        assert one.post(f"{page}/act", data={"form_token": form_token(text)}).status_code == 303
        checked(one, page)
        assert client.run("big").rejected == 0
        with logged_in(gateway, "admin") as other:
            assert other.get(page).status_code == 404


def test_acts_and_denials_stand_in_the_audit_log(gateway, client):
    client.enqueue_many(specs("120344", 3), run="may")
    with logged_in(gateway, "operator") as one:
        send(one, "acts/pause", kind="run", scope="may", why="look first")
        assert one.get("/console/audit").status_code == 403
    with logged_in(gateway, "viewer") as one:
        assert send(one, "acts/resume", kind="run", scope="may").status_code == 403
    with logged_in(gateway, "admin") as one:
        text = one.get("/console/audit").text
        assert "look first" in text
        assert "operator (console" in text
        assert "denied" in text
        table = one.get("/console/audit.csv", params={"act": "pause"}).text
        assert "look first" in table
        assert "denied" not in table
        assert one.get("/console/audit", params={"since": "nonsense"}).status_code == 409


@pytest.mark.parametrize("name", ["viewer", "two"])
def test_who_may_not_act_is_refused_and_sees_no_form(gateway, client, name):
    client.enqueue_many(specs("120344", 3), run="may")
    with logged_in(gateway, name) as one:
        for path, fields in [
            ("acts/pause", {"kind": "partner"}),
            ("acts/pause", {"kind": "run", "scope": "may"}),
            ("acts/resume", {"kind": "partner"}),
            ("acts/cancel", {"run": "may", "confirmed": "may"}),
            ("acts/redrive", {"run": "may", "outcome": "expired"}),
            ("acts/limit", {"rate": "100"}),
            ("schedules/start", {"name": "nightly"}),
        ]:
            answer = send(one, path, **fields)
            assert answer.status_code == 403, path
            assert "may not" in answer.text
        assert "acts/" not in one.get("/console/", follow_redirects=True).text
    assert client.holds() == []
    assert client.run("may").waiting == 3


def test_a_brands_operator_acts_on_the_brands_own_runs_and_on_nothing_wider(gateway, client):
    client.enqueue_many(specs("120344", 3), run="own")
    client.enqueue_many([*specs("120344", 1, 50), *specs("120345", 1, 50)], run="mixed")
    with logged_in(gateway, "one") as one:
        page = one.get(f"/console/runs/{_runs(gateway, 'own', 'mixed')['own']}").text
        assert "acts/pause" in page
        assert send(one, "acts/pause", kind="run", scope="own", why="mine").status_code == 303
        (hold,) = client.holds()
        assert (hold.scope, hold.why, hold.by.door) == ("own", "mine", "console")
        for path, fields in [
            ("acts/pause", {"kind": "partner"}),
            ("acts/pause", {"kind": "brand", "scope": "120345"}),
            ("acts/pause", {"kind": "run", "scope": "mixed"}),
            ("acts/cancel", {"run": "mixed", "confirmed": "mixed"}),
            ("acts/redrive", {"run": "mixed", "outcome": "expired"}),
            ("acts/select", {"run": "mixed", "act": "pause"}),
            ("acts/select", {"brand": "120345", "act": "pause"}),
            ("acts/limit", {"rate": "100"}),
        ]:
            answer = send(one, path, **fields)
            assert answer.status_code == 403, path
            assert "may not" in answer.text
        assert send(one, "acts/resume", kind="run", scope="own").status_code == 303
    assert client.holds() == []
    # Of many refusals in a row only some are noted.
    denied = {entry.detail.split(":")[0] for entry in client.audit(act="denied", who="p-one")}
    assert denied <= {"brand-not-allowed"}


def test_what_matches_is_paused_and_resumed_from_the_page(gateway, client):
    client.enqueue_many(specs("120344", 130), run="part")
    with logged_in(gateway, "operator", "zh-CN") as one:
        for act, paused in (("pause", 130), ("resume", 0)):
            page = send(one, "acts/select", act=act, run="part", state="").headers["location"]
            text = checked(one, page)
            assert ">130<" in text
            assert one.post(f"{page}/act", data={"form_token": form_token(text)}).status_code == 303
            checked(one, page)
            assert client.run("part").paused == paused
        assert send(one, "acts/select", act="forget", run="part").status_code == 409


def test_a_form_that_is_far_too_large_is_refused_before_it_is_read(gateway):
    with logged_in(gateway, "operator") as one:
        answer = one.post("/console/acts/pause", data={"kind": "partner", "why": "x" * 200_000})
        assert answer.status_code == 413


# --- one brand's data -------------------------------------------------------------------------------------------------


def test_a_brands_token_sees_no_other_brand_anywhere(gateway, client):
    client.enqueue_many(specs("120344", 3), run="of-one")
    client.enqueue_many(specs("120345", 3), run="of-two")
    client.enqueue_many([*specs("120344", 2, 10), *specs("120345", 2, 10)], run="of-both")
    numbers = _runs(gateway, "of-one", "of-two", "of-both")
    secret = next(client.outcomes("of-two")).task_id
    with logged_in(gateway, "one") as one:
        listed = one.get("/console/runs").text
        assert "of-one" in listed
        assert "of-two" not in listed
        assert "of-both" not in listed
        for run in ("of-two", "of-both"):
            for path in ("", "/specs", "/gallery", "/results.csv", "/results.xlsx", "/bad.csv"):
                answer = one.get(f"/console/runs/{numbers[run]}{path}")
                assert answer.status_code == 404, path
                assert "120345-" not in answer.text
            assert one.get(f"/console/parts/runs/{numbers[run]}").status_code == 404
            assert one.get("/console/runs/by-name", params={"run": run}).status_code == 404
        assert one.get(f"/console/specs/{secret}").status_code == 404
        assert "120344-0" in one.get(f"/console/runs/{numbers['of-one']}/specs").text
        assert one.get(f"/console/runs/{numbers['of-one']}/results.csv").text.count("120344-") == 3
        for path in ("holds", "dead-letters", "schedules", "proof.csv", "audit"):
            assert one.get(f"/console/{path}").status_code in (403, 404), path
        for part in ("now", "fleet"):
            assert one.get(f"/console/parts/{part}").status_code == 404
        assert one.get("/console/").headers["location"] == "/console/runs"
        with one.stream("GET", "/console/live", params={"part": ["runs", f"runs/{numbers['of-two']}"]}) as stream:
            told = next(block for block in stream.iter_text() if "trouble" in block or "of-two" in block)
            assert "of-two" not in told
            assert "120345" not in told


def _runs(gateway, *names):
    """The numbers of these runs by their names, once the overview, which is a second old at most, shows them."""
    deadline = time.monotonic() + 30
    with logged_in(gateway, "viewer") as every:
        while True:
            found = re.findall(r'runs/([bu][0-9a-f]+)">([^<]+)</a>', every.get("/console/runs").text)
            if {name for _, name in found} == set(names):
                return {name: number for number, name in found}
            assert time.monotonic() < deadline, found
            time.sleep(0.1)


# --- pages ------------------------------------------------------------------------------------------------------------


def test_every_page_answers_in_both_languages(gateway, client, redis_url):
    client.enqueue_many(specs("120344", 120), run="big")
    number = _runs(gateway, "big")["big"]
    reject(redis_url, number, 2)
    task = next(client.outcomes("big")).task_id
    for language, word in (("en", "Runs"), ("zh-CN,zh;q=0.9", "批次")):
        with logged_in(gateway, "admin", language) as one:
            for path in (
                "", "runs", f"runs/{number}", f"runs/{number}/specs", f"runs/{number}/specs?state=rejected",
                f"runs/{number}/gallery", f"specs/{task}", "upload", "holds", "dead-letters", "audit",
            ):  # fmt: skip
                answer = one.get(f"/console/{path}")
                assert answer.status_code == 200, path
                assert word in answer.text, path


def test_specs_come_by_filter_and_page(gateway, client, redis_url):
    client.enqueue_many(specs("120344", 130), run="big")
    number = _runs(gateway, "big")["big"]
    reject(redis_url, number, 2)
    with logged_in(gateway, "viewer") as one:

        def rows(query):
            return re.findall(r"120344-(\d+)</a>", one.get(f"/console/runs/{number}/specs?{query}").text)

        page = one.get(f"/console/runs/{number}/specs").text
        seen = re.findall(r"120344-(\d+)</a>", page)
        while found := re.search(r'href="\?([^"]*cursor[^"]*)"', page):
            page = one.get(f"/console/runs/{number}/specs?{found[1].replace('&amp;', '&')}").text
            seen += re.findall(r"120344-(\d+)</a>", page)
        assert seen == [str(at) for at in range(130)]
        assert len(rows("state=rejected")) == 2
        assert rows("text=120344-77") == ["77"]
        assert rows("brand=1") == []
        for wrong in ("cursor=x", "cursor=1.-1", "cursor=0.0", "cursor=9999999999.0"):
            assert one.get(f"/console/runs/{number}/specs?{wrong}").status_code in (404, 422)


def test_an_unknown_run_or_page_is_a_sentence(gateway, client):
    with logged_in(gateway, "viewer") as one:
        for path in ("runs/b99", "runs/nonsense", "nothing", "specs/none", "static/../app.py", "parts/none"):
            answer = one.get(f"/console/{path}")
            assert answer.status_code in (404, 422), path
            assert "Traceback" not in answer.text
        assert "Log out" in one.get("/console/nothing").text


# --- a catalog in the browser -----------------------------------------------------------------------------------------

CATALOG = "row_id,brand_id,image_generation_type,image_url\n" + "".join(
    f"r{at},120344,CUT_OUT,https://wxpaylogo.qpic.cn/wxpaylogo/{at}.png\n" for at in range(40)
)


def upload(one, text, name="may.csv", **fields):
    token = form_token(one.get("/console/upload").text)
    answer = one.post(
        "/console/upload", data={"form_token": token, **fields}, files={"catalog": (name, text.encode(), "text/csv")}
    )
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def checked(one, page):
    deadline = time.monotonic() + 30
    while "http-equiv" in (text := one.get(page).text):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return text


def test_a_catalog_is_checked_first_and_then_submitted(gateway, client):
    broken = CATALOG + "r40,,CUT_OUT,https://wxpaylogo.qpic.cn/wxpaylogo/1.png\n"
    with logged_in(gateway, "operator") as one:
        page = upload(one, broken)
        text = checked(one, page)
        assert "Submit 40 rows" in text
        assert client.runs() == []
        errors = one.get(f"{page}/errors")
        assert "r40" in errors.text
        token = form_token(text)
        assert one.post(f"{page}/submit", data={"form_token": token}).status_code == 303
        assert "40 rows are enqueued" in checked(one, page)
        assert client.run("may").waiting == 40
        # Pressed once more, from a page that stood open: the same work.
        one.post(f"{page}/submit", data={"form_token": token})
        assert client.run("may").total == 40


def test_a_catalog_of_other_brands_is_not_submitted(gateway, client):
    with logged_in(gateway, "one") as one:
        page = upload(one, CATALOG.replace("r7,120344", "r7,120345"))
        text = checked(one, page)
        assert "120345" in text
        assert f"{page}/submit" not in text
        token = form_token(one.get("/console/upload").text)
        assert one.post(f"{page}/submit", data={"form_token": token}).status_code == 403
    assert client.runs() == []


@pytest.mark.parametrize("name", ["../../etc/passwd", "C:\\tmp\\a.csv", "....", "秋季.csv", "a" * 300 + ".csv"])
def test_a_files_name_leads_nowhere_else(gateway, name):
    with logged_in(gateway, "operator") as one:
        token = form_token(one.get("/console/upload").text)
        answer = one.post(
            "/console/upload", data={"form_token": token}, files={"catalog": (name, CATALOG.encode(), "text/csv")}
        )
        assert answer.status_code in (303, 409)
        if answer.status_code == 303:
            assert "Traceback" not in checked(one, answer.headers["location"])


def test_what_is_no_catalog_is_a_sentence_without_the_servers_folders(gateway):
    with logged_in(gateway, "operator") as one:
        text = checked(one, upload(one, "nothing,that,helps\n1,2,3\n"))
        assert "may.csv" in text
        assert "/tmp" not in text


def test_one_persons_upload_is_not_anothers(gateway):
    with logged_in(gateway, "operator") as mine, logged_in(gateway, "admin") as other:
        page = upload(mine, CATALOG)
        assert other.get(page).status_code == 404


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_a_server_that_stops_ends_its_streams_at_once(tmp_path, redis_url):
    with running_gateway(tmp_path, redis_url) as gateway:
        gateway.tokens["ops"] = add_token(
            gateway.tokens_file, "ops", brands=None, quota=None, namespace="*", role="viewer"
        )
        time.sleep(1.1)
        with (
            logged_in(gateway, "ops") as one,
            one.stream("GET", "/console/live", params={"part": ["now", "fleet"]}) as stream,
        ):
            blocks = stream.iter_text()
            assert "event: part" in next(blocks)
            began = time.monotonic()
            gateway.process.send_signal(signal.SIGTERM)
            for _ in blocks:
                pass
            assert gateway.process.wait(10) == 0
            assert time.monotonic() - began < 5


def test_dead_letters_are_deleted_by_typing_how_many_they_are(gateway, client, redis_url):
    with redis.Redis.from_url(redis_url) as server:
        note_message(server, KEYS, "bulk", "no hint", b"hello")
        note_message(server, KEYS, "bulk", "no hint", b"again")
    with logged_in(gateway, "operator") as one:
        page = one.get("/console/dead-letters").text
        assert "acts/delete-dead-letters" in page
        assert send(one, "acts/delete-dead-letters", "/console/dead-letters", confirmed="3").status_code == 422
        answer = send(one, "acts/delete-dead-letters", "/console/dead-letters", confirmed="2", why="seen")
        assert answer.status_code == 303
        assert "acts/delete-dead-letters" not in one.get("/console/dead-letters").text
    assert client.dead_letter_messages() == (0, [])
    (entry,) = client.audit(act="delete-dead-letters")
    assert (entry.who, entry.door, entry.why, entry.result) == ("p-operator", "console", "seen", "0 chunks, 2 messages")


def test_a_row_that_is_known_with_another_body_is_broken_and_stops_no_other(gateway, client):
    with logged_in(gateway, "operator") as one:
        for text, told in [
            (CATALOG, "40 rows are enqueued"),
            (CATALOG.replace("r3,120344,CUT_OUT,", "r3,120345,CUT_OUT,"), "39 were known before"),
        ]:
            page = upload(one, text)
            checked(one, page)
            submitted = one.post(f"{page}/submit", data={"form_token": form_token(one.get(page).text)})
            assert submitted.status_code == 303
            shown = checked(one, page)
            assert told in shown
        assert "is known in run" in shown
        assert "r3" in one.get(f"{page}/errors").text


def test_a_run_tells_why_specs_ended_in_words_and_whether_to_send_again(gateway, client, redis_url):
    client.enqueue_many(specs("120344", 3), run="bad")
    number = _runs(gateway, "bad")["bad"]
    moves = [Move(at, "reject", code="NO_AUTH", message="a parameter is wrong") for at in range(2)]
    assert all(moved(redis_url, f"{number}.1", *moves))
    for language, words, helps in (("en", "a parameter is wrong", "mended"), ("zh-CN", "参数", "有用")):
        with logged_in(gateway, "viewer", language) as one:
            deadline = time.monotonic() + 30
            while "NO_AUTH" not in (page := one.get(f"/console/runs/{number}").text):
                assert time.monotonic() < deadline
            assert words in page
            assert helps in page


def test_redis_away_while_somebody_looks_is_told_and_comes_back(tmp_path):
    """Pages answer 503 with a sentence, a stream says that what is shown may be old, and both go on afterwards."""
    port = free_port()
    server = redis_server.start(tmp_path / "redis", port)
    try:
        with (
            running_gateway(tmp_path, f"redis://127.0.0.1:{port}/0") as one,
            logged_in(one, "chief", "zh-CN") as looking,
            looking.stream("GET", "/console/live", params={"part": "now"}) as stream,
        ):
            lines = stream.iter_lines()
            assert "event: part" in takewhile_until(lines, "event: part")
            redis_server.stop(server)
            assert "event: trouble" in takewhile_until(lines, "event: trouble")
            answer = looking.get("/console/holds")
            assert (answer.status_code, "Redis 没有响应" in answer.text) == (503, True)
            server = redis_server.start(tmp_path / "redis", port)
            assert "event: part" in takewhile_until(lines, "event: part")
            assert looking.get("/console/holds").status_code == 200
    finally:
        redis_server.stop(server)


def takewhile_until(lines, wanted):
    """Read lines until the wanted one, which is returned with those before it."""
    read = []
    for line in lines:
        read.append(line)
        if line == wanted:
            break
    return read


def test_ten_tabs_of_one_person_are_each_kept_up_to_date(gateway, client):
    with logged_in(gateway, "operator") as one, ExitStack() as tabs:
        streams = [tabs.enter_context(one.stream("GET", "/console/live", params={"part": "now"})) for _ in range(10)]
        for stream in streams:
            assert "event: part" in takewhile_until(stream.iter_lines(), "event: part")
        assert one.get("/console/runs").status_code == 200
    with logged_in(gateway, "operator") as one:
        assert one.get("/console/").status_code == 200, "tabs that were closed hold nothing up"


def test_a_catalog_of_500_megabytes_is_refused_before_it_is_read(gateway):
    with logged_in(gateway, "operator", "zh-CN") as one:
        token = form_token(one.get("/console/upload").text)
        with socket.create_connection(("127.0.0.1", one.base_url.port), timeout=30) as raw:
            head = f"POST /console/upload HTTP/1.1\r\nHost: x\r\nCookie: {COOKIE}={one.cookies[COOKIE]}\r\n"
            head += f"Accept-Language: zh-CN\r\nContent-Length: {500 << 20}\r\nX-Form: {token}\r\n"
            raw.sendall(f"{head}Content-Type: multipart/form-data; boundary=b\r\n\r\n".encode())
            answer = raw.recv(65536).decode()
    assert answer.startswith("HTTP/1.1 413")


def test_what_nobody_foresaw_is_a_page_like_every_other_and_is_logged_once(gateway, client, redis_url):
    client.enqueue_many(specs("120344", 1), run="damaged")
    with redis.Redis.from_url(redis_url) as plain, logged_in(gateway, "viewer", "zh-CN") as one:
        plain.hset(KEYS.run("b1"), "waiting", "many")
        logged = gateway.log.read_text().count("Traceback")
        answer = one.get("/console/runs/b1")
        assert (answer.status_code, "控制台出错" in answer.text) == (500, True), answer.text
        assert "退出" in answer.text
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert gateway.log.read_text().count("Traceback") == logged + 1


def test_a_specs_page_tells_its_whole_history(gateway, client, redis_url):
    client.enqueue_many(specs("120344", 1), run="history")
    number = client.overview().runs[0].number
    task_id = next(client.outcomes("history")).task_id
    moved(redis_url, f"{number}.1", Move(0, "again", tries=1, code="SYSTEM_ERROR", request_id="08AA-1"), by="submit")
    moved(redis_url, f"{number}.1", Move(0, "accept", tries=1, request_id="08AB-0"), by="submit")
    with logged_in(gateway, "viewer") as one:
        page = one.get(f"/console/specs/{task_id}").raise_for_status().text
    for told in ("SYSTEM_ERROR", "08AA-1", "08AB-0", "the platform accepted it", "Times are in UTC"):
        assert told in page
    with logged_in(gateway, "viewer", "zh-CN") as one:
        page = one.get(f"/console/specs/{task_id}").raise_for_status().text
    for told in ("已发送：平台已受理", "时间为 UTC"):
        assert told in page
    client.enqueue_many(specs("120344", 1, 1), run="plain")
    moved(redis_url, "b2.1", Move(0, "accept", tries=1, request_id="08AC-0"), by="submit")
    moved(redis_url, "b2.1", Move(0, "succeed", image_url="https://example.com/1.png", heard_by="n-1"), by="callback")
    with logged_in(gateway, "viewer") as one:
        page = one.get(f"/console/specs/{next(client.outcomes('plain')).task_id}").raise_for_status().text
    assert "08AC-0" in page


def test_a_pause_of_what_matches_ends_by_itself(gateway, client):
    client.enqueue_many(specs("120344", 3), run="a while")
    with logged_in(gateway, "operator") as one:
        chosen = send(one, "acts/select", act="pause", run="a while").headers["location"]
        soon(lambda: "Pause them" in one.get(chosen).text)
        assert 'name="for"' in one.get(chosen).text
        send(one, chosen.removeprefix("/console/") + "/act", **{"for": "2h"})
        soon(lambda: client.run("a while").paused == 3)
    task_id = next(client.outcomes("a while")).task_id
    assert 7000 < client.spec(task_id).paused_until - time.time() < 7210


def test_an_upload_of_another_gateway_is_told_as_that_and_its_page_warns_before(gateway, client, redis_url, tmp_path):
    with logged_in(gateway, "operator") as one:
        assert "gateways run" not in one.get("/console/upload").text
        with running_gateway(tmp_path, redis_url) as other:
            add = add_token(other.tokens_file, "ops", brands=None, quota=None, namespace="*", role="operator")
            other.tokens["operator"] = add
            soon(lambda: "2 gateways run" in one.get("/console/upload").text)
            soon(lambda: httpx.get(f"{other.url}/v1/runs", headers={"Authorization": f"Bearer {add}"}).is_success)
            with logged_in(other, "operator") as elsewhere:
                page = elsewhere.get("/console/upload").text
                given = {"catalog": ("may.csv", b"row_id,brand_id,image_generation_type,image_url\n")}
                taken = elsewhere.post("/console/upload", data={"form_token": form_token(page)}, files=given)
                assert elsewhere.get(taken.headers["location"]).status_code == 200
            told = one.get(taken.headers["location"])
    assert told.status_code == 404
    assert "Another gateway took it" in told.text
