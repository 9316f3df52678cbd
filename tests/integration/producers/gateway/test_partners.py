"""One gateway for several partners: a token of one sees nothing of another, and none stops another."""

import re
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from couponpress import Client
from couponpress.gateway.console import acts, audit_page, pages, schedules, selection_pages, streams, upload_pages
from couponpress.gateway.console.session import COOKIE
from couponpress.gateway.control_routes import router as control_router
from couponpress.gateway.routes import router
from couponpress.gateway.selection_routes import router as selection_router
from couponpress.gateway.tokens import add_token
from couponpress_worker.runtime.redis_server import free_port
from tests.builders import cut_out_body, producer_settings
from tests.running_gateway import started
from tests.waiting import soon

ONE, TWO, AWAY, BROKEN = "1900000001", "1900000002", "1900000003", "1900000004"
#: What stands for the parts of a path.
SAMPLES = {
    "run": "may",
    "number": "b1",
    "task_id": "cut-out-000001",
    "name": "runs",
    "brand": "120344",
    "selection": "0" * 16,
    "path": "runs",
}


def added(directory, mchid, name, role="app"):
    namespace = None if role == "app" else "*"
    return add_token(directory / f"{mchid}.tokens.toml", name, brands=None, quota=None, namespace=namespace, role=role)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, redis_server_url):
    """Of two partners, one more whose Redis is away, and one whose tokens file is broken.

    `shop` and `anna` are names in both files, for other tokens. The token `chief` stands in both files.
    """
    directory = tmp_path_factory.mktemp("partners")
    tokens = {}
    for mchid in (ONE, TWO, AWAY):
        tokens[mchid, "shop"] = added(directory, mchid, "shop")
        tokens[mchid, "anna"] = added(directory, mchid, "anna", "admin")
    tokens["chief"] = added(directory, ONE, "chief", "admin")
    entry = (directory / f"{ONE}.tokens.toml").read_text().partition("[tokens.chief]")
    with (directory / f"{TWO}.tokens.toml").open("a") as file:
        file.write("\n" + entry[1] + entry[2])
    (directory / f"{BROKEN}.tokens.toml").write_text("[tokens")
    tables = []
    for mchid in (ONE, TWO, AWAY, BROKEN):
        url = f"redis://127.0.0.1:{free_port()}/0" if mchid == AWAY else redis_server_url
        tables += ["[[partner]]", f'id = "{mchid}"', f'redis_url = "{url}"']
        tables += [f'gateway_tokens_file = "{mchid}.tokens.toml"']
    (directory / "partners.toml").write_text("\n".join(tables))
    settings = {"PARTNERS": str(directory / "partners.toml")}
    with started(settings, tokens, directory / f"{ONE}.tokens.toml", directory / "log") as one:
        yield one
        assert one.stop() == 0, one.log.read_text()


@pytest.fixture
def api(gateway):
    """Call a partner's paths with a token: `api(ONE, (TWO, "shop"), "GET", "/v1/runs")`."""
    with httpx.Client(base_url=gateway.url, timeout=30) as http:

        def call(mchid, token, method, path, **options):
            headers = {"Authorization": f"Bearer {gateway.tokens[token]}"} | options.pop("headers", {})
            return http.request(method, f"/partners/{mchid}{path}", headers=headers, **options)

        yield call


@pytest.fixture
def clients(redis_url):
    """A client of each partner that has a Redis."""
    with ExitStack() as stack:
        yield {mchid: stack.enter_context(Client(producer_settings(redis_url, mchid=mchid))) for mchid in (ONE, TWO)}


@contextmanager
def browser(gateway, mchid, token):
    """A person who is logged in at the console of a partner."""
    home = f"/partners/{mchid}/console"
    with httpx.Client(base_url=gateway.url, headers={"Accept": "text/html"}, timeout=30) as one:
        data = {"token": gateway.tokens[token], "form_token": form_token(one.get(f"{home}/login").text)}
        answer = one.post(f"{home}/login", data=data)
        assert answer.status_code == 303, answer.text
        assert answer.headers["location"] == f"{home}/"
        yield one


def form_token(page):
    return re.search(r'name="form_token" value="(\w+)"', page)[1]


def filled(path):
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda found: SAMPLES.get(found[1], "x"), path)


def calls_of(*routers):
    """Every method and path of some routers, with samples in it."""
    return sorted({(method, filled(route.path)) for one in routers for route in one.routes for method in route.methods})


API = [one for one in calls_of(router, control_router, selection_router) if one[1] != "/v1/health"]
PARTS = (pages, upload_pages, streams, schedules, acts, selection_pages, audit_page)
PAGES = calls_of(*(part.router for part in PARTS))


def specs(mchid, count=2):
    return [cut_out_body(at, row_id=f"row-{mchid}-{at}", task_id=None) for at in range(count)]


