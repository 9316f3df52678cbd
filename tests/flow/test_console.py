"""The console in a real browser, with a real fleet behind it: on a desk in English, on a phone in Chinese."""

import re
import shutil
import time
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

from couponpress.gateway.tokens import add_token
from couponpress_worker.demo.fleet import fleet, statistics
from tests.flow.test_fleet import client_of
from tests.flow.test_outage import control
from tests.running_gateway import running_gateway

pytestmark = pytest.mark.flow

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
#: A closed network makes every call that a browser makes of itself wait; a sandbox needs rights that root must give up.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LIMIT = 40
ROWS = 150

DESK = {"locale": "en-GB", "viewport": {"width": 1280, "height": 900}}
PHONE = {
    "locale": "zh-CN",
    "timezone_id": "Asia/Kathmandu",
    "viewport": {"width": 390, "height": 844},
    "color_scheme": "dark",
    "has_touch": True,
}

WORDS = {
    "en-GB": {
        "token": "Token",
        "log in": "Log in",
        "catalog": "Catalog",
        "check": "Check the catalog",
        "submit": re.compile("Submit .* rows"),
        "watch": re.compile("Watch the run"),
        "pause": "Pause",
        "resume": "Resume",
        "why": "Why",
        "finished": "Finished",
        "again": "Send again",
        "redriven": "is sent again",
        "pictures": "Pictures",
        "cancel": "Cancel the run",
        "name": re.compile("Type the run"),
        "rate": "Requests per second",
        "change": "Change the limit",
        "now": "Now",
        "runs": "Runs",
    },
    "zh-CN": {
        "token": "令牌",
        "log in": "登录",
        "catalog": "表格文件",
        "check": "检查表格",
        "submit": re.compile("提交 .* 行"),
        "watch": re.compile("查看批次"),
        "pause": "暂停",
        "resume": "恢复",
        "why": "原因",
        "finished": "完成",
        "again": "重发",
        "redriven": "正在重发",
        "pictures": "图片",
        "cancel": "取消该批次",
        "name": re.compile("输入批次名称"),
        "rate": "每秒请求数",
        "change": "修改限速",
        "now": "实时",
        "runs": "批次",
    },
}


@pytest.fixture(scope="module")
def chromium():
    if CHROMIUM is None:
        pytest.skip("NO CHROMIUM HERE, so the console was seen by no browser: install Debian's package `chromium`")
    with sync_playwright() as play, play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS) as browser:
        yield browser


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A fleet at a low limit, and a gateway with an operator's token."""
    directory = tmp_path_factory.mktemp("console")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COUPONPRESS_RATE", f"{LIMIT}/second")
        with (
            fleet(directory, "--limit", str(LIMIT)) as (_, env),
            running_gateway(directory, env["COUPONPRESS_REDIS_URL"], MCHID=env["COUPONPRESS_MCHID"]) as gateway,
            client_of(env) as client,
        ):
            gateway.tokens["ops"] = add_token(
                gateway.tokens_file, "ops", brands=None, quota=None, namespace="*", role="operator"
            )
            yield gateway, env, client


@contextmanager
def page_of(chromium, gateway, looks):
    """A page that may reach the gateway alone, and whose script never fails."""
    troubles, outside = [], []
    with chromium.new_context(**looks) as context:
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda told: troubles.append(told.text) if "Content Security Policy" in told.text else None)
        page.on("request", lambda one: None if one.url.startswith(gateway.url) else outside.append(one.url))
        page.on("dialog", lambda dialog: dialog.accept())
        yield page
    assert troubles == []
    assert outside == []


def write_catalog(path, rows):
    lines = ["row_id,brand_id,image_generation_type,image_url"]
    lines += [f"{path.stem}-{at},120344,CUT_OUT,https://wxpaylogo.qpic.cn/wxpaylogo/{at}.png" for at in range(rows)]
    lines.append(f"{path.stem}-broken,,CUT_OUT,https://wxpaylogo.qpic.cn/wxpaylogo/1.png")
    path.write_text("\n".join(lines) + "\n")
    return path


def seriously(page):
    """What axe-core finds that keeps people from using the page."""
    found = Axe().run(page).response["violations"]
    return [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]


