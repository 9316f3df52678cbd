"""Audit entries as lines and as CSV."""

import csv
import io

from couponpress.cli.audit import lines, write_csv
from couponpress.ledger.audit import AuditEntry

ENTRY = AuditEntry("1700000000000-0", 1.7e9, "pause", "done", "may", "", "until 06:00", "cli", "li", "ops-1", "=cmd()")
BARE = AuditEntry("1700000000000-0", 1.7e9, "pause", "done", "", "", "", "fleet", "worker", "", "")


def test_a_line_says_what_who_and_why():
    told, bare = lines([ENTRY, BARE])
    assert told.endswith("  pause run may until 06:00  done  li (cli, ops-1): =cmd()")
    assert bare.endswith("  pause everything  done  worker (fleet)")


def test_csv_holds_no_formula():
    stream = io.StringIO()
    write_csv([ENTRY], stream)
    (row,) = csv.DictReader(io.StringIO(stream.getvalue()))
    assert row["why"] == "'=cmd()"
    assert (row["at"], row["who"], row["run"]) == ("2023-11-14T22:13:20.000+00:00", "li", "may")
