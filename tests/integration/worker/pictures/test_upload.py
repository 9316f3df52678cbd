"""Pictures on their way to the platform: each once, within the limit, with a reason where it stays behind."""

import asyncio
import csv
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest
import redis
from PIL import Image

from couponpress import Client, ProducerSettings
from couponpress.errors import InputError, PictureError, RedisUnavailableError, SettingsError
from couponpress.keys import Keys
from couponpress.picture_files import PICTURE_LIMIT_BYTES, PictureChoices
from couponpress.transport.web_address import not_public
from couponpress_worker.errors import PictureUploadError
from couponpress_worker.pictures import upload as upload_module
from couponpress_worker.pictures.fetch import Fetcher
from couponpress_worker.pictures.upload import upload_pictures
from couponpress_worker.pictures.uploader import PictureUploader
from couponpress_worker.runtime.redis_server import free_port
from couponpress_worker.sandbox.credentials import MCHID
from couponpress_worker.settings import Settings
from couponpress_worker.wechatpay.account import PARTNER
from tests import processes
from tests.builders import png
from tests.connect_proxy import ConnectProxy
from tests.sandboxes import running
from tests.shop import shop

KEYS = Keys(MCHID)


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    with running(tmp_path_factory.mktemp("sandbox"), upload_limit=0) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(started):
    started.control(upload_limit=0, faults={"errors": 0}, notify_url=None)
    started.reset()
    return started


@pytest.fixture
def env(sandbox, redis_url):
    """The settings of whoever submits; as fast as the machine, for most tests are not about the limit."""
    with redis.Redis.from_url(redis_url) as server:  # a bucket that was never seen would give nothing for a second
        server.hset(KEYS.bucket("upload"), mapping={"tat": 0, "server": server.info("server")["run_id"]})
    more = {"COUPONPRESS_REDIS_URL": redis_url, "COUPONPRESS_UPLOAD_RATE": "2000/second"}
    return sandbox.environment | more | {"COUPONPRESS_LATENESS_MS": "100"}


@pytest.fixture
def upload(env):
    """Upload pictures; returns what became of each, in the order of the sources."""

    def settle(sources, *, choices=None, **changes):
        values = {name.removeprefix("COUPONPRESS_").lower(): value for name, value in env.items()}
        found = {}
        settings = Settings.load({**values, **changes})
        upload_pictures(
            [str(source) for source in sources],
            choices or PictureChoices(),
            lambda one: found.setdefault(one.source, one),
            settings,
        )
        return [found[str(source)] for source in sources]

    return settle