# --- over HTTP --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), [*API, ("GET", "/metrics")])
def test_no_route_knows_the_token_of_another_partner(api, method, path):
    """Also where the other partner has a token of the same name."""
    for token in ((ONE, "shop"), (ONE, "anna"), "chief"):
        answer = api(AWAY, token, method, path)
        assert answer.status_code == 401, answer.text
    assert api(TWO, (ONE, "anna"), method, path).status_code == 401
    assert api(TWO, (TWO, "anna"), method, path).status_code != 401


def test_each_partner_has_runs_of_its_own(api, clients):
    """The same name of a run, of a token and of a row is other work at another partner."""
    for mchid in (ONE, TWO):
        body = cut_out_body(1, row_id=f"row-{mchid}", task_id=None)
        answer = api(mchid, (mchid, "shop"), "POST", "/v1/runs/may/specs", json=body)
        assert answer.status_code == 202, answer.text
    for mchid, other in ((ONE, TWO), (TWO, ONE)):
        listed = api(mchid, (mchid, "anna"), "GET", "/v1/runs").json()["runs"]
        assert [(run["run"], run["total"]) for run in listed] == [("shop/may", 1)]
        results = api(mchid, (mchid, "shop"), "GET", "/v1/runs/may/results").text
        assert f"row-{mchid}" in results
        assert other not in results
        assert [one.total for one in clients[mchid].runs()] == [1]


def test_an_act_on_everything_is_one_on_everything_of_the_partner(api, clients):
    for mchid in (ONE, TWO):
        clients[mchid].enqueue_many(specs(mchid), run="may")
    assert api(ONE, (ONE, "anna"), "POST", "/v1/pause").status_code == 200
    assert [hold.kind for hold in clients[ONE].holds()] == ["partner"]
    assert clients[TWO].holds() == []
    audit = api(TWO, (TWO, "anna"), "GET", "/v1/audit").json()["entries"]
    assert [one for one in audit if one["act"] == "pause"] == []


def test_paths_without_a_partner_lead_nowhere(gateway):
    with httpx.Client(base_url=gateway.url) as http:
        for path in (
            "/v1/runs",
            "/console/",
            "/metrics",
            "/partners",
            "/partners/",
            f"/partners/{ONE}",
            "/partners/0/v1/runs",
        ):
            assert http.get(path).status_code == 404, path
        assert http.get("/v1/health").json() == {"partners": 4}
        assert http.get("/docs").status_code == http.get("/openapi.json").status_code == 200
        assert http.get(f"/partners/{ONE}/v1/health").json() == {"redis": "answers"}
        answer = http.get("/partners/0/v1/runs", headers={"Accept-Language": "zh-CN"})
        assert answer.json()["detail"].startswith("服务商")
        assert answer.headers["x-request-id"]


# --- in a browser -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), PAGES)
def test_no_page_stream_or_form_knows_the_login_of_another_partner(gateway, clients, method, path):
    clients[TWO].enqueue_many(specs(TWO), run="may")
    with browser(gateway, ONE, (ONE, "anna")) as one:
        token = form_token(one.get(f"/partners/{ONE}/console/runs").text)
        query = "?part=runs" if path == "/live" else "?run=may" if path == "/runs/by-name" else ""
        data = {"form_token": token, "kind": "partner", "why": "x"} if method == "POST" else None
        answer = one.request(method, f"/partners/{TWO}/console{path}{query}", data=data)
        assert answer.status_code in {303, 401, 403}, answer.text
        assert "row-" not in answer.text
        assert "may" not in answer.text
        if answer.status_code == 303:
            assert answer.headers["location"].startswith(f"/partners/{TWO}/console/login"), answer.headers
    assert clients[TWO].holds() == []


def test_a_login_by_a_token_of_both_switches_between_them(gateway, clients):
    """The switch shows the partners of the token, and no others."""
    for mchid in (ONE, TWO):
        clients[mchid].enqueue_many(specs(mchid), run=f"run-{mchid}")
    with browser(gateway, ONE, "chief") as one:
        for mchid, other in ((ONE, TWO), (TWO, ONE)):
            path = f"/partners/{mchid}/console/runs"
            soon(
                lambda path=path, mchid=mchid: f"run-{mchid}" in one.get(path).text
            )  # what is shown may be a second old
            page = one.get(path).text
            assert f"run-{other}" not in page
            switch = page.partition('class="partners"')[2].partition("</nav>")[0]
            assert re.findall(r'href="/partners/(\d+)/console/"', switch) == [ONE, TWO]
            assert f'href="/partners/{mchid}/console/runs/' in page
        form = {"form_token": form_token(page), "back": f"/partners/{TWO}/console/holds", "kind": "partner"}
        answer = one.post(f"/partners/{TWO}/console/acts/pause", data=form)
        assert answer.headers["location"].startswith(f"/partners/{TWO}/console/holds?told=")
        assert one.post(f"/partners/{TWO}/console/logout", data=form).status_code == 303
        assert one.get(f"/partners/{ONE}/console/runs").status_code == 303
    assert clients[ONE].holds() == []
    assert [hold.kind for hold in clients[TWO].holds()] == ["partner"]


