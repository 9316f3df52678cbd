"""`couponpress top` in a real terminal, and without one."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time

import pytest
import redis

from couponpress.cli.top_prompt import KEYS_LINE
from couponpress.ledger.progress import ReadingLedger
from couponpress.ledger.rate import PacingLedger
from couponpress_worker.runtime import redis_server
from couponpress_worker.runtime.redis_server import free_port
from tests import processes
from tests.builders import KEYS, MCHID, stored


def environment(url, lines=40):
    return os.environ | {
        "COUPONPRESS_REDIS_URL": url,
        "COUPONPRESS_MCHID": MCHID,
        "TERM": "xterm-256color",
        "COLUMNS": "120",
        "LINES": str(lines),
    }


def ran(url, *words):
    command = [sys.executable, "-m", "couponpress", "top", *words]
    done = processes.run(
        command, env=environment(url), capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )
    return done.returncode, done.stdout, done.stderr


class Terminal:
    """`couponpress top` with a terminal of its own."""

    def __init__(self, url, lines=40):
        self._ours, theirs = pty.openpty()
        self.before = self.modes()
        self.process = processes.start(
            [sys.executable, "-m", "couponpress", "top"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment(url, lines),
        )
        os.close(theirs)
        self.text = ""

    def modes(self):
        """How the terminal is set: whether it shows what is typed, whether it waits for Enter."""
        return termios.tcgetattr(self._ours)[3] & (termios.ECHO | termios.ICANON)

    def press(self, keys):
        self.text = ""
        os.write(self._ours, keys.encode())

    def wait_for(self, part, seconds=30):
        """Read until a part is shown that was not before the last key."""
        deadline = time.monotonic() + seconds
        while part not in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.text):
            assert time.monotonic() < deadline, f"{part!r} is not in {self.text[-3000:]!r}"
            if select.select([self._ours], [], [], 0.2)[0]:
                self.text += os.read(self._ours, 65536).decode(errors="ignore")

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)


@pytest.fixture
def terminal(redis_url, server):
    stored(redis_url, 5)
    one = Terminal(redis_url)
    try:
        yield one
    finally:
        one.close()


def test_once_prints_one_picture(redis_url, server):
    stored(redis_url, 5)
    code, out, err = ran(redis_url, "--once")
    assert (code, err) == (0, "")
    assert out.startswith("workers: 5 specs wait and no worker runs")
    assert "\x1b" not in out


def test_json_is_the_whole_overview(redis_url, server):
    stored(redis_url, 5)
    code, out, _ = ran(redis_url, "--json")
    told = json.loads(out)
    assert (code, told["bound"]["kind"], told["runs"][0]["status"]["waiting"]) == (0, "workers", 5)


def test_without_a_terminal_it_says_what_else_there_is(redis_url, server):
    code, out, err = ran(redis_url)
    assert (code, out) == (2, "")
    assert "--once" in err


def test_a_redis_that_is_away_is_one_sentence(server):
    code, out, err = ran(f"redis://:s3cret@127.0.0.1:{free_port()}/0", "--once")
    assert (code, out) == (2, "")
    assert "does not answer" in err
    assert "s3cret" not in err


def test_keys_pause_and_resume_once_they_are_confirmed(terminal, server):
    terminal.wait_for(KEYS_LINE)
    terminal.press("p")
    terminal.wait_for("Stop submitting everything?")
    assert ReadingLedger(server, KEYS).holds() == []
    terminal.press("n")
    terminal.wait_for(KEYS_LINE)
    assert ReadingLedger(server, KEYS).holds() == []
    terminal.press("py")
    terminal.wait_for("paused: everything is held")
    assert [hold.kind for hold in ReadingLedger(server, KEYS).holds()] == ["partner"]
    terminal.press("ry")
    terminal.wait_for("goes on")
    assert ReadingLedger(server, KEYS).holds() == []


def test_the_limit_is_typed_confirmed_and_set(terminal, server):
    terminal.wait_for(KEYS_LINE)
    terminal.press("l")
    terminal.wait_for("New limit")
    terminal.press("0/second\r")
    terminal.wait_for("a rate reads like")
    terminal.press("\x1b")
    terminal.wait_for(KEYS_LINE)
    terminal.press("l300/second\r")
    terminal.wait_for("Set the limit of the running fleet to 300/second")
    assert PacingLedger(server, KEYS).rate().by_hand == ""
    terminal.press("y")
    terminal.wait_for("limit 300/second by hand")
    assert PacingLedger(server, KEYS).rate().by_hand == "300/second"


def test_what_is_asked_is_seen_in_a_small_terminal(redis_url, server):
    for at in range(30):
        stored(redis_url, run=f"run {at}", first=at)
    one = Terminal(redis_url, lines=10)
    try:
        one.wait_for(KEYS_LINE)
        one.press("p")
        one.wait_for("Stop submitting everything?")
    finally:
        one.close()


def test_q_ends_it_and_gives_the_terminal_back(terminal):
    terminal.wait_for(KEYS_LINE)
    terminal.press("q")
    assert terminal.process.wait(30) == 0
    assert terminal.modes() == terminal.before


def test_ctrl_c_ends_it(terminal):
    terminal.wait_for(KEYS_LINE)
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.wait(30) == 130


def test_a_redis_that_goes_away_is_told_and_what_was_seen_stays(tmp_path):
    with redis_server.running(tmp_path) as url:
        stored(url, 5)
        one = Terminal(url)
        try:
            one.wait_for(KEYS_LINE)
            with redis.Redis.from_url(url) as client:
                client.shutdown(nosave=True)
            one.text = ""
            one.wait_for("COUPONPRESS_REDIS_URL")
            one.wait_for("5 specs wait")
            one.press("q")
            assert one.process.wait(30) == 0
        finally:
            one.close()
