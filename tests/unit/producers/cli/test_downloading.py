"""A run's pictures in a folder: whole files under safe names, and what is there is not fetched again."""

import subprocess
import sys

import pytest

from couponpress.cli import picture_http
from couponpress.cli.downloading import download, file_stem
from couponpress.errors import InputError
from couponpress.outcome import Outcome
from couponpress.transport.proxy import ProxyRule
from tests.builders import png
from tests.connect_proxy import ConnectProxy
from tests.shop import shop

TYPE = {"Content-Type": "image/png"}
GIF = b"GIF89a" + bytes(20) + b";"
WEBP = b"RIFF" + (20).to_bytes(4, "little") + b"WEBP" + bytes(16)


def outcome(number, url, state="succeeded", row_id=None):
    return Outcome(row_id or f"row {number}", f"task-{number}", "1", state, url)


def names(directory):
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.parametrize(
    ("row_id", "task_id", "stem"),
    [
        ("SP-1", "cp_000001", "SP-1.cp_000001"),
        ("../../etc/passwd", "cp_000001", "etc_passwd.cp_000001"),
        ("红 色/一", "cp_000001", "红_色_一.cp_000001"),
        ("..", "cp_000001", "cp_000001"),
        ("-rf", "cp_000001", "rf.cp_000001"),
        ("cp_000001", "cp_000001", "cp_000001"),
        ("a\0b\n", "cp_000001", "a_b.cp_000001"),
        ("红" * 200, "c" * 40, "红" * 40 + "." + "c" * 40),
    ],
)
def test_a_files_name_is_safe_and_its_own(row_id, task_id, stem):
    assert file_stem(Outcome(row_id, task_id, "", "succeeded")) == stem
    assert len(f".{stem}.part".encode()) < 255


def test_every_picture_is_fetched_and_named_after_its_kind(tmp_path):
    answers = {f"/{number}": (200, TYPE, png(number)) for number in range(50)}
    answers |= {"/gif": (200, TYPE, GIF), "/webp": (200, TYPE, WEBP), "/moved": (302, {"Location": "/1"}, b"")}
    calls = []
    with shop(answers) as base:
        outcomes = [outcome(path.strip("/"), base + path) for path in answers]
        done = download(outcomes, tmp_path / "new" / "folder", on_progress=calls.append)
    assert (done.fetched, done.there, done.without, done.failed) == (53, 0, 0, [])
    assert calls == [True] * 53
    there = names(tmp_path / "new" / "folder")
    assert {"row_0.task-0.png", "row_gif.task-gif.gif", "row_webp.task-webp.webp"} <= set(there)
    assert (tmp_path / "new" / "folder" / "row_7.task-7.png").read_bytes() == png(7)


def test_what_is_there_is_not_fetched_again(tmp_path):
    fetched = []
    answers = {
        f"/{number}": (200, TYPE, lambda number=number: fetched.append(number) or png(number)) for number in (1, 2)
    }
    with shop(answers) as base:
        outcomes = [outcome(number, f"{base}/{number}") for number in (1, 2)]
        download(outcomes[:1], tmp_path)
        (tmp_path / ".row_2.task-2.part").write_bytes(png(2)[:9])
        done = download(outcomes, tmp_path)
    assert (done.fetched, done.there) == (1, 1)
    assert fetched == [1, 2]
    assert names(tmp_path) == ["row_1.task-1.png", "row_2.task-2.png"]


NO_ROOM = """
import resource, sys
from pathlib import Path
from couponpress.cli.downloading import download
from couponpress.errors import InputError
from couponpress.outcome import Outcome
resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))
try:
    download([Outcome("row 1", "task-1", "1", "succeeded", sys.argv[1])], Path(sys.argv[2]))
except InputError as error:
    print(error)
"""


