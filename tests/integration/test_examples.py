"""The examples that programmers copy, each run as it stands against a real Redis; the plain one runs in tests/flow."""

import asyncio
import importlib.util
import json
import os
import sys
from pathlib import Path

import httpx
import pytest

from couponpress.ledger.moves import Move
from couponpress_worker.runtime.redis_server import free_port
from tests import processes
from tests.builders import KEYS, MCHID, PICTURE, chunk_ids, hints, moved

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
OFFER = {"offer_id": "SP-1", "brand_id": "120344", "threshold": 10_000, "discount_amount": 1_000}


@pytest.fixture
def server(server, redis_url, monkeypatch):
    monkeypatch.setenv("COUPONPRESS_REDIS_URL", redis_url)
    monkeypatch.setenv("COUPONPRESS_MCHID", MCHID)
    return server


# --- FastAPI ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def app():
    described = importlib.util.spec_from_file_location("fastapi_app", EXAMPLES / "fastapi_app.py")
    module = importlib.util.module_from_spec(described)
    sys.modules[described.name] = module
    try:
        described.loader.exec_module(module)
        yield module.app
    finally:
        del sys.modules[described.name]


def calling(app, act):
    """Run `await act(http)` with a client of the app, inside its lifespan."""

    async def run():
        transport = httpx.ASGITransport(app)
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://app") as h:
            return await act(h)

    return asyncio.run(run())


def test_the_web_app_enqueues_and_tells(app, server, redis_url):
    async def act(http):
        assert (await http.get("/pictures")).status_code == 404
        first, again = [await http.post("/pictures", json=OFFER) for _ in range(2)]
        assert (first.status_code, first.json()) == (202, {"run": "shop", "new": 1, "known": 0})
        assert again.json()["known"] == 1
        assert (await http.get("/pictures/SP-1")).json()["outcome"] == "open"
        (chunk,) = chunk_ids(server)
        await asyncio.to_thread(moved, redis_url, chunk, Move(0, "succeed", image_url=PICTURE))
        told = (await http.get("/pictures/SP-1")).json()
        assert (told["outcome"], told["image_url"]) == ("succeeded", PICTURE)
        assert (await http.get("/pictures")).json()["succeeded"] == 1
        assert (await http.get("/pictures/SP-2")).status_code == 404

    calling(app, act)


def test_the_web_app_says_what_is_wrong(app, server):
    async def act(http):
        await http.post("/pictures", json=OFFER)
        changed = await http.post("/pictures", json=OFFER | {"discount_amount": 2_000})
        assert (changed.status_code, "with another body" in changed.json()["detail"]) == (422, True)
        broken = await http.post("/pictures", json=OFFER | {"brand_id": "no brand"})
        assert (broken.status_code, broken.json()["detail"].partition(":")[0]) == (422, "brand_id")

    calling(app, act)


def test_the_web_app_asks_to_come_again_while_redis_is_away(app, server, monkeypatch):
    monkeypatch.setenv("COUPONPRESS_REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")

    async def act(http):
        answer = await http.post("/pictures", json=OFFER)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")

    calling(app, act)


# --- Django -----------------------------------------------------------------------------------------------------------

#: What the shop's own code would do in a request.
SAVING = """
import json
from django.db import transaction
from shop.models import Coupon
from shop.pictures import client

told = {}
with transaction.atomic():
    kept = Coupon.objects.create(brand_id="120344", threshold=10000, discount_amount=1000)
    told["before the commit"] = len(client().runs())
told["after it"] = client().run("shop-saved").total
try:
    with transaction.atomic():
        Coupon.objects.create(brand_id="120344", threshold=10000, discount_amount=2000)
        raise InterruptedError
except InterruptedError:
    told["after a rollback"] = client().run("shop-saved").total
Coupon.objects.bulk_create([Coupon(brand_id="120345", discount_amount=number) for number in (1, 2)])
print(json.dumps(told))
"""
SAVING_WITHOUT_REDIS = """
from shop.models import Coupon
print(Coupon.objects.create(brand_id="120344", threshold=10000, discount_amount=1000).pk)
"""


@pytest.fixture
def manage(tmp_path, server, monkeypatch):
    monkeypatch.setattr(processes, "MODULES", {"manage"})

    def run(*words, **env):
        env = os.environ | {"SHOP_DB": str(tmp_path / "shop.sqlite3")} | env
        command = [sys.executable, "-W", "error", "-m", "manage", *words]
        home = EXAMPLES / "django_shop"
        return processes.run(command, cwd=home, env=env, check=False, capture_output=True, text=True, timeout=60)

    assert run("migrate", "--run-syncdb").returncode == 0
    return run


def test_the_shop_asks_after_the_commit_finds_the_rest_and_collects(manage, server, redis_url):
    saved = manage("shell", "--no-imports", "-c", SAVING)
    assert saved.returncode == 0, saved.stderr
    assert json.loads(saved.stdout) == {"before the commit": 0, "after it": 1, "after a rollback": 1}
    assert len(hints(server, KEYS.queue("urgent"))) == 1

    assert manage("send_pictures").stdout == "2 asked for, 1 were asked for before\n"
    assert manage("send_pictures").stdout == "0 asked for, 3 were asked for before\n"

    found, first = chunk_ids(server)
    moved(redis_url, first, Move(0, "succeed", image_url=PICTURE))
    moved(redis_url, found, Move(1, "reject", code="NO_AUTH", message="not authorised"))
    collected = manage("collect_pictures").stdout.splitlines()
    assert collected[0] == f"coupon 1: {PICTURE}"
    assert collected[1].endswith("rejected, NO_AUTH not authorised")
    assert len(collected) == 2
    assert len(manage("collect_pictures").stdout.splitlines()) == 1  # the rejected one; the URL is stored


def test_the_shop_goes_on_selling_while_redis_is_away(manage):
    away = {"COUPONPRESS_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    saved = manage("shell", "--no-imports", "-c", SAVING_WITHOUT_REDIS, **away)
    assert (saved.returncode, saved.stdout) == (0, "1\n"), saved.stderr
    assert "its picture is not asked for yet" in saved.stderr
    refused = manage("send_pictures", **away)
    assert (refused.returncode, "does not answer" in refused.stderr) == (1, True)
    assert manage("send_pictures").stdout == "1 asked for, 0 were asked for before\n"
