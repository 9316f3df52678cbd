"""Services in processes of their own: they listen before they say so, and end with the exit codes of the README."""

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace

import httpx
import pytest

from couponpress.outcome import State
from couponpress.partners import OWN, SHAREABLE
from couponpress.transport.listening import listen
from couponpress_worker.completion.callback import CALLBACK_PATH
from couponpress_worker.runtime.redis_server import free_port
from couponpress_worker.sandbox.credentials import Credentials
from couponpress_worker.wechatpay.signing import answer_message, seal
from tests import processes
from tests.builders import KEYS, PICTURE, bring_to, states_of, stored
from tests.serving import connected
from tests.waiting import soon

TASKS = 20


@pytest.fixture(scope="module")
def credentials(tmp_path_factory):
    return Credentials.prepare(tmp_path_factory.mktemp("sandbox"))


@pytest.fixture
def env(credentials, redis_url):
    """The settings of a fleet whose platform does not answer."""
    told = credentials.environment(f"http://127.0.0.1:{free_port()}")
    return os.environ | told | {"COUPONPRESS_REDIS_URL": redis_url, "COUPONPRESS_MCHID": KEYS.mchid}


def command(*words):
    return [sys.executable, "-m", "couponpress", *words]


def run(env, *words):
    return processes.run(command(*words), env=env, check=False, timeout=60, capture_output=True, text=True)