def test_a_file_that_could_not_be_written_whole_is_no_picture(tmp_path):
    with shop({"/1": (200, TYPE, png(1))}) as base:
        command = [sys.executable, "-c", NO_ROOM, f"{base}/1", str(tmp_path)]
        told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
        assert "cannot be written (File too large)" in told
        assert [name for name in names(tmp_path) if not name.startswith(".")] == []
        assert download([outcome(1, f"{base}/1")], tmp_path).fetched == 1
    assert names(tmp_path) == ["row_1.task-1.png"]
    assert (tmp_path / "row_1.task-1.png").read_bytes() == png(1)


def test_specs_without_a_picture_are_counted(tmp_path):
    done = download([outcome(1, "", ""), outcome(2, "", "rejected")], tmp_path)
    assert (done.fetched, done.without) == (0, 2)


def test_what_cannot_be_fetched_is_told_and_leaves_no_file(tmp_path):
    tries, there = [], []
    answers = {
        "/absent": (404, TYPE, b""),
        "/page": (200, TYPE, b"<html>"),
        "/half": (200, TYPE, png()[:-5]),
        "/cut": (200, {**TYPE, "Content-Length": 900}, png()),
        "/away": (302, {"Location": "file:///etc/passwd"}, b""),
        "/broken": (503, TYPE, lambda: tries.append(1) or b""),
        "/good": (200, TYPE, png()),
    }
    reasons = [
        "status 404",
        "what was sent is neither JPG nor PNG nor BMP",
        "what was sent is a PNG without its end",
        "could not be fetched",
        "status 302",
        "status 503",
        "'file:///etc/passwd' is no http(s) URL",
    ]
    with shop(answers) as base:
        outcomes = [outcome(path.strip("/"), base + path) for path in answers]
        done = download([*outcomes, outcome("file", "file:///etc/passwd")], tmp_path, on_progress=there.append)
    assert len(tries) == 3
    assert (there.count(True), there.count(False)) == (1, 7)
    assert done.fetched == 1
    assert [row_id for row_id, _ in done.failed] == [f"row {path[1:]}" for path in answers if path != "/good"] + [
        "row file"
    ]
    for (_, told), reason in zip(done.failed, reasons, strict=True):
        assert reason in told
    assert names(tmp_path) == ["row_good.task-good.png"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        download([], tmp_path / "file" / "folder")


# --- through a proxy --------------------------------------------------------------------------------------------------


def through(proxy):
    return ProxyRule.of({"COUPONPRESS_PROXY": proxy.url})


def test_a_picture_comes_through_the_proxy_also_after_a_redirect(tmp_path):
    answers = {"/moved": (302, {"Location": "/1"}, b""), "/1": (200, TYPE, png(1))}
    with shop(answers) as base, ConnectProxy(login="me:swordfish") as proxy:
        assert download([outcome(1, f"{base}/moved")], tmp_path, rule=through(proxy)).fetched == 1
        assert proxy.asked == [f"GET {base}/moved", f"GET {base}/1"]
        assert proxy.refused_logins == 0


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_another_password_is_named(tmp_path, monkeypatch, scheme):
    monkeypatch.setattr(picture_http, "TRIES", 1)
    with ConnectProxy(login="me:swordfish") as proxy:
        rule = ProxyRule.of({"COUPONPRESS_PROXY": proxy.url.replace("swordfish", "wrong")})
        done = download([outcome(1, f"{scheme}://127.0.0.1:9/1")], tmp_path, rule=rule)
        assert proxy.refused_logins == 1
        assert f"the proxy http://***@127.0.0.1:{proxy.port} wants another user name or password" in done.failed[0][1]
    assert "wrong" not in str(done)


def test_a_proxy_that_is_not_there_or_refuses_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(picture_http, "TRIES", 1)
    with ConnectProxy(mode="refuse") as proxy:
        told = download([outcome(1, "https://127.0.0.1:9/1")], tmp_path, rule=through(proxy)).failed[0][1]
        assert f"the proxy http://127.0.0.1:{proxy.port} refused the connection (403 Forbidden)" in told
    told = download([outcome(1, "https://127.0.0.1:9/1")], tmp_path, rule=through(proxy)).failed[0][1]
    assert f"through the proxy http://127.0.0.1:{proxy.port}" in told
