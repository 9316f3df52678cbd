"""The plain example to its very end: a real worker, a sandbox platform, callbacks, pictures."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.flow

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "plain_script.py"


def test_the_plain_script_follows_its_pictures_to_the_end(plain_fleet):
    command, env = [sys.executable, "-W", "error", str(SCRIPT), "script"], os.environ | plain_fleet
    first, again = (
        subprocess.run(command, env=env, check=False, capture_output=True, text=True, timeout=60) for _ in range(2)
    )
    assert first.returncode == 0, first.stderr
    head, *lines = first.stdout.splitlines()
    assert head == "3 new, 0 known already"
    assert sorted(line.split()[0] for line in lines) == ["SP-1", "SP-2", "SP-3"]
    assert all(re.fullmatch(r"SP-\d succeeded http://\S+\.png", line) for line in lines)
    assert again.stdout.splitlines()[0] == "0 new, 3 known already"
    assert sorted(again.stdout.splitlines()[1:]) == sorted(lines)


def test_the_plain_script_says_in_one_sentence_what_is_missing(tmp_path):
    env = {name: value for name, value in os.environ.items() if not name.startswith("COUPONPRESS_")}
    command = [sys.executable, str(SCRIPT), "autumn"]
    ran = subprocess.run(command, env=env, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("missing settings: COUPONPRESS_MCHID")