@contextmanager
def service(env, log, *words, ready):
    """Run a service until the end of the block; yields its URL."""
    with log.open("wb") as output:
        process = processes.start(command(*words), env=env, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 60
        while not (found := re.search(rf"{ready} (http://[^\s/]+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield found[1]
        process.terminate()
        assert process.wait(30) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def callback(credentials, task, **changes):
    """Body and headers of a callback."""
    text = json.dumps({**task, "task_state": "SUCCESS", "cut_out_result": {"image_url": PICTURE}}).encode()
    resource = {
        "nonce": "0" * 12,
        "associated_data": "",
        "ciphertext": seal(credentials.apiv3_key, b"0" * 12, text, b""),
    }
    body = json.dumps({"event_type": "PRODUCT_COUPON_SP.IMAGE_GENERATION", "resource": resource}).encode()
    timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
    headers = {
        "Wechatpay-Timestamp": timestamp,
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Serial": credentials.public_key_id,
        "Wechatpay-Signature": credentials.platform_key.sign(answer_message(timestamp, nonce, body)),
    }
    return {"content": body, "headers": headers | changes}


def task(number):
    return {"brand_id": "120344", "task_id": f"cut-out-{number:06}", "image_generation_type": "CUT_OUT"}


def test_callbacks_go_through_beside_a_hundred_slow_clients(env, credentials, client, redis_url, tmp_path):
    chunk = stored(redis_url, TASKS)
    bring_to(redis_url, chunk, [State.ACCEPTED] * TASKS)
    log = tmp_path / "log"
    # Of the 120 files that may be open, 56 are for connections: the slow clients are more than that.
    limited = ["-c", f"ulimit -n 120; exec {sys.executable} -m couponpress callback --port 0"]
    with log.open("wb") as output:
        process = processes.start(["/bin/sh", *limited], env=env, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 60
        while not (found := re.search(r"receiving callbacks on (http://127.0.0.1:(\d+))", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        head = b"POST /wechatpay/callback HTTP/1.1\r\nhost: shop\r\n"
        slow = [connected(int(found[2]), (head, head + b"content-length: 99\r\n\r\nx")[n % 2]) for n in range(100)]
        for one in slow:
            one.__enter__()
        took = []
        for number in range(1, TASKS + 1):
            began = time.monotonic()
            answer = httpx.post(found[1] + CALLBACK_PATH, **callback(credentials, task(number)))
            took.append(time.monotonic() - began)
            assert answer.status_code == 204, (answer.text, log.read_text())
        assert max(took) < 3
        assert states_of(client, chunk) == [State.SUCCEEDED] * TASKS
        for one in slow:
            one.__exit__(None, None, None)
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def test_keys_that_change_are_read_again_without_a_restart(env, credentials, client, redis_url, tmp_path):
    """A new APIv3 key opens callbacks, and the former one those that it sealed; a broken file changes nothing."""
    chunk = stored(redis_url, 4)
    bring_to(redis_url, chunk, [State.ACCEPTED] * 4)
    log, key_file, renewed = tmp_path / "log", tmp_path / "apiv3.txt", replace(credentials, apiv3_key=b"k" * 32)
    key_file.write_bytes(credentials.apiv3_key)
    env = env | {"COUPONPRESS_APIV3_KEY_FILE": str(key_file)}
    with service(env, log, "callback", "--port", "0", ready="receiving callbacks on") as url:

        def posted(sender, number):
            return httpx.post(url + CALLBACK_PATH, **callback(sender, task(number))).status_code

        assert posted(credentials, 1) == 204
        key_file.write_bytes(b"no key")
        soon(lambda: "a key file changed and cannot be used" in log.read_text())
        assert posted(credentials, 2) == 204
        key_file.write_bytes(renewed.apiv3_key)
        soon(lambda: "key files were read again" in log.read_text())
        assert posted(renewed, 3) == 204
        assert posted(credentials, 4) == 204
        assert posted(replace(credentials, apiv3_key=b"o" * 32), 4) == 400
    assert states_of(client, chunk) == [State.SUCCEEDED] * 4
    assert log.read_text().count("cannot be used") == 1


@pytest.fixture(scope="module")
def partners(tmp_path_factory):
    """The keys of three partners."""
    return {name: Credentials.prepare(tmp_path_factory.mktemp(name)) for name in ("one", "two", "three")}


def partners_env(env, partners, redis_urls, directory):
    """An environment in which a file names the partners; each with its keys in files of its own and its Redis."""
    tables, shared = [], dict(env)
    for name, held in partners.items():
        told = held.environment(f"http://127.0.0.1:{free_port()}")
        (directory / f"{name}.apiv3").write_bytes(held.apiv3_key)
        own = {key.removeprefix("COUPONPRESS_").lower(): value for key, value in told.items()}
        own |= {"redis_url": redis_urls[name], "apiv3_key_file": f"./{name}.apiv3"}
        lines = [f'{key} = "{value}"' for key, value in own.items() if key in OWN | SHAREABLE]
        tables += ["[[partner]]", f'id = "{name}"', *lines]
        shared = {key: value for key, value in shared.items() if key not in told}
    (directory / "partners.toml").write_text("\n".join(tables))
    shared.pop("COUPONPRESS_MCHID", None)
    return shared | {"COUPONPRESS_PARTNERS": str(directory / "partners.toml")}


def test_a_receiver_of_several_partners_keeps_them_apart(env, partners, redis_url, tmp_path):
    """A partner's callback completes its spec on its own path alone; broken keys or a lost Redis stop no other."""
    away = f"redis://127.0.0.1:{free_port()}/0"
    urls = {"one": redis_url, "two": redis_url, "three": away}
    env = partners_env(env, partners, urls, tmp_path)
    good = (tmp_path / "two.apiv3").read_bytes()
    (tmp_path / "two.apiv3").write_bytes(b"no key")
    log = tmp_path / "log"
    with service(env, log, "callback", "--port", "0", ready="receiving callbacks on") as url:

        def posted(path, sender):
            return httpx.post(f"{url}{CALLBACK_PATH}{path}", **callback(partners[sender], task(1))).status_code

        assert "partner two: its callbacks are answered with 503" in log.read_text()
        assert "partner three: its callbacks are answered with 503" in log.read_text()
        assert posted("/one", "one") == 204
        assert posted("/one", "two") == 401, "signed by the key of another partner"
        assert posted("/two", "two") == 503, "its key file cannot be used"
        assert posted("/three", "three") == 503, "its Redis is away"
        assert [posted("", "one"), posted("/four", "one")] == [404, 404]
        ill = run(env | {"COUPONPRESS_MCHID": "two"}, "health")
        assert ill.returncode == 1
        assert "a key file cannot be used" in ill.stdout
        (tmp_path / "two.apiv3").write_bytes(good)
        soon(lambda: posted("/two", "two") == 204)
        assert posted("/one", "one") == 204
        assert re.search(r"key files were read again.* \[partner=two\]", log.read_text())


def test_a_receiver_follows_its_file_without_a_restart(env, partners, redis_url, tmp_path):
    """The first partner alone, then a second; a broken edit; then the second alone, by another Redis."""
    away, log = f"redis://127.0.0.1:{free_port()}/0", tmp_path / "log"

    def become(*names, url=redis_url):
        partners_env(env, {name: partners[name] for name in names}, dict.fromkeys(names, url), tmp_path)

    one = partners_env(env, {"one": partners["one"]}, {"one": redis_url}, tmp_path)
    with service(one, log, "callback", "--port", "0", ready="receiving callbacks on") as url:

        def posted(path, sender):
            return httpx.post(f"{url}{CALLBACK_PATH}{path}", **callback(partners[sender], task(1))).status_code

        assert [posted(path, "one") for path in ("", "/one", "/two")] == [204, 204, 404]
        become("one", "two")
        soon(lambda: posted("/two", "two") == 204)
        assert [posted(path, "one") for path in ("", "/one")] == [404, 204]
        (tmp_path / "partners.toml").write_text("[[partner")
        soon(lambda: "the partners that were read before are served" in log.read_text())
        assert [posted("/one", "one"), posted("/two", "two")] == [204, 204]
        become("two", url=away)
        soon(lambda: posted("/two", "two") == 503)
        assert [posted("/one", "one"), posted("", "two")] == [404, 503]
        told = log.read_text()
        assert "partner one is not served any more" in told
        assert "partner two: its callbacks are answered with 503" in told


def test_a_receiver_of_one_partner_takes_callbacks_on_both_paths(env, credentials, tmp_path):
    with service(env, tmp_path / "log", "callback", "--port", "0", ready="receiving callbacks on") as url:
        for path in (CALLBACK_PATH, f"{CALLBACK_PATH}/{KEYS.mchid}"):
            assert httpx.post(url + path, **callback(credentials, task(1))).status_code == 204


def test_the_log_says_why_callbacks_are_not_taken(env, credentials, tmp_path):
    log = tmp_path / "log"
    with service(env, log, "callback", "--port", "0", "--host", "::", ready="receiving callbacks on") as url:
        assert url.startswith("http://[::1]:")
        for host in (url, url.replace("[::1]", "127.0.0.1")):
            assert [httpx.get(host + path).status_code for path in ("/", "/healthz", "/more")] == [200, 200, 404]
        assert httpx.get(url + CALLBACK_PATH).status_code == 405
        good = callback(credentials, task(1))
        assert httpx.post(f"{url}/callback", **good).status_code == 404
        for changes in (
            {"Wechatpay-Serial": "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"},
            {"Wechatpay-Timestamp": str(int(time.time()) - 1000)},
            {"Wechatpay-Signature": "WECHATPAY/SIGNTEST/" + "x" * 336},
            {"Wechatpay-Nonce": ""},
        ):
            assert httpx.post(url + CALLBACK_PATH, **callback(credentials, task(1), **changes)).status_code == 401
    told = log.read_text()
    assert f"POST /callback is not POST {CALLBACK_PATH}. Correct the notify URL" in told
    assert "request answered with 404: GET /more is no callback" in told
    assert f"5157F09EFDC096DE15EBE81A47057A7232F1B8E1; held are {credentials.public_key_id}" in told
    assert re.search(r"it is -100\d s off; set this machine's clock", told)
    assert "callback probe refused, as it should be" in told
    assert "Wechatpay-Nonce missing" in told


#: A callback receiver whose first look for certificates meets what nobody foresaw.
FAILING_ONCE = """
import runpy, sys
from couponpress_worker.wechatpay.certificates import PlatformKeys

refresh, calls = PlatformKeys.refresh, []

async def failing_once(self):
    calls.append(1)
    if len(calls) == 1:
        raise ZeroDivisionError("unforeseen")
    return await refresh(self)

PlatformKeys.refresh = failing_once
sys.argv = ["couponpress", "callback", "--port", "0"]
runpy.run_module("couponpress", run_name="__main__")
"""


def test_health_shows_a_callback_receiver_and_the_failures_of_its_loops(env, tmp_path):
    env |= {"TMPDIR": str(tmp_path)}
    receiver = processes.start([sys.executable, "-c", FAILING_ONCE], env=env, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            told = json.loads(run(env, "health", "--json", "--pid", str(receiver.pid)).stdout)
            if told["processes"] and told["processes"][0]["loop_failures"]:
                break
            assert receiver.poll() is None
            assert time.monotonic() < deadline, told
        (one,) = told["processes"]
        assert (one["role"], one["state"], one["loop_failures"]) == ("callback", "receiving", {"certificates": 1})
        assert told["healthy"]
        receiver.terminate()
        assert receiver.wait(30) == 0
        assert json.loads(run(env, "health", "--json").stdout) == {"healthy": False, "processes": []}
    finally:
        receiver.kill()
        receiver.wait()


@pytest.mark.parametrize("words", [["callback"], ["gateway"], ["sandbox", "--dir", "DIR"], ["redis", "--dir", "DIR"]])
def test_a_port_that_cannot_be_listened_on_is_one_sentence(env, tmp_path, words):
    words = [str(tmp_path / "dir") if word == "DIR" else word for word in words]
    env |= {"COUPONPRESS_GATEWAY_TOKENS_FILE": str(tmp_path / "tokens.toml")}
    assert run(env, "gateway", "token", "shop", "--all-brands").returncode == 0
    (taken,) = listen("127.0.0.1", 0)
    for port in (taken.getsockname()[1], 80000):
        ended = run(env, *words, "--port", str(port))
        assert ended.returncode == 2
        told = " ".join(ended.stderr.split())
        assert f"127.0.0.1 port {port} (" in told or "less than or equal to 65535" in told
        assert "Traceback" not in told
        assert "receiving" not in told
    taken.close()


def test_two_redis_do_not_share_a_folder(tmp_path):
    first = processes.start(command("redis", "--dir", str(tmp_path), "--port", str(port := free_port())))
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        ended = run(os.environ, "redis", "--dir", str(tmp_path), "--port", str(free_port()))
        assert ended.returncode == 2
        assert "another Redis server keeps its data in" in ended.stderr
    finally:
        first.terminate()
        first.wait(30)