def test_a_login_of_one_partner_sees_no_switch(gateway):
    with browser(gateway, ONE, (ONE, "anna")) as one:
        page = one.get(f"/partners/{ONE}/console/").text
        assert ONE in page
        assert [other for other in (TWO, AWAY, BROKEN) if other in page] == []


def test_a_login_that_was_needed_leads_back_to_its_page(gateway):
    with httpx.Client(base_url=gateway.url, headers={"Accept": "text/html"}) as stranger:
        to_login = stranger.get(f"/partners/{ONE}/console/holds").headers["location"]
        assert to_login == f"/partners/{ONE}/console/login?next=/partners/{ONE}/console/holds"
        page = stranger.get(to_login).text
        data = {"token": gateway.tokens["chief"], "form_token": form_token(page)}
        for wanted, led in (
            (f"/partners/{ONE}/console/holds", f"/partners/{ONE}/console/holds"),
            (f"/partners/{TWO}/console/holds", f"/partners/{ONE}/console/"),
            ("//elsewhere/", f"/partners/{ONE}/console/"),
        ):
            stranger.cookies.clear()
            answer = stranger.post(f"/partners/{ONE}/console/login", data=data | {"next": wanted})
            assert answer.headers["location"] == led
            assert answer.cookies.jar._cookies["127.0.0.1"].keys() == {"/partners/"}, COOKIE


# --- the file changes -------------------------------------------------------------------------------------------------


def test_a_gateway_follows_its_file_without_a_restart(tmp_path, redis_url):
    """The only partner has the plain paths too; a second comes, a broken edit changes nothing, the first goes."""
    tokens = {mchid: added(tmp_path, mchid, "shop") for mchid in (ONE, TWO)}
    file = tmp_path / "partners.toml"

    def become(*mchids, more=""):
        tables = (f'[[partner]]\nid = "{one}"\ngateway_tokens_file = "{one}.tokens.toml"\n' for one in mchids)
        file.write_text("\n".join(tables) + more)

    become(ONE)
    settings = {"PARTNERS": str(file), "REDIS_URL": redis_url}
    with (
        started(settings, tokens, tmp_path / f"{ONE}.tokens.toml", tmp_path / "log") as gateway,
        httpx.Client(base_url=gateway.url, timeout=30) as http,
    ):

        def answers(mchid, prefix=None):
            headers = {"Authorization": f"Bearer {tokens[mchid]}"}
            path = f"{f'/partners/{mchid}' if prefix is None else prefix}/v1/runs"
            return http.get(path, headers=headers).status_code

        assert [answers(ONE), answers(ONE, ""), answers(TWO)] == [200, 200, 404]
        become(ONE, TWO)
        soon(lambda: answers(TWO) == 200)
        assert [answers(ONE), answers(ONE, ""), answers(TWO)] == [200, 404, 200]
        become(ONE, TWO, more="ratee = '1/second'")
        soon(lambda: "did you mean rate?" in gateway.log.read_text())
        assert [answers(ONE), answers(TWO)] == [200, 200]
        become(TWO)
        soon(lambda: answers(TWO, "") == 200)
        assert [answers(ONE), answers(ONE, f"/partners/{TWO}"), answers(TWO)] == [404, 401, 200]
        assert gateway.stop() == 0, gateway.log.read_text()


# --- one stops no other -----------------------------------------------------------------------------------------------


def test_a_partner_whose_redis_is_away_stops_no_other(api, gateway):
    assert f"partner {AWAY} is served when its Redis can be used" in gateway.log.read_text()
    assert api(AWAY, (AWAY, "anna"), "GET", "/v1/runs").status_code == 503
    assert api(ONE, (ONE, "anna"), "GET", "/v1/runs").status_code == 200


def test_a_broken_tokens_file_stops_no_other_and_is_read_when_it_is_in_order(api, gateway):
    assert "nobody may use this gateway until its tokens file is in order" in gateway.log.read_text()
    path = gateway.tokens_file.with_name(f"{BROKEN}.tokens.toml")
    assert api(BROKEN, (ONE, "shop"), "GET", "/v1/runs").status_code == 401
    path.unlink()
    gateway.tokens[BROKEN, "shop"] = added(path.parent, BROKEN, "shop")
    soon(lambda: api(BROKEN, (BROKEN, "shop"), "GET", "/v1/runs").status_code == 200)
    assert api(BROKEN, (ONE, "shop"), "GET", "/v1/runs").status_code == 401