@pytest.fixture
def photo(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def received(sandbox):
    return sandbox.statistics()["calls"]["upload"]["received"]


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_picture_is_uploaded_once_whatever_its_name(sandbox, upload, photo):
    sources = [photo("a.png", png(1)), photo("b.png", png(2)), photo("copy of a", png(1))]
    first = upload(sources)
    assert all(one.url.startswith("https://wxpaylogo.qpic.cn/") for one in first)
    assert first[0].url == first[2].url != first[1].url
    assert sum(one.known for one in first) == 1
    assert received(sandbox) == 2
    again = upload(sources)
    assert [one.url for one in again] == [one.url for one in first]
    assert all(one.known for one in again)
    assert received(sandbox) == 2


def test_what_is_remembered_goes_by_itself(upload, photo, redis_url):
    upload([photo("a.png", png(1))])
    with redis.Redis.from_url(redis_url) as client:
        (name,) = client.scan_iter(KEYS.picture("*"))
        assert 29 * 86400 < client.ttl(name) <= 30 * 86400


def test_what_cannot_be_used_is_refused_with_a_reason_and_the_others_go_on(upload, photo, tmp_path):
    sources = [
        photo("text.png", b"hello"),
        photo("half.png", png()[:-6]),
        photo("large.png", png(padding=PICTURE_LIMIT_BYTES)),
        tmp_path / "absent.png",
        tmp_path,
        photo("good.png", png(1)),
    ]
    found = upload(sources)
    reasons = [
        "neither JPG nor PNG",
        "without its end",
        "has 2,097,242 bytes, and at most 2,097,152 (2 MB) are taken",
        "cannot be read (No such",
        "cannot be read (Is a",
    ]
    for one, reason in zip(found, reasons, strict=False):
        assert reason in one.reason
        assert not one.url
    assert found[-1].url


def test_pictures_are_converted_when_a_person_wants_it(sandbox, upload, photo):
    Image.new("RGB", (9, 9), "red").save(path := photo("a.gif", b""), "GIF")
    assert "neither JPG" in upload([path])[0].reason
    assert upload([path], choices=PictureChoices(convert=True))[0].url.endswith(".jpg")


def test_the_upload_limit_is_kept(sandbox, upload, photo):
    sandbox.control(upload_limit=20)
    sources = [photo(f"{number}.png", png(number)) for number in range(45)]
    assert all(one.url for one in upload(sources, upload_rate="20/second"))
    told = sandbox.statistics()["calls"]["upload"]
    assert told["received"] == 45
    assert told["throttled"] == 0
    assert told["most_in_any_second"] <= 20


def test_a_limit_that_is_lower_than_told_costs_no_picture(sandbox, upload, photo):
    sandbox.control(upload_limit=10)
    sources = [photo(f"{number}.png", png(number)) for number in range(30)]
    assert all(one.url for one in upload(sources, upload_rate="60/second"))
    assert sandbox.statistics()["calls"]["upload"]["throttled"] > 0


def test_a_quota_that_is_used_up_is_shown_and_ends_it_resumably(sandbox, upload, photo, monkeypatch, caplog):
    monkeypatch.setattr(upload_module, "PictureUploader", partial(PictureUploader, throttled_seconds=0.5))
    answer = json.dumps({"code": "FREQUENCY_LIMITED", "message": "当天上传文件数已达上限"}).encode()
    with shop({PARTNER.upload_target: (429, {"Content-Type": "application/json"}, answer)}, []) as base:
        with pytest.raises(
            PictureUploadError, match=r"nothing but 429 FREQUENCY_LIMITED 当天上传文件数已达上限.*tomorrow.*remembered"
        ):
            upload([photo("a.png", png(1))], base_url=base)
        assert "takes no picture at the moment" in caplog.text
    assert upload([photo("a.png", png(1))])[0].url


def test_a_fault_of_the_platform_costs_no_picture(sandbox, upload, photo):
    sandbox.control(faults={"errors": 25})
    sources = [photo(f"{number}.png", png(number)) for number in range(30)]
    assert all(one.url for one in upload(sources))
    assert received(sandbox) > 30


def test_a_wrong_set_up_ends_it_with_the_cure(upload, photo):
    sources = [photo(f"{number}.png", png(number)) for number in range(50)]
    with pytest.raises(PictureUploadError, match=r"SIGN_ERROR.*COUPONPRESS_MCH_SERIAL_NO.*are remembered"):
        upload(sources, mch_serial_no="ABCDEF")


def test_without_redis_nothing_is_uploaded(sandbox, upload, photo):
    with pytest.raises(RedisUnavailableError, match="does not answer"):
        upload([photo("a.png", png(1))], redis_url=f"redis://127.0.0.1:{free_port()}/0")
    assert received(sandbox) == 0


# --- URLs -------------------------------------------------------------------------------------------------------------


PICTURE_TYPE = {"Content-Type": "image/png"}


def test_a_picture_is_fetched_from_its_url(sandbox, upload):
    answers = {
        "/a.png": (200, PICTURE_TYPE, png(1)),
        "/moved": (302, {"Location": "/a.png"}, b""),
        "/untyped": (200, {}, png(2)),
    }
    with shop(answers) as base:
        found = upload([base + path for path in answers], choices=PictureChoices(private_urls=True))
    assert found[0].url == found[1].url
    assert all(one.url for one in found)
    assert received(sandbox) == 2


def test_a_picture_that_its_server_packed_is_unpacked_within_the_limit(sandbox, upload):
    packed = {**PICTURE_TYPE, "Content-Encoding": "gzip"}
    answers = {
        "/a.png": (200, packed, gzip.compress(png(1))),
        "/bomb": (200, packed, gzip.compress(bytes(PICTURE_LIMIT_BYTES * 50))),
        "/cut": (200, packed, gzip.compress(png(2))[:-9]),
        "/plain": (200, packed, png(3)),
        "/brotli": (200, {**PICTURE_TYPE, "Content-Encoding": "br"}, b"x"),
    }
    with shop(answers) as base:
        good, *bad = upload([base + path for path in answers], choices=PictureChoices(private_urls=True))
    assert good.url
    for one, reason in zip(bad, ["has more than 2 MB", "is cut", "is damaged", "coding is 'br'"], strict=True):
        assert reason in one.reason


def test_a_picture_is_fetched_through_the_proxy(sandbox, upload):
    with shop({"/a.png": (200, PICTURE_TYPE, png(1))}) as base, ConnectProxy() as proxy:
        choices = PictureChoices(private_urls=True)
        assert upload([f"{base}/a.png"], choices=choices, proxy=proxy.url)[0].url
        assert f"CONNECT {base.removeprefix('http://')}" in proxy.asked


def test_what_is_no_picture_is_not_fetched(upload):
    tries = []
    answers = {
        "/page": (200, {"Content-Type": "text/html"}, png(1)),
        "/absent": (404, PICTURE_TYPE, b""),
        "/large": (200, PICTURE_TYPE, bytes(PICTURE_LIMIT_BYTES + 1)),
        "/endless": (200, {**PICTURE_TYPE, "Content-Length": None}, bytes(PICTURE_LIMIT_BYTES * 2)),
        "/round": (302, {"Location": "/round"}, b""),
        "/elsewhere": (302, {"Location": "file:///etc/passwd"}, b""),
        "/broken": (503, {}, lambda: tries.append(1) or b""),
    }
    reasons = [
        "is answered as 'text/html'",
        "answered with status 404",
        "has more than 2 MB",
        "has more than 2 MB",
        "more than 5 times",
        "must be an http(s) URL, also where it is redirected to",
        "cannot be fetched (answered with status 503)",
    ]
    with shop(answers) as base:
        found = upload([base + path for path in answers], choices=PictureChoices(private_urls=True))
    for one, reason in zip(found, reasons, strict=True):
        assert reason in one.reason
    assert len(tries) == 3


def test_an_address_of_a_private_network_is_not_fetched_unless_allowed(sandbox, upload):
    fetched = []
    with shop({"/a.png": (200, PICTURE_TYPE, lambda: fetched.append(1) or png(1))}) as base:
        sources = [f"{base}/a.png", f"{base.replace('127.0.0.1', 'localhost')}/a.png"]
        found = upload(sources)
    assert all("which is no public address; --private-urls allows it" in one.reason for one in found)
    assert not fetched
    assert received(sandbox) == 0


def test_a_redirect_to_a_private_network_is_not_followed(sandbox, upload, monkeypatch):
    def all_but_the_shop(address):  # a shop at a public address is not to be had here
        return None if str(address) == "127.0.0.1" else not_public(address)

    monkeypatch.setattr(upload_module, "Fetcher", partial(Fetcher, forbids=all_but_the_shop))
    answers = {"/a.png": (200, PICTURE_TYPE, png(1)), "/moved": (302, {"Location": "http://127.0.0.2:9/a.png"}, b"")}
    with shop(answers) as base:
        good, moved = upload([f"{base}/a.png", f"{base}/moved"])
    assert good.url
    assert "127.0.0.2 leads to 127.0.0.2, which is no public address" in moved.reason
    assert received(sandbox) == 1


@pytest.mark.parametrize("private_urls", [False, True])
def test_a_picture_is_never_fetched_from_a_cloud_s_metadata_service(private_urls):
    """The resolver is the test's own, and names the shop's address first: nothing else could be connected to."""
    fetched = []

    async def resolve(host, port):
        return ["127.0.0.1", "169.254.169.254"]

    def all_but_loopback(address):
        return None if address.is_loopback else not_public(address)

    async def fetch(url):
        fetcher = Fetcher(private_urls=private_urls, resolve=resolve, forbids=all_but_loopback)
        try:
            await fetcher.fetch(url, 1000)
        finally:
            await fetcher.aclose()

    answer = (200, PICTURE_TYPE, lambda: fetched.append(1) or png(1))
    with shop({"/a.png": answer}) as base, pytest.raises(PictureError) as refused:
        asyncio.run(fetch(f"{base.replace('127.0.0.1', 'shop.example')}/a.png"))
    told = str(refused.value)
    assert told.startswith("is not fetched: shop.example leads to 169.254.169.254, which is ")
    assert "--private-urls" not in told
    assert not fetched


def test_a_server_that_never_ends_is_left():
    def slow():
        time.sleep(2)
        return png(1)

    async def fetch(url):
        fetcher = Fetcher(private_urls=True, seconds=0.2)
        try:
            await fetcher.fetch(url, 1000)
        finally:
            await fetcher.aclose()

    with (
        shop({"/slow": (200, PICTURE_TYPE, slow)}) as base,
        pytest.raises(InputError, match=r"no whole picture within 0\.2 s"),
    ):
        asyncio.run(fetch(f"{base}/slow"))


# --- the command ------------------------------------------------------------------------------------------------------


def submit(env, *words):
    command = [sys.executable, "-m", "couponpress", "submit", *map(str, words)]
    done = processes.run(command, env=os.environ | env, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def catalog(tmp_path, photo):
    """Three rows: a file, one that is missing, and one at the platform already."""
    (tmp_path / "photos").mkdir()
    photo("photos/a.png", png(1))
    path = tmp_path / "shop.csv"
    stored = "https://wxpaylogo.qpic.cn/wxpaylogo/1.png"
    path.write_text(f"row_id,brand_id,商品图\n1,120344,photos/a.png\n2,120344,absent.png\n3,120344,{stored}\n")
    return path


def test_submit_uploads_first_and_gives_back_rows_whose_picture_is_refused(sandbox, env, catalog, redis_url):
    done = submit(env, catalog)
    assert done.returncode == 1
    assert "2 of 2 pictures: uploaded 1, refused 1" in done.stderr
    assert "run shop: 2 enqueued" in done.stderr
    with (catalog.parent / "shop.errors.csv").open(encoding="utf-8") as stream:
        (broken,) = csv.DictReader(stream)
    assert broken["_problem"] == "商品图: cannot be read (No such file or directory) (got 'absent.png')"
    # Mended, the error file goes into the same run, and nothing is uploaded twice.
    (catalog.parent / "absent.png").write_bytes(png(2))
    done = submit(env, catalog.parent / "shop.errors.csv", "--run", "shop")
    assert (done.returncode, received(sandbox)) == (0, 2)
    done = submit(env, catalog)
    assert "2 of 2 pictures: known before 2" in done.stderr
    assert "0 enqueued, 3 known before" in done.stderr
    assert received(sandbox) == 2
    with Client(ProducerSettings.load({"redis_url": redis_url, "mchid": MCHID})) as client:
        assert client.run("shop").total == 3


def test_a_dry_run_looks_at_files_and_uploads_nothing(sandbox, env, catalog):
    done = submit(env, catalog, "--dry-run")
    assert done.returncode == 1
    assert "not-uploaded-yet" in done.stdout
    assert "2 pictures would be uploaded first, 1 of them cannot be; URLs were not fetched" in done.stderr
    assert received(sandbox) == 0


def test_without_uploading_such_rows_are_broken(sandbox, env, catalog):
    done = submit(env, catalog, "--no-upload")
    assert done.returncode == 1
    assert "1 good row, 2 broken ones" in done.stderr
    assert received(sandbox) == 0


def test_strict_refuses_the_catalog_before_anything_is_uploaded(sandbox, env, catalog):
    with catalog.open("a") as stream:
        stream.write("4,no brand,photos/a.png\n")
    done = submit(env, catalog, "--strict")
    assert done.returncode == 2
    assert "nothing was enqueued" in done.stderr
    assert received(sandbox) == 0


def test_standard_input_can_name_no_pictures(env):
    command = [sys.executable, "-m", "couponpress", "submit", "-", "--format", "csv", "--run", "x"]
    text = "brand_id,image_url\n1,a.png\n"
    done = processes.run(
        command, env=os.environ | env, input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "save it to a file first" in done.stderr


def test_without_the_fleets_package_the_way_out_is_told(env, catalog):
    program = "import importlib.metadata, sys; importlib.metadata.entry_points = lambda **_: ()\n"
    program += "from couponpress.cli.main import app; from couponpress.errors import CouponpressError\n"
    program += "try: app()\nexcept CouponpressError as error: sys.exit(str(error))"
    command = [sys.executable, "-c", program, "submit", str(catalog)]
    done = processes.run(command, env=os.environ | env, capture_output=True, text=True, timeout=60, check=False)
    assert "only couponpress[worker] can upload them" in done.stderr


def test_without_the_fleets_settings_each_missing_one_is_told(env, catalog):
    few = {name: env[name] for name in ("COUPONPRESS_REDIS_URL", "COUPONPRESS_MCHID")}
    done = submit(few, catalog)
    assert done.returncode == 2
    assert "missing settings: COUPONPRESS_MCH_PRIVATE_KEY_FILE, COUPONPRESS_WECHATPAY_PUBLIC_KEY_ID" in done.stderr
    assert "COUPONPRESS_MCH_SERIAL_NO" in done.stderr


def test_the_settings_are_asked_for_in_python_too(photo):
    with pytest.raises(SettingsError):
        upload_pictures([str(photo("a.png", png(1)))], PictureChoices(), print)


def test_ctrl_c_leaves_nothing_half_done_and_the_same_command_goes_on(sandbox, env, tmp_path, redis_url):
    sandbox.control(latency_ms=100)
    bodies = []
    for number in range(100):
        (tmp_path / f"{number}.png").write_bytes(png(number))
        body = {"brand_id": "1", "image_generation_type": "CUT_OUT", "cut_out": {"image_url": f"{number}.png"}}
        bodies.append(json.dumps({**body, "row_id": str(number)}))
    path = tmp_path / "shop.jsonl"
    path.write_text("\n".join(bodies))
    env = env | {"COUPONPRESS_UPLOAD_RATE": "20/second"}
    command = [sys.executable, "-m", "couponpress", "submit", str(path)]
    running_command = processes.start(command, env=os.environ | env, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 30
        while received(sandbox) < 10:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        running_command.send_signal(signal.SIGINT)
        _, told = running_command.communicate(timeout=30)
    finally:
        running_command.kill()
        running_command.wait()
    assert running_command.returncode == 130
    assert "Traceback" not in told
    first = received(sandbox)
    assert f"{first} of 100 pictures: uploaded {first}" in told
    assert 10 <= first < 60
    with Client(ProducerSettings.load({"redis_url": redis_url, "mchid": MCHID})) as client:
        assert client.runs() == []
    done = submit(env | {"COUPONPRESS_UPLOAD_RATE": "2000/second"}, path)
    assert done.returncode == 0
    assert f"100 of 100 pictures: uploaded {100 - first}, known before {first}" in done.stderr
    assert received(sandbox) == 100
