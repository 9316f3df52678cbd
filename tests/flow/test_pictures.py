"""A merchant's own photos go in, and cut-outs come out as files; an app is told when they are ready."""

import json
import os
import sys
import time

import pytest

from couponpress_worker.demo.fleet import statistics
from tests import processes
from tests.builders import png
from tests.shop import shop

pytestmark = pytest.mark.flow


def run(env, *words):
    command = [sys.executable, "-m", "couponpress", *map(str, words)]
    done = processes.run(command, env=os.environ | env, capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_photos_go_in_and_cut_outs_come_out(plain_fleet, tmp_path):
    before = statistics(plain_fleet["COUPONPRESS_BASE_URL"])
    home = tmp_path / "shop"
    home.mkdir()
    rows = ["row_id,brand_id,商品图"]
    for number in range(30):
        (home / f"{number}.png").write_bytes(png(number % 25))
        rows.append(f"SP-{number},120344,{number}.png")
    catalog = home / "photos.csv"
    catalog.write_text("\n".join([*rows, "SP-30,120344,absent.png"]) + "\n", encoding="utf-8")
    taken = []
    with shop({"/told": (204, {}, b"")}, taken) as app:
        done = run(plain_fleet, "submit", catalog, "--watch", "--hook", f"{app}/told")
        assert done.returncode == 1
        assert "31 of 31 pictures: uploaded 25, known before 5, refused 1" in done.stderr
        deadline = time.monotonic() + 30
        while not taken:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        done = run(plain_fleet, "results", "photos", "--download", tmp_path / "cut-outs")
        assert done.returncode == 0, done.stderr
        seen = statistics(plain_fleet["COUPONPRESS_BASE_URL"])
    assert seen["accepted"] - before["accepted"] == 30
    assert seen["calls"]["upload"]["received"] - before["calls"]["upload"]["received"] == 25
    assert seen["calls"]["upload"]["throttled"] == 0
    pictures = list((tmp_path / "cut-outs").iterdir())
    assert len(pictures) == 30
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)
    ((_, body),) = taken
    assert json.loads(body)["succeeded"] == 30
