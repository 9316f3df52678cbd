"""What a hook says, how it is signed, when it is repeated; and the reader's page shows a receiver that verifies it."""

import hashlib
import hmac
import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from couponpress.errors import SettingsError
from couponpress.ledger.hooks import TAKEN_MS, DueHook
from couponpress.ledger.progress import run_status
from couponpress.settings import checked_hook_url
from couponpress_worker.completion.run_webhooks import POST_SECONDS, hook_body, hook_delay_seconds, signature_headers
from couponpress_worker.errors import KeyFileError
from couponpress_worker.runtime.redis_server import free_port
from couponpress_worker.settings import _hook_secret
from tests.builders import producer_settings

SECRET = b"a secret of some length"
FIELDS = {b"name": "秋".encode(), b"total": b"3", b"succeeded": b"2", b"failed": b"1", b"finished_ms": b"1793279998765"}
HOOK = DueHook("b1f", "https://shop.example/", 1793279998765, 0, run_status("b1f", FIELDS, hold=None))


def test_a_hook_tells_the_runs_status_under_an_id_of_this_finish():
    told = json.loads(hook_body(HOOK, "1900000109"))
    assert (told["event"], told["id"]) == ("run.finished", "1900000109:b1f:1793279998765")
    assert (told["run"], told["total"], told["succeeded"], told["failed"], told["finished"]) == ("秋", 3, 2, 1, True)
    assert hook_body(HOOK, "1900000109") == hook_body(HOOK, "1900000109")


def test_the_signature_covers_the_moment_and_the_bytes():
    headers = signature_headers(SECRET, 1793280000, b'{"a":1}')
    expected = hmac.new(SECRET, b'1793280000.{"a":1}', hashlib.sha256).hexdigest()
    assert headers == {"Couponpress-Timestamp": "1793280000", "Couponpress-Signature": f"sha256={expected}"}


def test_tries_in_vain_lie_further_and_further_apart():
    delays = [hook_delay_seconds(tries) for tries in range(20)]
    assert delays[:4] == [2, 4, 8, 16]
    assert delays == sorted(delays)
    assert delays[-1] == 3600


def test_nobody_else_takes_a_hook_up_while_it_is_posted():
    assert TAKEN_MS > POST_SECONDS * 1000 * 2


@pytest.mark.parametrize(
    "url", ["", "shop.example", "ftp://shop.example/", "https://", "https://me:word@shop.example/", "https://a b/"]
)
def test_what_is_no_url_cannot_be_told(url):
    with pytest.raises(ValueError, match="must be an http"):
        checked_hook_url(url)


def test_the_setting_is_checked_too():
    with pytest.raises(SettingsError, match="COUPONPRESS_HOOK_URL must be an http"):
        producer_settings(hook_url="shop.example")


def test_a_short_secret_is_refused(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(b"0123456789abcdef\n")
    assert _hook_secret(path) == b"0123456789abcdef"
    path.write_bytes(b"xyzzy\n")
    with pytest.raises(KeyFileError, match="holds 5 bytes; a hook's secret has at least 16") as caught:
        _hook_secret(path)
    assert "xyzzy" not in str(caught.value)


# --- the reader's page ------------------------------------------------------------------------------------------------


@pytest.fixture
def receiver(tmp_path):
    """The receiver that docs/hooks.md shows."""
    page = (Path(__file__).parents[4] / "docs" / "hooks.md").read_text("utf-8")
    (tmp_path / "receiver.py").write_text(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], "utf-8")
    (tmp_path / "secret").write_bytes(SECRET + b"\n")
    port = free_port()
    command = [sys.executable, str(tmp_path / "receiver.py"), str(port), str(tmp_path / "secret")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield port, process
        finally:
            process.kill()


def post(port, headers, body):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", data=body, headers=headers)
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        except OSError:  # it does not listen yet
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_the_pages_receiver_believes_us_and_nobody_else(receiver):
    port, process = receiver
    body, now = hook_body(HOOK, "1900000109"), int(time.time())
    good = signature_headers(SECRET, now, body)
    assert post(port, good, body + b" ") == 401
    assert post(port, good | {"Couponpress-Timestamp": str(now + 1)}, body) == 401
    assert post(port, signature_headers(b"another secret of it", now, body), body) == 401
    assert post(port, signature_headers(SECRET, now - 301, body), body) == 401
    assert post(port, {}, body) == 401
    assert post(port, good, body) == 204
    assert process.stdout.readline() == "1900000109:b1f:1793279998765 秋 2 of 3\n"