@pytest.mark.parametrize("looks", [DESK, PHONE], ids=["desk", "phone"])
def test_a_catalog_is_uploaded_watched_steered_and_looked_at(chromium, site, tmp_path, looks):
    gateway, env, client = site
    say = WORDS[looks["locale"]]
    run = "desk" if looks is DESK else "手机"
    catalog = write_catalog(tmp_path / f"{run}.csv", ROWS)
    control(env["COUPONPRESS_BASE_URL"], faults={"fail": 20})
    with page_of(chromium, gateway, looks) as page:

        def press(name, **options):
            page.get_by_role("button", name=name, **options).click()

        def sound(what):
            assert seriously(page) == [], what
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, f"{what} is wider than its window"

        page.goto(f"{gateway.url}/console/")
        sound("login")
        page.get_by_label(say["token"]).fill(gateway.tokens["ops"])
        press(say["log in"])
        expect(page.get_by_role("heading", name=say["now"])).to_be_visible()
        expect(page.locator("#chart canvas")).to_be_visible()
        if looks is PHONE:  # its clock is not the gateway's
            expect(page.locator("main > :first-child")).to_have_text(re.compile("时间为 UTC[+-]"))
        sound("now")

        page.goto(f"{gateway.url}/console/upload")
        sound("upload")
        page.get_by_label(say["catalog"]).set_input_files(catalog)
        press(say["check"])
        expect(page.get_by_role("button", name=say["submit"])).to_be_visible()
        expect(page.get_by_text("brand_id").first).to_be_visible()
        sound("what was read")
        press(say["submit"])
        page.get_by_role("link", name=say["watch"]).click()

        # It is brought up to date without being loaded again, and paused while it is under way.
        expect(page.get_by_role("heading", name=run)).to_be_visible()
        page.evaluate("window.loadedOnce = true")
        before = page.locator("[data-live]").inner_text()
        page.wait_for_function("before => document.querySelector('[data-live]').innerText !== before", arg=before)
        assert page.evaluate("window.loadedOnce") is True
        page.get_by_role("textbox", name=say["why"]).fill("a wrong price")
        press(say["pause"], exact=True)
        expect(page.get_by_role("button", name=say["resume"], exact=True)).to_be_visible()
        assert [hold.why for hold in client.holds()] == ["a wrong price"]
        sound("a run")
        press(say["resume"], exact=True)
        expect(page.locator("[data-live]").get_by_text(say["finished"])).to_be_visible(timeout=60_000)
        assert client.run(run).failed

        # What failed goes again: the platform is asked once more for each of them.
        failed, before = client.run(run).failed, statistics(env["COUPONPRESS_BASE_URL"])["received"]
        page.reload()
        for box in page.locator("input[name=outcome]").all():
            box.uncheck()
        page.locator("input[name=outcome][value=failed]").check()
        press(say["again"], exact=True)
        expect(page.get_by_text(say["redriven"])).to_be_visible()
        _wait(lambda: statistics(env["COUPONPRESS_BASE_URL"])["received"] >= before + failed, 60)

        page.get_by_role("link", name=say["pictures"]).click()
        expect(page.locator(".gallery figure").first).to_be_visible()
        sound("pictures")
        page.locator(".gallery figcaption a").first.click()
        expect(page.get_by_text("120344").first).to_be_visible()
        sound("a spec")

        # The limit of the whole fleet, and a run that is taken back.
        client.enqueue_many(_specs(3000), run=f"{run}-long")
        page.goto(f"{gateway.url}/console/")
        page.get_by_label(say["rate"]).fill("20")
        press(say["change"])
        _wait(lambda: client.rate().by_hand == "20/second", 10)
        page.get_by_label(say["rate"]).fill("default")
        press(say["change"])
        _wait(lambda: client.rate().by_hand == "", 10)
        page.get_by_role("link", name=f"{run}-long").click()
        page.get_by_label(say["name"]).fill(f"{run}-long")
        press(say["cancel"])
        _wait(lambda: client.run(f"{run}-long").cancelled > 0, 30)
        for path in ("runs", "holds", "dead-letters"):
            page.goto(f"{gateway.url}/console/{path}")
            sound(path)


def test_a_tab_that_is_hidden_asks_for_nothing_and_a_gateway_that_is_gone_is_told(chromium, site, tmp_path):
    _, env, _ = site
    with (
        running_gateway(tmp_path, env["COUPONPRESS_REDIS_URL"], MCHID=env["COUPONPRESS_MCHID"]) as gateway,
        page_of(chromium, gateway, DESK) as page,
    ):
        token = add_token(gateway.tokens_file, "ops", brands=None, quota=None, namespace="*", role="viewer")
        time.sleep(1.1)  # the file of tokens is read again once a second at most
        page.goto(f"{gateway.url}/console/")
        page.get_by_label("Token").fill(token)
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("#chart canvas")).to_be_visible()
        assert page.get_by_role("button", name="Pause everything").count() == 0
        assert gateway.stop() == 0
        expect(page.locator("#trouble")).to_be_visible()
        assert "may be old" in page.locator("#trouble").inner_text()


def _specs(count):
    picture = {"image_url": "https://wxpaylogo.qpic.cn/wxpaylogo/7.png"}
    for at in range(count):
        yield {"brand_id": "120344", "image_generation_type": "CUT_OUT", "row_id": str(at), "cut_out": picture}


def _wait(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
