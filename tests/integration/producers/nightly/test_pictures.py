"""Nights whose catalogs name pictures of the merchant's own, against the sandbox platform."""

import dataclasses
import json
import threading
import time
from functools import partial

import pytest
import redis
import typer

from couponpress import picture_files
from couponpress.errors import NightLostError
from couponpress.keys import Keys
from couponpress.ledger.pictures import known_url
from couponpress.nightly.commands import run_command
from couponpress.nightly.starting import planned, start_night
from couponpress.nightly.tick import Ticker
from couponpress.outcome import State
from couponpress_worker.cli import _upload_pictures
from tests.builders import png
from tests.integration.producers.nightly.test_nightly import Shop, due_now, told
from tests.sandboxes import running
from tests.shop import shop as fileserver


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    with running(tmp_path_factory.mktemp("sandbox"), upload_limit=0) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(started, redis_url, monkeypatch):
    """The platform, with the settings of who uploads in the environment; as fast as the machine."""
    started.reset()
    with redis.Redis.from_url(redis_url) as server:  # a bucket that was never seen would give nothing for a second
        bucket = Keys(started.environment["COUPONPRESS_MCHID"]).bucket("upload")
        server.hset(bucket, mapping={"tat": 0, "server": server.info("server")["run_id"]})
    more = {"COUPONPRESS_REDIS_URL": redis_url, "COUPONPRESS_UPLOAD_RATE": "2000/second"}
    for name, value in (started.environment | more | {"COUPONPRESS_LATENESS_MS": "100"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(picture_files, "_joined", [_upload_pictures])
    return started


@pytest.fixture
def shop(tmp_path, redis_url, client, sandbox):
    with (shop := Shop(tmp_path, redis_url, client)).opened:
        yield shop


def catalog(shop, **rows):
    """Rows as id -> the cell of the picture."""
    lines = [f"{row_id},120344,{cell}" for row_id, cell in rows.items()]
    (shop.folder / "catalog.csv").write_text("\n".join(["row_id,brand_id,商品图", *lines]) + "\n", encoding="utf-8")


def photo(shop, name, number):
    (shop.folder / name).write_bytes(png(number))


def uploads(sandbox):
    return sandbox.statistics()["calls"]["upload"]["received"]


def test_the_same_picture_is_uploaded_once_and_its_row_is_unchanged_the_next_night(shop, sandbox):
    for name, number in (("a.png", 1), ("b.png", 2), ("like-a.png", 1)):
        photo(shop, name, number)
    catalog(shop, a="a.png", b="b.png", c="like-a.png", d="https://wxpaylogo.qpic.cn/wxpaylogo/1.png")
    first, begun = shop.start()
    assert told(begun) == ("sent", 4, 0, 0)
    assert uploads(sandbox) == 2
    shop.end(first.run, State.SUCCEEDED)
    shop.settle(first)
    (shop.folder / "a.png").rename(shop.folder / "renamed.png")
    catalog(shop, a="renamed.png", b="b.png", c="like-a.png", d="https://wxpaylogo.qpic.cn/wxpaylogo/1.png")
    assert told(shop.start()[1]) == ("done", 0, 4, 0)
    assert uploads(sandbox) == 2
    photo(shop, "b.png", 3)
    third, begun = shop.start()
    assert told(begun) == ("sent", 1, 3, 0)
    assert shop.sent(third.run) == ["b"]
    assert uploads(sandbox) == 3


def test_a_picture_is_fetched_from_its_url_every_night_and_uploaded_when_its_content_changed(shop, sandbox):
    contents = [png(1), png(1), png(2)]
    answers = {"/a.png": (200, {"Content-Type": "image/png"}, lambda: contents.pop(0))}
    with fileserver(answers) as base:
        catalog(shop, a=f"{base}/a.png")
        _, refused = shop.start()
        assert (refused.state, refused.counts.broken) == ("done", 1)
        assert "private_urls = true" in (shop.folder / "catalog.errors.csv").read_text("utf-8")
        shop.schedule(private_urls=True)
        first, begun = shop.start()
        assert told(begun) == ("sent", 1, 0, 0)
        shop.end(first.run, State.SUCCEEDED)
        shop.settle(first)
        assert told(shop.start()[1]) == ("done", 0, 1, 0)
        assert uploads(sandbox) == 1
        assert told(shop.start()[1]) == ("sent", 1, 0, 0)
    assert uploads(sandbox) == 2


def test_a_scheduler_uploads_in_a_thread_and_says_so(shop, sandbox, caplog):
    caplog.set_level("INFO")
    photo(shop, "a.png", 1)
    catalog(shop, a="a.png")
    night = due_now(shop, shop.context)
    ticker = Ticker(shop.context)
    ticker.tick()
    deadline = time.monotonic() + 20
    while shop.context.nights.record(night.run).state != "sent":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    ticker.close()
    assert f"night {night.run}: 1 of 1 pictures: uploaded 1" in caplog.messages
    assert uploads(sandbox) == 1


def test_a_picture_that_is_refused_breaks_its_row_only(shop):
    photo(shop, "a.png", 1)
    (shop.folder / "b.png").write_text("no picture")
    catalog(shop, a="a.png", b="b.png", c="absent.png")
    night, begun = shop.start()
    assert (begun.state, begun.counts.changed, begun.counts.broken) == ("sent", 1, 2)
    assert shop.sent(night.run) == ["a"]
    errors = (shop.folder / "catalog.errors.csv").read_text("utf-8")
    assert "is neither JPG nor PNG nor BMP" in errors
    assert "cannot be read (No such file or directory)" in errors


def test_without_upload_such_rows_are_broken(shop, sandbox):
    shop.schedule(upload=False)
    photo(shop, "a.png", 1)
    catalog(shop, a="a.png")
    _, begun = shop.start()
    assert (begun.state, begun.counts.broken) == ("done", 1)
    assert uploads(sandbox) == 0


def test_where_nothing_can_upload_the_night_fails_and_says_what_to_do(shop, monkeypatch):
    monkeypatch.setattr(picture_files, "_joined", [])
    photo(shop, "a.png", 1)
    catalog(shop, a="a.png", b="https://wxpaylogo.qpic.cn/wxpaylogo/1.png")
    night, begun = shop.start()
    assert begun.state == "failed"
    assert "in a schedule with upload = false" in begun.told
    assert shop.context.status(night.run) is None


def test_a_plan_compares_files_by_what_is_known_of_them_and_uploads_nothing(shop, sandbox):
    photo(shop, "a.png", 1)
    photo(shop, "b.png", 2)
    catalog(shop, a="a.png", b="b.png")
    night, _ = shop.start()
    shop.end(night.run, State.SUCCEEDED)
    shop.settle(night)
    photo(shop, "b.png", 3)
    catalog(shop, a="a.png", b="b.png", c="https://shop.example/c.png", d="absent.png")
    before = {name: shop.client.dump(name) for name in shop.client.scan_iter("*")}
    # The sandbox's partner is another one than the shop's.
    context = dataclasses.replace(
        shop.context, picture_url=partial(known_url, shop.client, Keys(sandbox.environment["COUPONPRESS_MCHID"]))
    )
    begun = planned(context, shop.context.file.schedule("prices"), shop.next_night(), full=False)
    assert told(begun) == ("done", 2, 1, 0)
    assert begun.counts.broken == 1
    assert {name: shop.client.dump(name) for name in shop.client.scan_iter("*")} == before
    assert uploads(sandbox) == 2


def test_a_process_that_lost_the_night_uploads_no_further(shop, sandbox):
    for number in range(200):
        photo(shop, f"{number}.png", number)
    catalog(shop, **{f"r{number}": f"{number}.png" for number in range(200)})
    night = shop.next_night()
    claim = shop.context.nights.claim(night.run, "prices", night.moment, shop.context.owner)
    lost = threading.Event()
    lost.set()
    with pytest.raises(NightLostError):
        start_night(shop.context, shop.context.file.schedule("prices"), night, claim, lost)
    assert uploads(sandbox) < 200
    assert shop.context.status(night.run) is None


def test_a_start_by_hand_tells_of_its_pictures(shop, monkeypatch, capsys):
    monkeypatch.setenv("COUPONPRESS_SCHEDULE_FILE", str(shop.folder / "schedules.toml"))
    photo(shop, "a.png", 1)
    catalog(shop, a="a.png")
    with pytest.raises(typer.Exit) as caught:
        run_command("prices", as_json=True)
    shown = capsys.readouterr()
    assert json.loads(shown.out)["state"] == "sent"
    assert "1 of 1 pictures: uploaded 1" in shown.err
    assert caught.value.exit_code == 0
