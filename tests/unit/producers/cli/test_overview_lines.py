"""The screen of `top`, as text of a terminal of some width."""

import io
import json
import re

import pytest
from rich.console import Console

from couponpress.cli.overview_lines import MOST_HOLDS, MOST_RUNS, drawn, screen
from couponpress.cli.wide_text import columns
from couponpress.language import speaking
from couponpress.overview.send_rate import SendRate
from tests.builders import overview

NOW = 1_700_000_000


def shown(told, width=120):
    output = io.StringIO()
    Console(file=output, width=width, highlight=False, markup=False, emoji=False).print(screen(told))
    return output.getvalue()


def present(role, state="", pid=1, in_hand=0):
    told = {"role": role, "host": "node-7", "pid": pid, "state": state, "in_hand": in_hand}
    return f"{NOW} ".encode() + json.dumps(told).encode()


def record(name, **counts):
    fields = {b"name": name.encode(), b"total": str(sum(counts.values())).encode()}
    fields |= {state.encode(): str(count).encode() for state, count in counts.items()}
    if not counts.keys() & {"waiting", "retrying", "looking", "accepted"}:
        fields[b"finished_ms"] = b"5"
    return fields, {}, {}


def busy(**changes):
    sent = SendRate()
    sent.add([[(NOW - ago) * 1_000_000 + at for at in range(400)] for ago in range(2, 100)])
    told = {
        "now": NOW,
        "counts": {b"b waiting": b"41000", b"b accepted": b"12"},
        "present": {b"a": present("worker", "sending", 4711, 3), b"b": present("callback", pid=12)},
        "submit_pace": {b"configured": b"500/second"},
        "bulk_oldest": [(b"b1.1", (NOW - 90) * 1000.0)],
        "bulk_chunks": 410,
        "info": {
            "redis_version": "7.2.4",
            "used_memory": 5_000_000,
            "aof_enabled": 1,
            "maxmemory_policy": "noeviction",
        },
        "runs": 2,
        "records": {
            "b1": record("autumn", waiting=41000, accepted=12, succeeded=8988),
            "b2": record("spring", succeeded=5),
        },
    }
    return overview(sent=sent, **told | changes)


def test_the_essentials_are_shown():
    text = shown(busy())
    lines = text.splitlines()
    assert lines[0].startswith("workers: 400 requests a second leave of 500")
    assert "400 of 500 requests a second; limit 500/second; the most in any 1 s of ten minutes: 401" in text
    assert "41,000" in text
    assert "1 min" in text or "90 s" in text
    assert "node-7" in text
    assert "4711" in text
    assert "redis 7.2.4: 5 MB, noeviction, append-only file" in text
    assert "autumn" in text
    assert "17 %" in text
    assert "sent in 82 s" in text


@pytest.mark.parametrize("width", [80, 100, 200])
def test_no_line_is_wider_than_the_terminal(width):
    assert max(map(len, shown(busy(), width=width).splitlines())) <= width


def test_an_empty_fleet_is_a_short_screen():
    text = shown(overview())
    assert text.startswith("nothing to do: no spec is open\n")
    assert "worker" not in text.replace("no worker has told", "")
    assert len(text.splitlines()) < 10


def test_what_refusals_taught_is_told():
    pace = {b"configured": b"500/second", b"limit": b"200", b"since": b"1", b"cut": str((NOW - 30) * 10**6).encode()}
    pace |= {b"hold": str((NOW + 12) * 10**6).encode(), b"refused": b"4", b"before": b"488"}
    text = shown(busy(submit_pace=pace), width=200)
    assert "submits: the platform refused 4 requests 30 s ago at 488 a second and takes 200;" in text
    assert "a little more is tried in 12 s" in text


def test_troubles_are_told_with_their_cures():
    hold = json.dumps({"reason": "SIGN_ERROR: wrong key", "cure": "mend the key", "since": 5.0}).encode()
    down = json.dumps({"since": 5.0, "reason": "HTTP_502: bad gateway"}).encode()
    text = shown(busy(holds={b"partner": hold}, outage=down, dead_chunks=2, info={"aof_enabled": 0}))
    for part in (
        "SIGN_ERROR: wrong key",
        "cure: mend the key",
        "HTTP_502: bad gateway",
        "2 chunks",
        "set appendonly yes",
    ):
        assert part in text


def test_long_lists_are_cut_and_say_so():
    hold = json.dumps({"reason": "NO_AUTH", "cure": "ask", "since": 5.0}).encode()
    many = busy(
        holds={f"brand:{at}".encode(): hold for at in range(MOST_HOLDS + 3)},
        records={f"b{at}": record(f"run {at}", waiting=5) for at in range(40)},
        runs=40,
        present={str(at).encode(): present("worker", "sending", at) for at in range(20)},
    )
    text = shown(many)
    assert "3 more scopes" in text
    assert f"and {40 - MOST_RUNS} more" in text
    assert "and 8 more" in text


def test_open_runs_come_before_finished_ones():
    text = shown(busy(records={"b2": record("spring", succeeded=5), "b1": record("autumn", waiting=5)}))
    assert text.index("autumn") < text.index("spring")


def test_nothing_that_a_person_typed_is_taken_for_markup():
    assert "[red]sale[/red]" in shown(busy(records={"b1": record("[red]sale[/red]", waiting=5)}))


@pytest.mark.parametrize(("series", "line"), [([], ""), ([0] * 20, "▁▁"), ([5] * 20, "██")])
def test_the_drawn_rate(series, line):
    assert drawn(series) == line


def test_columns_stand_below_their_heads_in_chinese_too():
    with speaking("zh_CN"):
        lines = shown(
            busy(present={b"a": present("worker", "sending", 4711, 3), b"b": present("worker", "stuck", 12, 40)})
        )
    lines = lines.splitlines()
    (head,) = [number for number, line in enumerate(lines) if line.startswith("进程")]
    last = "处理中的分块"
    right_edge = columns(lines[head].rstrip())
    assert lines[head].rstrip().endswith(last)
    for line, state in zip(lines[head + 1 : head + 3], ("卡住", "发送中"), strict=True):
        assert columns(line.rstrip()) == right_edge
        assert columns(line[: line.index(state)]) == columns(lines[head][: lines[head].index("状态")])
    assert all(columns(line) <= 120 for line in lines)
    assert not [line for line in lines if re.search("[A-Za-z]{2,} [A-Za-z]{2,}", line.replace("noeviction", ""))]


def test_no_two_columns_of_the_lanes_have_one_name():
    for language in ("en", "zh_CN"):
        with speaking(language):
            lines = shown(busy(), width=160).splitlines()
            (bulk,) = [at for at, line in enumerate(lines) if "410" in line]
            heads = lines[bulk - 2]
            names = re.split(r"\s{2,}", heads.strip())
            assert len(set(names)) == len(names), names
