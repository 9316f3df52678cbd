"""Audit entries as lines and as CSV."""

import csv
import io
from dataclasses import replace
from typing import get_args

from couponpress.cli.audit import lines, write_csv
from couponpress.language import speaking
from couponpress.ledger.audit import ActName, AuditEntry

ENTRY = AuditEntry("1700000000000-0", 1.7e9, "pause", "done", "may", "", "until 06:00", "cli", "li", "ops-1", "=cmd()")
BARE = AuditEntry("1700000000000-0", 1.7e9, "pause", "done", "", "", "", "fleet", "worker", "", "")


def test_a_line_says_what_who_and_why():
    told, bare = lines([ENTRY, BARE])
    assert told.endswith("  pause run may until 06:00  done  li (cli, ops-1): =cmd()")
    assert bare.endswith("  pause everything  done  worker (fleet)")


def test_a_line_is_in_the_readers_language():
    with speaking("zh_CN"):
        told, bare = lines([ENTRY, BARE])
        counted, begun = lines(
            [
                replace(BARE, act="redrive", result="12 specs", detail="all that match code=X"),
                replace(BARE, act="limit", result="begun, 1200 specs match", detail="300/second until 06:00"),
            ]
        )
    assert told.endswith("  暂停 (pause) 批次 may 到 06:00 为止  已完成  li (cli, ops-1): =cmd()")
    assert bare.endswith("  暂停 (pause) 全部  已完成  worker (fleet)")
    assert counted.endswith("  重发 (redrive) 全部符合条件 code=X 的任务  12 个任务  worker (fleet)")
    assert begun.endswith("  修改限速 (limit) 300/second，到 06:00 为止  已开始，1200 个任务符合条件  worker (fleet)")


def test_every_act_has_its_word():
    with speaking("zh_CN"):
        for act in get_args(ActName):
            (line,) = lines([replace(BARE, act=act)])
            assert f" ({act}) " in line


def test_csv_holds_no_formula():
    stream = io.StringIO()
    write_csv([ENTRY], stream)
    (row,) = csv.DictReader(io.StringIO(stream.getvalue()))
    assert row["why"] == "'=cmd()"
    assert (row["at"], row["who"], row["run"]) == ("2023-11-14T22:13:20.000+00:00", "li", "may")
