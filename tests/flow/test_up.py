"""`couponpress up`: one terminal in which everything runs, and what happens to it."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from couponpress_worker.sandbox.credentials import read_env
from tests import processes
from tests.builders import cut_out_body
from tests.flow.test_fleet import client_of, processes_of, wait_until

pytestmark = pytest.mark.flow


def test_everything_runs_in_one_terminal_and_ctrl_c_stops_it_all(tmp_path):
    home = tmp_path / "up"
    log = home / "up.log"
    command = [sys.executable, "-m", "couponpress", "up", "--dir", str(home)]
    terminal = processes.start(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path)
    try:
        wait_until(lambda: log.exists() and "everything is up" in log.read_text(), 60, "everything up")
        env = read_env(home / "env")
        with client_of(env) as client:
            client.enqueue(cut_out_body(1), run="first")
            wait_until(lambda: client.run("first").succeeded == 1, 60, "the first picture")
            # A service that ends by itself comes back.
            (receiver,) = [pid for pid in processes_of(home) if command_of(pid)[3:4] == ["callback"]]
            os.kill(receiver, signal.SIGKILL)
            wait_until(lambda: "the callback ended with exit code -9 and is started again" in log.read_text(), 30, "it")
            wait_until(lambda: log.read_text().count("receiving callbacks on") == 2, 30, "the receiver back")
            client.enqueue(cut_out_body(2), run="second")
            wait_until(lambda: client.run("second").succeeded == 1, 60, "the second picture")
        token = (home / "gateway-token").read_text().strip()
        port = re.search(r"gateway: http://127.0.0.1:(\d+)/docs", log.read_text())[1]
        asked = f"http://127.0.0.1:{port}/v1/runs/none"
        assert json.loads(answer_of(asked, token))["status"] == 404
        terminal.send_signal(signal.SIGINT)
        told, _ = terminal.communicate(timeout=60)
    finally:
        terminal.kill()
        terminal.wait()
    assert terminal.returncode == 0
    assert "Traceback" not in told
    assert "up        | stopping" in told
    assert processes_of(home) == []


def command_of(pid):
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


def answer_of(url, token):
    return httpx.get(url, headers={"Authorization": f"Bearer {token}"}).text
