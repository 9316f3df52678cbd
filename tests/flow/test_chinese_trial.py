"""A colleague with a Chinese machine: from the template by way of ten mistakes to the results, all in Chinese."""

import csv
import os
import re
import signal
import subprocess
import sys

import openpyxl
import pytest

from couponpress_worker.sandbox.credentials import read_env
from tests import processes
from tests.english import NAMES, english_words
from tests.flow.test_fleet import wait_until
from tests.integration.producers.cli.test_chinese import HEADER, MISTAKES, written

pytestmark = pytest.mark.flow

CHINESE = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "COUPONPRESS_LANG"))},
    "LANG": "zh_CN.UTF-8",
    "PYTHONUTF8": "1",
}
#: Directives of Redis, as its configuration has them.
OF_REDIS = re.compile("appendonly yes|maxmemory-policy noeviction")
#: The mended rows: three kinds of coupons that the platform draws.
MENDED = [
    ("120344", "拼图", "全场", "满减券", "100", "20", None, None, None),
    ("120344", "拼图", "单品", "折扣券", "100", None, "8折", None, None),
    ("120344", "拼图", "品类", "兑换券", "100", None, None, "9.90", None),
]


@pytest.fixture
def terminal(tmp_path):
    """Everything runs in one terminal; yields its lines as far as they are told to a person, and the settings."""
    home = tmp_path / "up"
    command = [sys.executable, "-m", "couponpress", "up", "--dir", str(home)]
    process = processes.start(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        cwd=tmp_path,
        env=CHINESE,
    )
    log = home / "up.log"
    try:
        wait_until(lambda: log.exists() and "全部服务已启动" in log.read_text("utf-8"), 90, "everything up")
        yield (
            CHINESE | read_env(home / "env"),
            lambda: [
                line.partition("| ")[2] for line in log.read_text("utf-8").splitlines() if line.startswith("up  ")
            ],
        )
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0


def test_a_colleague_gets_her_pictures_and_reads_no_english_sentence(terminal, tmp_path):
    env, told_by_up = terminal
    said = []

    def couponpress(*words, code=0):
        command = [sys.executable, "-m", "couponpress", *words]
        done = processes.run(
            command, capture_output=True, cwd=tmp_path, env=env, timeout=180, encoding="utf-8", check=False
        )
        assert done.returncode == code, done.stderr
        said.extend([*done.stdout.splitlines(), *done.stderr.splitlines()])
        return done.stdout + done.stderr

    couponpress("--help")
    couponpress("submit", "--help")
    couponpress("submitt", code=2)
    couponpress("doctor")
    couponpress("health")
    couponpress("catalog", "template", "-o", "coupons.xlsx")
    couponpress("submit", "coupons.xlsx", "--dry-run", "--no-upload")

    written(tmp_path / "may.xlsx", [HEADER, *(row for row, _ in MISTAKES)])
    assert "12 行有问题" in couponpress("submit", "may.xlsx", "--no-upload", code=1)
    errors = openpyxl.load_workbook(tmp_path / "may.errors.xlsx")
    reasons = [row[1].value for row in errors.active.iter_rows(min_row=2)]
    assert len(reasons) >= 10
    said.extend(reasons)
    for number in range(2, 2 + len(MISTAKES)):
        for column, value in zip("DEFGHIJKL", MENDED[number % len(MENDED)], strict=True):
            errors.active[f"{column}{number}"] = value
    errors.save(tmp_path / "may.errors.xlsx")

    assert "新提交 12 个任务" in couponpress("submit", "may.errors.xlsx", "--run", "may", "--watch")
    couponpress("status", "may")
    couponpress("status")
    couponpress("top", "--once")
    couponpress("limit")
    couponpress("limit", "300/second", "--why", "促销")
    couponpress("limit")
    couponpress("limit", "default")
    couponpress("pause", "--for", "1h", "--why", "等一等")
    couponpress("top", "--once")
    couponpress("resume")
    couponpress("redrive", "may")
    couponpress("results", "may", "-o", "may.results.csv")
    couponpress("results", "may", "--join", "may.errors.xlsx")
    with (tmp_path / "may.results.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["outcome"] for row in rows] == ["succeeded"] * 12
    said.extend(row["message"] for row in rows)
    said.extend(told_by_up())

    assert len(said) > 100
    assert [line for line in said if is_english(line)] == []


def is_english(line):
    """Whether a line holds two English words one after the other that are no names."""
    line = OF_REDIS.sub("，", line)
    return len(english_words(line)) > 1 and re.search(r"[A-Za-z]{2,} [A-Za-z]{2,}", NAMES.sub("，", line)) is not None
