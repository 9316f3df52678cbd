"""The `couponpress` command: exit codes, one sentence per trouble, and never a traceback."""

import asyncio
import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import openpyxl
import pytest
import redis
from redis.asyncio import Redis

from couponpress import Client
from couponpress.catalog.source import Source
from couponpress.errors import InputError
from couponpress.language import argument
from couponpress.ledger.dead_letters import note_message
from couponpress.ledger.moves import Move
from couponpress.ledger.outage import PlatformDown, tell_down
from couponpress.outcome import State
from couponpress_worker.runtime.redis_server import free_port
from tests import processes
from tests.builders import (
    KEYS,
    MCHID,
    PICTURE,
    bring_to,
    chunk_ids,
    cut_out_body,
    fleet_values,
    moved,
    on_ledger,
    png,
    producer_settings,
    stored,
)
from tests.shop import shop
from tests.waiting import soon

PRODUCERS_COMMANDS = ["submit", "status", "top", "watch", "show", "results", "pause", "resume", "cancel", "redrive"]
PRODUCERS_COMMANDS += ["limit", "share", "dead-letters", "audit", "schedule", "gateway", "metrics", "notify"]
FLEETS_COMMANDS = ["worker", "scheduler", "callback", "callback-url", "sandbox", "redis", "doctor", "health", "demo"]
FLEETS_COMMANDS += ["up"]
HEADER = "row_id,brand_id,task_id,image_generation_type,image_url"


@pytest.fixture
def client(redis_url):
    with Client(producer_settings(redis_url)) as client:
        yield client


def in_a_process(url, *words, text=None, **env):
    """Run the command as a person does."""
    given = os.environ | {"COUPONPRESS_REDIS_URL": url, "COUPONPRESS_MCHID": MCHID} | env
    command = [sys.executable, "-m", "couponpress", *map(str, words)]
    done = processes.run(command, input=text, env=given, capture_output=True, timeout=60, check=False)
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done


def row(number, brand_id="120344", url="https://wxpaylogo.qpic.cn/a.png"):
    return f"row {number},{brand_id},cut-out-{number:06},CUT_OUT,{url}"


def catalog(path, *rows):
    path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def may(tmp_path):
    """A catalog of three good rows."""
    return catalog(tmp_path / "may.csv", row(1), row(2), row(3))


@pytest.fixture
def mixed(tmp_path):
    """A catalog of two good rows and a broken one."""
    return catalog(tmp_path / "mixed.csv", row(1), row(2, brand_id="no brand"), row(3))


def is_one_sentence(ran):
    """Whether a refusal is a line for a person and nothing else."""
    return ran.code == 2 and ran.out == "" and re.fullmatch(r"couponpress: [^\n]+\.\n", ran.err) is not None


# --- help and usage ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_names_every_command(couponpress, option):
    ran = couponpress(option)
    assert ran.code == 0
    listed = re.findall(r"^  ([a-z-]+) ", ran.out.partition("Commands:")[2], re.MULTILINE)
    assert set(listed) == {*PRODUCERS_COMMANDS, *FLEETS_COMMANDS, "catalog"}


@pytest.mark.parametrize("command", PRODUCERS_COMMANDS + FLEETS_COMMANDS)
def test_every_command_has_help(couponpress, command):
    ran = couponpress(command, "-h")
    assert ran.code == 0
    assert re.match(rf"Usage: .*couponpress {command} ", ran.out)
    assert re.search(r"^\n  [A-Z](?:[^\n]+\n)+", ran.out, re.MULTILINE)[0].rstrip().endswith(".")


def test_root_help_cuts_no_sentence_off(couponpress, monkeypatch):
    for words in ([], ["schedule"], ["catalog"], ["gateway"]):
        monkeypatch.setenv("COLUMNS", "80")
        assert "..." not in couponpress(*words, "-h").out.partition("Commands:")[2]


def test_help_needs_no_setting_and_no_server(couponpress):
    ran = couponpress("submit", "-h", COUPONPRESS_REDIS_URL="nonsense", COUPONPRESS_MCHID=None)
    assert ran.code == 0


def test_without_a_command_help_is_shown(couponpress):
    ran = couponpress()
    assert ran.code == 2
    assert "Commands:" in ran.out + ran.err


def test_the_version_is_told(couponpress):
    ran = couponpress("--version")
    assert ran.code == 0
    assert re.fullmatch(r"couponpress \d+\.\d+\.\d+\n", ran.out)


@pytest.mark.parametrize(
    "words",
    [
        ["enqueue"],
        ["submit"],
        ["submit", "--fast", "may.csv"],
        ["submit", "--lane", "slow", "may.csv"],
        ["results"],
        ["results", "may", "--format", "xls"],
        ["status", "may", "june"],
    ],
    ids=" ".join,
)
def test_bad_usage_is_exit_code_2(couponpress, words):
    ran = couponpress(*words)
    assert ran.code == 2
    assert ran.err.startswith("Usage: ")


# --- submit -----------------------------------------------------------------------------------------------------------


def test_a_catalog_is_enqueued_under_its_own_name(couponpress, server, client, may):
    ran = couponpress("submit", may)
    assert ran.code == 0
    assert ran.out == ""
    assert ran.err.splitlines() == [
        "3 good rows",
        "run may: 3 enqueued. `couponpress watch may` shows its progress.",
    ]
    assert [one.row_id for one in client.outcomes("may")] == ["row 1", "row 2", "row 3"]
    assert client.run("may").lane == "bulk"


def test_run_and_lane_can_be_named(couponpress, server, client, may):
    assert couponpress("submit", may, "--run", "秋季 1", "--lane", "urgent").code == 0
    assert client.run("秋季 1").lane == "urgent"


def test_a_catalog_of_json_lines_is_enqueued(couponpress, server, client, tmp_path):
    lines = [json.dumps({"row_id": f"r{number}", **cut_out_body(number)}) for number in range(2)]
    (tmp_path / "may.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert couponpress("submit", "may.jsonl").code == 0
    assert [one.row_id for one in client.outcomes("may")] == ["r0", "r1"]


def test_the_same_catalog_again_is_the_same_work(couponpress, server, client, may):
    couponpress("submit", may)
    ran = couponpress("submit", may)
    assert ran.code == 0
    assert "run may: 0 enqueued, 3 known before (the same work)." in ran.err
    assert client.run("may").total == 3


def test_several_catalogs_are_one_run(couponpress, server, client, may, tmp_path):
    catalog(tmp_path / "june.csv", row(4))
    assert couponpress("submit", may, "june.csv").code == 0
    assert client.run("may").total == 4


def test_broken_rows_go_to_the_error_file_while_the_good_ones_go_on(couponpress, server, client, mixed, tmp_path):
    ran = couponpress("submit", mixed)
    assert ran.code == 1
    assert "2 good rows, 1 broken one" in ran.err
    assert f"broken rows and their reasons: {tmp_path / 'mixed.errors.csv'}" in ran.err
    assert client.run("mixed").total == 2
    with (tmp_path / "mixed.errors.csv").open(encoding="utf-8-sig", newline="") as stream:
        (broken,) = csv.DictReader(stream)
    assert (broken["_line"], broken["row_id"]) == ("3", "row 2")
    assert "brand_id: must be digits, letters, _ or - (got 'no brand')" in broken["_problem"]


def test_the_error_file_can_be_named(couponpress, server, mixed, tmp_path):
    assert couponpress("submit", mixed, "--errors", "mend.csv").code == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mend.csv", "mixed.csv"]


def test_the_mended_error_file_can_be_submitted(couponpress, server, client, mixed, tmp_path):
    couponpress("submit", mixed)
    errors = tmp_path / "mixed.errors.csv"
    errors.write_text(errors.read_text(encoding="utf-8").replace(",no brand,", ",120344,"), encoding="utf-8")
    assert couponpress("submit", errors, "--run", "mixed").code == 0
    assert [one.row_id for one in client.outcomes("mixed")] == ["row 1", "row 3", "row 2"]


def test_a_strict_catalog_with_a_broken_row_is_refused_whole(couponpress, server, client, mixed, tmp_path):
    ran = couponpress("submit", mixed, "--strict")
    assert is_one_sentence(ran)
    assert "1 broken row of 3" in ran.err
    assert (tmp_path / "mixed.errors.csv").exists()
    assert client.runs() == []
    assert chunk_ids(server) == []


def test_a_catalog_without_any_good_row_makes_no_run(couponpress, server, client, tmp_path):
    catalog(tmp_path / "bad.csv", row(1, brand_id="no brand"))
    ran = couponpress("submit", "bad.csv", "--watch")  # and there is nothing to wait for
    assert ran.code == 1
    assert ran.err.endswith("run bad: 0 enqueued.\n")
    assert client.runs() == []


def test_a_dry_run_shows_the_first_bodies_and_enqueues_nothing(couponpress, server, client, tmp_path):
    catalog(tmp_path / "may.csv", *(row(number) for number in range(5)))
    ran = couponpress("submit", "may.csv", "--dry-run")
    assert ran.code == 0
    bodies = [json.loads(line) for line in ran.out.splitlines()]
    assert [body["task_id"] for body in bodies] == ["cut-out-000000", "cut-out-000001", "cut-out-000002"]
    cost, last = ran.err.splitlines()[-2:]
    assert re.fullmatch(r"5 rows, 1 s at 500/s, done by [\d:]{8}", cost)
    assert last == "dry run: 5 specs would be enqueued in run may; nothing was."
    assert client.runs() == []


def test_a_dry_run_tells_the_time_at_the_rate_in_force_behind_what_waits(couponpress, redis_url, server, may):
    stored(redis_url, 3, run="before")
    server.hset(KEYS.pace("submit"), "configured", "10/second")
    ran = couponpress("submit", may, "--dry-run")
    assert re.search(r"^3 rows behind 3 that wait already, 1 s at 10/s, done by", ran.err, re.MULTILINE), ran.err


def test_a_dry_run_without_redis_takes_the_configured_rate(couponpress, may):
    away = {"COUPONPRESS_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0", "COUPONPRESS_RATE": "60/minute"}
    assert "3 rows, 3 s at 1/s, done by" in couponpress("submit", may, "--dry-run", **away).err


def test_a_dry_run_checks_every_row(couponpress, tmp_path):
    catalog(tmp_path / "may.csv", *(row(number) for number in range(9)), row(9, brand_id="no brand"))
    ran = couponpress("submit", "may.csv", "--dry-run")
    assert ran.code == 1
    assert "9 good rows, 1 broken one" in ran.err


def test_a_dry_run_needs_no_setting_and_no_server(couponpress, may):
    ran = couponpress("submit", may, "--dry-run", COUPONPRESS_REDIS_URL="nonsense", COUPONPRESS_MCHID=None)
    assert ran.code == 0


def test_a_strict_dry_run_of_a_broken_catalog_is_refused(couponpress, mixed):
    assert couponpress("submit", mixed, "--dry-run", "--strict").code == 2


@pytest.mark.parametrize("column", ["[/x]", "[red]", ":smile:"])
def test_a_column_is_named_as_it_is_whatever_it_means_as_markup(couponpress, server, tmp_path, column):
    (tmp_path / "may.csv").write_text(f"{HEADER},{column}\n{row(1)},x\n", encoding="utf-8")
    ran = couponpress("submit", "may.csv", "--run", column)
    assert ran.code == 0
    assert f"not sent, columns of may.csv: {column}" in ran.err
    assert f"run {column}: 1 enqueued. `couponpress watch {argument(column)}` shows its progress." in ran.err


def write(path, content):
    path.write_bytes(content)


BAD_FILES = {
    "missing.csv": lambda path: None,
    "directory.csv": lambda path: path.mkdir(),
    "empty.csv": lambda path: write(path, b""),
    "blank.jsonl": lambda path: write(path, b""),
    "sheet.xls": lambda path: write(path, b"x"),
    "nothing": lambda path: write(path, b"x"),
    "gbk.csv": lambda path: write(path, "品牌\n中文\n".encode("gbk")),
    "either.csv": lambda path: write(path, "é\n".encode()),
    "book.xlsx": lambda path: write(path, b"PK\x03\x04" + b"x" * 99),
    "header.csv": lambda path: write(path, b"a,b,c\n1,2,3\n"),
}


@pytest.mark.parametrize("name", BAD_FILES)
@pytest.mark.parametrize("more", [[], ["--dry-run"]], ids=["for good", "dry run"])
def test_a_file_that_is_no_catalog_is_told_in_one_sentence(couponpress, server, client, tmp_path, name, more):
    BAD_FILES[name](tmp_path / name)
    ran = couponpress("submit", name, *more)
    assert is_one_sentence(ran), ran
    assert name in ran.err
    assert client.runs() == []


def test_a_catalog_that_turns_out_not_to_be_utf8_half_way_leaves_nothing_behind(couponpress, server, client, tmp_path):
    rows = "\n".join([HEADER, *(row(number) for number in range(2000))]).encode()
    (tmp_path / "may.csv").write_bytes(rows + b"\n\xff\xff")
    ran = couponpress("submit", "may.csv")
    assert is_one_sentence(ran), ran
    assert "is not UTF-8" in ran.err
    assert client.runs() == []
    assert chunk_ids(server) == []


@pytest.mark.parametrize("more", [[], ["--dry-run"]], ids=["for good", "dry run"])
def test_an_upload_that_fails_half_way_lets_go_of_its_files(couponpress, may, monkeypatch, more):
    opened, known = [], []

    class Watched(Source):
        def __init__(self, *args):
            super().__init__(*args)
            opened.append(self)

    def fail(rows, *_):
        known.append(rows)  # somebody still holds them, as a traceback does
        next(rows)
        raise InputError("half way")

    monkeypatch.setattr("couponpress.catalog.reader.Source", Watched)
    monkeypatch.setattr("couponpress.client.batches", fail)
    monkeypatch.setattr("couponpress.cli.dry_run.islice", fail)
    ran = couponpress("submit", may, *more)
    assert (ran.code, "half way" in ran.err) == (2, True)
    assert opened
    assert all(one.closed for one in opened)


def test_a_second_catalog_that_is_missing_leaves_nothing_behind(couponpress, server, client, may):
    ran = couponpress("submit", may, "missing.csv")
    assert is_one_sentence(ran), ran
    assert client.runs() == []


def test_a_format_that_is_not_known_is_told(couponpress, server, may):
    assert is_one_sentence(couponpress("submit", may, "--format", "xlsx"))


def test_one_error_file_for_several_catalogs_is_refused(couponpress, server, may):
    assert is_one_sentence(couponpress("submit", may, may, "--errors", "errors.csv"))


def test_an_error_file_that_cannot_be_written_is_told(couponpress, server, client, mixed):
    ran = couponpress("submit", mixed, "--errors", "no/such/place.csv")
    assert is_one_sentence(ran), ran
    assert client.runs() == []


@pytest.mark.parametrize("run", [" may", "\t", "a\nb", "x" * 101], ids=ascii)
def test_an_unusable_run_name_is_told(couponpress, server, may, run):
    assert is_one_sentence(couponpress("submit", may, "--run", run))


def test_a_known_task_with_another_body_is_refused_and_nothing_is_half_enqueued(couponpress, server, client, tmp_path):
    catalog(tmp_path / "may.csv", row(1))
    couponpress("submit", "may.csv")
    before = client.run("may"), chunk_ids(server)
    changed = row(1, url="https://wxpaylogo.qpic.cn/b.png")
    catalog(tmp_path / "may.csv", *(row(number) for number in range(2, 300)), changed, row(300))
    ran = couponpress("submit", "may.csv", "--strict")
    assert is_one_sentence(ran), ran
    assert "line 300 of may.csv (row " in ran.err
    assert "task_id cut-out-000001 is already known in run 'may' with another body" in ran.err
    assert (client.run("may"), chunk_ids(server)) == before


def test_a_known_task_with_another_body_does_not_stop_the_rows_beside_it(couponpress, server, client, tmp_path):
    catalog(tmp_path / "may.csv", row(1), row(2))
    couponpress("submit", "may.csv")
    changed = [row(number, url="https://wxpaylogo.qpic.cn/b.png") for number in (1, 2)]
    catalog(tmp_path / "may.csv", *changed, row(3), row(4))
    ran = couponpress("submit", "may.csv")
    assert ran.code == 1
    assert "2 good rows, 2 broken ones" in ran.err
    assert client.run("may").total == 4
    assert "its task_id cut-out-000002 is known in run 'may' with another body" in (
        tmp_path / "may.errors.csv"
    ).read_text(encoding="utf-8")


def test_a_mended_error_file_goes_into_the_run_of_its_catalog(couponpress, server, client, tmp_path):
    catalog(tmp_path / "may.csv", row(1), row(2, url="nonsense://x"))
    ran = couponpress("submit", "may.csv")
    assert "mend its rows, then: couponpress submit may.errors.csv" in ran.err
    errors = tmp_path / "may.errors.csv"
    text = errors.read_text(encoding="utf-8").replace("nonsense://x", "https://wxpaylogo.qpic.cn/2.png")
    errors.write_text(text, encoding="utf-8")
    assert couponpress("submit", "may.errors.csv").code == 0
    assert [one.run for one in client.runs()] == ["may"]
    assert client.run("may").total == 2


def test_results_in_a_workbook_are_one(couponpress, server, may, tmp_path):
    couponpress("submit", may)
    assert couponpress("results", "may", "-o", "may-results.xlsx").code == 0
    sheet = openpyxl.load_workbook(tmp_path / "may-results.xlsx").active
    assert [cell.value for cell in sheet[1]][:2] == ["row_id", "task_id"]
    assert sheet.max_row == 4
    assert is_one_sentence(couponpress("results", "may", "--format", "xlsx"))
    assert is_one_sentence(couponpress("results", "may", "--format", "csv", "-o", "x.xlsx"))


def test_results_in_a_csv_file_tell_of_ids_that_a_spreadsheet_changes(couponpress, server, tmp_path):
    catalog(tmp_path / "may.csv", "690123456789012345,120344,,CUT_OUT,https://wxpaylogo.qpic.cn/a.png")
    couponpress("submit", "may.csv")
    cure = "-o may.results.xlsx keeps them"
    assert cure in couponpress("results", "may", "-o", "may.results.csv").err
    assert cure not in couponpress("results", "may", "-o", "may.results.xlsx").err


def test_a_run_in_the_other_lane_is_told(couponpress, server, may):
    couponpress("submit", may)
    assert is_one_sentence(couponpress("submit", may, "--lane", "urgent"))


def test_submitting_can_wait_for_the_end(couponpress, server, client, redis_url, may):
    couponpress("submit", may)
    bring_to(redis_url, "b1.1", [State.SUCCEEDED, State.SUCCEEDED, State.REJECTED])
    ran = couponpress("submit", may, "--watch")
    assert ran.code == 1
    assert "run may: 3 specs ended after" in ran.err


# --- status and watch -------------------------------------------------------------------------------------------------


def test_without_runs_the_status_says_how_to_make_one(couponpress, server):
    ran = couponpress("status")
    assert ran.code == 0
    assert "couponpress submit FILE" in ran.out


def test_the_status_lists_every_run(couponpress, server, redis_url):
    stored(redis_url, 2, run="may")
    stored(redis_url, run="now", lane="urgent", first=9)
    ran = couponpress("status")
    assert ran.code == 0
    runs = [line.partition(":")[0] for line in ran.out.splitlines() if " ended  waiting " in line]
    assert sorted(runs) == ["may", "now"]


def test_the_status_of_a_run_tells_counts_and_reasons(couponpress, server, redis_url):
    chunk_id = stored(redis_url, 4)
    moved(redis_url, chunk_id, Move(0, "accept"), *(Move(at, "reject", code="PARAM_ERROR") for at in (1, 2)))
    told = couponpress("status", "may").out.splitlines()
    assert told[0].startswith("may: 2/4 ended  waiting 1  retrying 0  accepted 1")
    assert told[1] == "         2  rejected PARAM_ERROR"


def test_the_status_as_json_has_the_promised_names(couponpress, server, redis_url):
    bring_to(redis_url, stored(redis_url, len(State)), list(State))
    told = json.loads(couponpress("status", "may", "--json").out)
    promised = ["run", "total", "waiting", "retrying", "accepted", "succeeded", "failed", "rejected", "expired"]
    promised += ["cancelled", "finished"]
    assert [name for name in promised if name not in told] == []
    assert (told["run"], told["total"], told["succeeded"], told["finished"]) == ("may", len(State), 1, False)


def test_a_finished_run_says_so_in_json(couponpress, server, redis_url):
    bring_to(redis_url, stored(redis_url), [State.SUCCEEDED])
    told = json.loads(couponpress("status", "may", "--json").out)
    assert told["finished"] is True
    assert told["finished_at"] >= told["created_at"]


@pytest.mark.parametrize("runs", [0, 1, 2])
def test_the_status_of_all_runs_as_json_is_a_list(couponpress, server, redis_url, runs):
    for number in range(runs):
        stored(redis_url, run=f"run {number}", first=number)
    assert [one["run"] for one in json.loads(couponpress("status", "--json").out)] == [
        f"run {number}" for number in range(runs)
    ]


def test_watching_a_run_that_went_well_is_exit_code_0(couponpress, server, redis_url):
    bring_to(redis_url, stored(redis_url), [State.SUCCEEDED])
    ran = couponpress("watch", "may")
    assert ran.code == 0
    assert ran.out == ""
    assert "succeeded 1  failed 0  rejected 0" in ran.err


def test_watching_a_run_that_ended_badly_is_exit_code_1(couponpress, server, redis_url):
    moved(redis_url, stored(redis_url), Move(0, "reject", code="PARAM_ERROR"))
    ran = couponpress("watch", "may")
    assert ran.code == 1
    assert "1  rejected PARAM_ERROR" in ran.err


def test_watching_without_a_name_takes_the_youngest_run(couponpress, server, redis_url):
    for number, run in enumerate(("may", "june")):
        bring_to(redis_url, stored(redis_url, run=run, first=number), [State.SUCCEEDED])
        server.zadd(KEYS.runs, {f"b{number + 1}": number})
    assert "run june: 1 spec ended" in couponpress("watch").err


def test_watching_without_any_run_is_told(couponpress, server):
    assert is_one_sentence(couponpress("watch"))


# --- results ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def ended(redis_url, server):
    """A run with a picture, a refusal in Chinese and an open spec."""
    moved(
        redis_url,
        stored(redis_url, 3),
        Move(0, "succeed", tries=1, image_url=PICTURE),
        Move(1, "reject", tries=1, code="PARAM_ERROR", message='参数错误, "品牌"', request_id="08F1-0"),
    )


EXPECTED = [
    ["row 1", "cut-out-000001", "120344", "succeeded", PICTURE, "", "", "1", ""],
    ["row 2", "cut-out-000002", "120344", "rejected", "", "PARAM_ERROR", '参数错误, "品牌"', "1", "08F1-0"],
    ["row 3", "cut-out-000003", "120344", "", "", "", "", "0", ""],
]
COLUMNS = ["row_id", "task_id", "brand_id", "outcome", "image_url", "code", "message", "attempts", "request_id"]


def test_pictures_are_downloaded_and_the_command_goes_on_where_it_stopped(couponpress, redis_url, server, tmp_path):
    answers = {"/1.png": (200, {}, png(1)), "/2.png": (404, {}, b"")}
    with shop(answers) as base:
        urls = [Move(number, "succeed", image_url=f"{base}/{number + 1}.png") for number in range(2)]
        moved(redis_url, stored(redis_url, 3), *urls)
        ran = couponpress("results", "may", "--download", "pictures")
        assert ran.code == 1
        assert "not fetched: row 2: " in ran.err
        assert "1 picture fetched into pictures, 1 spec has none (yet), 1 could not be fetched" in ran.err
        assert not ran.out
        answers["/2.png"] = answers["/1.png"]
        ran = couponpress("results", "may", "--download", "pictures", "-o", "may.csv")
        assert (ran.code, "1 picture fetched into pictures, 1 were there" in ran.err) == (0, True)
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == [
        "row_1.cut-out-000001.png",
        "row_2.cut-out-000002.png",
    ]
    assert "row 3" in (tmp_path / "may.csv").read_text(encoding="utf-8")


def test_ctrl_c_while_pictures_are_fetched_says_how_many_are_there(redis_url, server, tmp_path):
    last_asked, released = threading.Event(), threading.Event()

    def held_back():
        last_asked.set()
        released.wait(60)
        return png(1)

    pictures = [*((200, {}, png(1)) for _ in range(2)), (404, {}, b""), (200, {}, held_back)]
    with shop({f"/{number}.png": answer for number, answer in enumerate(pictures)}) as base:
        urls = [Move(number, "succeed", image_url=f"{base}/{number}.png") for number in range(4)]
        moved(redis_url, stored(redis_url, 4), *urls)
        fetching = processes.start(
            [sys.executable, "-m", "couponpress", "results", "may", "--download", "pictures"],
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=os.environ | {"COUPONPRESS_REDIS_URL": redis_url, "COUPONPRESS_MCHID": MCHID},
        )
        try:
            assert last_asked.wait(60)
            soon(lambda: len(list((tmp_path / "pictures").glob("row_*"))) >= 2 or fetching.poll() is not None)
            assert fetching.poll() is None
            fetching.send_signal(signal.SIGINT)
            _, told = fetching.communicate(timeout=30)
        finally:
            released.set()
            fetching.kill()
            fetching.communicate()
    assert fetching.returncode == 130
    # Those whose file was written a moment ago may not be counted yet.
    assert re.fullmatch("[012] of 4 pictures are there; the same command goes on", told.splitlines()[-1])


def test_results_are_a_csv_table_on_standard_output(couponpress, ended):
    ran = couponpress("results", "may")
    assert ran.code == 0
    assert ran.err == ""
    assert list(csv.reader(io.StringIO(ran.out, newline=""))) == [COLUMNS, *EXPECTED]


def test_results_can_be_json_lines(couponpress, ended):
    told = [json.loads(line) for line in couponpress("results", "may", "--format", "jsonl").out.splitlines()]
    assert [[str(one[name]) for name in COLUMNS] for one in told] == EXPECTED


def test_results_in_a_csv_file_open_in_a_spreadsheet(couponpress, ended, tmp_path):
    ran = couponpress("results", "may", "-o", "out.csv")
    assert ran.code == 0
    assert ran.out == ""
    assert ran.err == "3 lines written to out.csv\n"
    content = (tmp_path / "out.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbfrow_id,")
    assert content.count(b"\r\n") == 4
    assert list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))) == [COLUMNS, *EXPECTED]


def test_results_in_a_json_file_begin_with_json(couponpress, ended, tmp_path):
    couponpress("results", "may", "--format", "jsonl", "--output", "out.jsonl")
    assert (tmp_path / "out.jsonl").read_bytes().startswith(b'{"row_id": "row 1"')


def test_results_of_an_unknown_run_leave_no_file(couponpress, server, tmp_path):
    assert is_one_sentence(couponpress("results", "nobody", "-o", "out.csv"))
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("place", ["no/such/place.csv", "."])
def test_a_place_that_cannot_be_written_is_told(couponpress, ended, place):
    ran = couponpress("results", "may", "-o", place)
    assert is_one_sentence(ran), ran
    assert "cannot be written" in ran.err


# --- pause and resume -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [[], ["may"]], ids=["everything", "one run"])
def test_pausing_and_resuming_say_what_they_did(couponpress, server, redis_url, words):
    stored(redis_url)
    told = [couponpress(command, *words) for command in ("pause", "pause", "resume", "resume")]
    assert [ran.code for ran in told] == [0, 0, 0, 0]
    assert [ran.err for ran in told] == [
        "paused\n",
        "it was held already; `couponpress status` says why\n",
        "goes on\n",
        "nothing was held there; `couponpress status` shows holds\n",
    ]


def test_the_status_tells_an_outage_of_the_platform(couponpress, redis_url):
    async def tell(reason):
        async with Redis.from_url(redis_url) as client:
            await tell_down(client, KEYS, PlatformDown(0.0, reason))

    asyncio.run(tell("HTTP_503: down"))
    ran = couponpress("status")
    moment = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d"
    assert re.search(rf"the platform seems to be down since {moment} \(HTTP_503: down\): only probes", ran.out)
    with redis.Redis.from_url(redis_url) as client:
        assert 0 < client.pttl(KEYS.outage) <= 5000
        client.delete(KEYS.outage)
    assert "down" not in couponpress("status").out


def test_the_status_tells_holds_and_their_cures(couponpress, server, redis_url):
    stored(redis_url)
    couponpress("pause", "may")
    ran = couponpress("status")
    assert "HELD: paused by hand" in ran.out
    assert "held: run may: paused by hand\n      cure: `couponpress resume may` lets it go on" in ran.out


def test_a_brand_is_paused_and_resumed(couponpress, server, redis_url):
    stored(redis_url)
    assert couponpress("pause", "--brand", "120344").err == "paused\n"
    assert "held: brand 120344: paused by hand\n      cure: `couponpress resume --brand 120344` lets it go on" in (
        couponpress("status").out
    )
    assert couponpress("resume", "--brand", "120344").err == "goes on\n"


def test_what_matches_a_filter_is_paused_and_resumed(couponpress, server, redis_url):
    stored(redis_url, 3)
    stored(redis_url, 2, run="june", first=10)
    told = couponpress("pause", "may", "--brand", "120344", "--dry-run")
    assert "3 specs of 1 run match run=may brand=120344" in told.err
    assert "dry run" in told.err
    assert couponpress("pause", "may", "--brand", "120344", "--why", "a question").code == 0
    told = couponpress("status", "may").out
    assert "waiting 0" in told
    assert "paused 3" in told
    assert "holds" not in told
    assert "3 specs of it are paused" in couponpress("resume", "may").err
    assert "3 specs resumed" in couponpress("resume", "--state", "paused").err
    assert "paused" not in couponpress("status", "may").out
    assert "5 specs paused" in couponpress("pause", "--lane", "bulk", "--for", "2h").err
    assert is_one_sentence(couponpress("pause", "--state", "succeeded"))


@pytest.mark.parametrize("brand", ["999999x", "999999"])
def test_a_brand_that_no_spec_names_is_paused_with_a_warning(couponpress, server, redis_url, brand):
    stored(redis_url)
    told = couponpress("pause", "--brand", brand)
    assert told.code == 0
    assert told.err.startswith(
        f"paused\nno spec so far names the brand '{brand}': if it is misspelled, nothing else is"
    )
    assert f"`couponpress resume --brand {brand}` takes it back" in told.err
    assert f"held: brand {brand}: paused by hand" in couponpress("status").out


def test_holds_are_told_as_json_with_the_runs_that_they_concern(couponpress, server, redis_url):
    stored(redis_url)
    stored(redis_url, run="june", first=2)
    for words in (["may"], ["--brand", "7"]):
        couponpress("pause", *words)
    runs = {one["run"]: one["holds"] for one in json.loads(couponpress("status", "--json").out)}
    assert {run: [(hold["kind"], hold["scope"]) for hold in holds] for run, holds in runs.items()} == {
        "may": [("run", "may"), ("brand", "7")],
        "june": [("brand", "7")],
    }
    (hold,) = json.loads(couponpress("status", "june", "--json").out)["holds"]
    assert (hold["reason"], hold["cure"]) == ("paused by hand", "`couponpress resume --brand 7` lets it go on")
    assert hold["since"] > 1.7e9


# --- cancel -----------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """A person who types."""

    def isatty(self):
        return True


def test_cancelling_a_run_says_how_many(couponpress, server, redis_url):
    stored(redis_url, 3)
    ran = couponpress("cancel", "may")
    assert (ran.code, ran.err) == (0, "3 specs cancelled; what was accepted before goes on to completion\n")
    assert json.loads(couponpress("status", "may", "--json").out)["cancelled"] == 3
    assert "CANCELLED,taken back by `cancel` before the platform accepted it" in couponpress("results", "may").out


def test_cancelling_everything_asks_and_a_script_must_say_so(couponpress, server, redis_url):
    stored(redis_url, 3)
    ran = couponpress("cancel")
    assert is_one_sentence(ran)
    assert "3 specs of 1 run" in ran.err
    assert "--yes" in ran.err
    assert couponpress("cancel", "--yes").err.startswith("3 specs cancelled")


@pytest.mark.parametrize(("typed", "cancelled"), [("y\n", 2), ("n\n", 0), ("\n", 0)])
def test_a_person_is_asked_before_everything_is_cancelled(
    couponpress, server, redis_url, monkeypatch, typed, cancelled
):
    stored(redis_url, 2)
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    ran = couponpress("cancel")
    assert ran.code == 0
    assert "Cancel 2 specs of 1 run?" in ran.out + ran.err
    assert json.loads(couponpress("status", "may", "--json").out)["cancelled"] == cancelled


# --- trouble ----------------------------------------------------------------------------------------------------------

ASKING = [
    ["submit", "may.csv"],
    ["status"],
    ["status", "may"],
    ["status", "--json"],
    ["watch"],
    ["watch", "may"],
    ["results", "may"],
    ["results", "may", "-o", "out.csv"],
    ["pause"],
    ["pause", "may"],
    ["resume"],
    ["resume", "may"],
    ["cancel", "--yes"],
    ["cancel", "may"],
]


@pytest.mark.parametrize("words", ASKING, ids=" ".join)
def test_an_unreachable_redis_is_one_sentence(couponpress, may, words):
    url = f"redis://:s3cret@127.0.0.1:{free_port()}/0"
    ran = couponpress(*words, COUPONPRESS_REDIS_URL=url)
    assert is_one_sentence(ran), ran
    assert "does not answer" in ran.err
    assert "s3cret" not in ran.err


@pytest.mark.parametrize("words", ASKING, ids=" ".join)
def test_a_missing_setting_is_one_sentence(couponpress, may, words):
    ran = couponpress(*words, COUPONPRESS_MCHID=None)
    assert is_one_sentence(ran), ran
    assert "COUPONPRESS_MCHID" in ran.err


@pytest.mark.parametrize("command", ["status", "watch", "results", "pause", "resume"])
@pytest.mark.parametrize("name", ["nobody", "[/x]", "\udcff", "没有"], ids=ascii)
def test_an_unknown_run_is_one_sentence(couponpress, server, command, name):
    ran = couponpress(command, name)
    assert is_one_sentence(ran), ran
    assert f"there is no run named {name!r}" in ran.err


@pytest.mark.parametrize("command", ["worker", "scheduler", "callback"])
def test_a_service_without_settings_names_every_missing_one_at_once(couponpress, command):
    ran = couponpress(command, COUPONPRESS_MCHID=None)
    assert is_one_sentence(ran), ran
    for name in ("MCHID", "MCH_SERIAL_NO", "MCH_PRIVATE_KEY_FILE", "WECHATPAY_PUBLIC_KEY_ID", "APIV3_KEY_FILE"):
        assert f"COUPONPRESS_{name}" in ran.err


@pytest.mark.parametrize("command", ["worker", "scheduler", "callback"])
def test_a_service_whose_key_is_missing_names_the_file(couponpress, command):
    env = {f"COUPONPRESS_{name.upper()}": value for name, value in fleet_values().items()}
    ran = couponpress(command, **env)
    assert is_one_sentence(ran), ran
    assert "keys/apiclient_key.pem cannot be read" in ran.err


# --- as a person runs it ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", ["submit", "schedule", "gateway", "worker", "doctor", "notify"])
def test_a_command_of_every_group_runs_as_it_is_installed(group):
    """Most tests fork theirs from a process that has imported everything."""
    script = Path(sys.executable).with_name("couponpress")
    done = subprocess.run([script, group, "-h"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split()[:3] == ["Usage:", "couponpress", group]


def test_the_command_runs_as_a_module():
    command = [sys.executable, "-m", "couponpress", "-h"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0
    assert b"Usage:" in done.stdout


def test_a_catalog_may_come_through_a_pipe(redis_url, server, client):
    text = f"{HEADER}\n{row(1)}\n".encode()
    done = in_a_process(redis_url, "submit", "-", "--format", "csv", "--run", "piped", text=text)
    assert done.returncode == 0, done.stderr
    assert client.run("piped").total == 1


def test_a_catalog_through_a_pipe_needs_a_name(redis_url, server):
    done = in_a_process(redis_url, "submit", "-", "--format", "csv", text=b"")
    assert done.returncode == 2
    assert done.stderr == b"couponpress: a catalog from standard input has no name: say --run NAME.\n"


@pytest.mark.parametrize("encoding", ["ascii", "gbk"])
def test_results_are_utf8_whatever_the_terminal_is(redis_url, ended, encoding):
    done = in_a_process(redis_url, "results", "may", PYTHONIOENCODING=encoding)
    assert done.returncode == 0
    assert list(csv.reader(io.StringIO(done.stdout.decode("utf-8"), newline=""))) == [COLUMNS, *EXPECTED]


def test_a_status_that_the_terminal_cannot_show_is_no_fault(redis_url, server):
    stored(redis_url, run="秋季")
    done = in_a_process(redis_url, "status", PYTHONIOENCODING="latin-1")
    assert done.returncode == 0
    assert done.stdout.startswith(b"\\u79cb\\u5b63: 0/1 ended")


def test_a_reader_that_has_seen_enough_is_no_fault(redis_url, server, client):
    client.enqueue_many(({"row_id": str(number), **cut_out_body(number)} for number in range(3000)), run="may")
    env = os.environ | {"COUPONPRESS_REDIS_URL": redis_url, "COUPONPRESS_MCHID": MCHID}
    writer = processes.start(
        [sys.executable, "-m", "couponpress", "results", "may"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
    )
    with writer:
        assert writer.stdout.readline().startswith(b"row_id,")
        writer.stdout.close()
        told = writer.stderr.read()
    assert told == b""


def test_ctrl_c_while_watching_ends_quietly(redis_url, server):
    stored(redis_url)
    env = os.environ | {"COUPONPRESS_REDIS_URL": redis_url, "COUPONPRESS_MCHID": MCHID}
    watching = processes.start(
        [sys.executable, "-m", "couponpress", "watch", "may"], stderr=subprocess.PIPE, text=True, env=env
    )
    with watching:
        assert watching.stderr.readline().startswith("no worker runs")  # nobody is there who would submit
        assert any(line.startswith("may: 0/1 ended") for line in watching.stderr)
        watching.send_signal(signal.SIGINT)
        told = watching.stderr.read()
    assert watching.returncode == 130
    assert told.splitlines()[-1] == "the run goes on; `couponpress watch may` shows its progress again"
    assert "Traceback" not in told


def test_ctrl_c_during_an_upload_leaves_nothing_behind(redis_url, server, client):
    env = os.environ | {"COUPONPRESS_REDIS_URL": redis_url, "COUPONPRESS_MCHID": MCHID}
    uploading = processes.start(
        [sys.executable, "-m", "couponpress", "submit", "-", "--format", "csv", "--run", "may"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
    )
    try:
        rows = "\n".join([HEADER, *(row(number) for number in range(1000))])
        uploading.stdin.write(rows.encode())
        uploading.stdin.flush()
        # The pipe stays open: the upload cannot end by itself. It has stored most, and waits for more to read: a signal
        # that comes between a process's last instruction and its call of read() is seen after that call only.
        soon(lambda: int(server.hget(KEYS.run("b1"), "uploading") or 0) >= 800)
        soon(lambda: "pipe_read" in Path(f"/proc/{uploading.pid}/wchan").read_text())
        assert uploading.poll() is None
        uploading.send_signal(signal.SIGINT)
        uploading.wait(30)
        told = uploading.stderr.read()
    finally:
        uploading.kill()
        uploading.communicate()
    assert uploading.returncode == 130
    assert b"Traceback" not in told
    assert client.runs() == []
    assert chunk_ids(server) == []


def test_limit_shows_the_rate_in_force_and_why(couponpress, server):
    assert "not known, no worker" in couponpress("limit").out
    server.hset(KEYS.pace("submit"), "configured", "500/second")
    assert "in force: 500/second" in couponpress("limit").out
    now_us = int(server.time()[0]) * 1_000_000
    found = {"limit": 200, "since": now_us - 60_000_000, "hold": now_us + 8_000_000, "quiet": now_us + 5_000_000}
    server.hset(KEYS.pace("submit"), mapping=found)
    server.hset(KEYS.bucket("submit"), "spacing", 5101)
    told = couponpress("limit")
    assert (told.code, told.err) == (0, "")
    for line in (
        "in force: 200/second\n",
        "the platform took 200 in a second",
        "quiet: nothing is sent for ",
        "196.0 per",
    ):
        assert line in told.out
    told = json.loads(couponpress("limit", "--json").out)
    assert (told["in_force"], told["why"], told["configured"]) == ("200/second", "throttled", "500/second")
    server.hset(KEYS.pace("submit"), "hold", now_us - 1)
    assert "in force: 200/second and climbing\n" in couponpress("limit").out


def test_limit_sets_the_rate_by_hand_and_takes_it_back(couponpress, server):
    server.hset(KEYS.pace("submit"), mapping={"configured": "500/second", "limit": 200, "hold": 1, "quiet": 2**52})
    assert "in force: 600/minute\n" in couponpress("limit", "600/minute").out
    assert server.hgetall(KEYS.pace("submit")).keys() == {b"configured", b"amount", b"window", b"by_hand"}
    assert json.loads(couponpress("limit", "--json").out)["why"] == "by hand"
    told = couponpress("limit", "default").out
    assert "by hand" not in told
    assert "in force: 500/second\n" in told


@pytest.mark.parametrize("wrong", ["0/second", "500", "500/hour", "fast", "1000000/second"])
def test_a_limit_that_is_no_rate_changes_nothing(couponpress, server, wrong):
    told = couponpress("limit", wrong)
    assert told.code == 2
    assert 'reads like "500/second"' in told.err
    assert not server.exists(KEYS.pace("submit"))


@pytest.mark.parametrize(
    ("rate", "warns"), [("500/second", False), ("501/second", True), ("30000/minute", False), ("30001/minute", True)]
)
def test_a_limit_above_the_platforms_is_set_with_a_warning(couponpress, rate, warns):
    told = couponpress("limit", rate)
    assert told.code == 0
    assert f"in force: {rate}" in told.out
    assert ("above the 500 a second that the platform grants" in told.err) is warns
    assert couponpress("limit", "default").err == ""


def test_a_found_limit_above_the_rate_by_hand_lowers_nothing(couponpress, server):
    server.hset(KEYS.pace("submit"), mapping={"amount": 100, "window": 1_000_000, "by_hand": 1, "limit": 200})
    told = json.loads(couponpress("limit", "--json").out)
    assert (told["in_force"], told["why"]) == ("100/second", "by hand")


def test_a_missing_file_is_told_before_missing_settings(tmp_path):
    command = [sys.executable, "-m", "couponpress", "submit", str(tmp_path / "nowhere.csv")]
    done = processes.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "nowhere.csv cannot be read (No such file or directory)" in done.stderr
    assert "Traceback" not in done.stderr


# --- redrive and dead letters -----------------------------------------------------------------------------------


def test_redrive_sends_again_by_filter_and_says_how_many(couponpress, redis_url, server):
    chunk_id = stored(redis_url, 3)
    moved(redis_url, chunk_id, Move(0, "reject", code="NO_AUTH"), Move(1, "fail", code="FAIL"), Move(2, "succeed"))
    ran = couponpress("redrive", "may", "--code", "NO_AUTH")
    assert ran.code == 0
    assert "run may: 1 spec goes again. `couponpress watch may`" in ran.err
    assert "when they are queried" not in ran.err
    ran = couponpress("redrive", "may", "--outcome", "rejected")
    assert "run may: 0 specs go again. `couponpress status may`" in ran.err
    ran = couponpress("redrive", "may")
    assert "0 specs go again" in ran.err
    assert "1 failed spec was left out" in ran.err
    assert "`couponpress redrive may --outcome failed`" in ran.err
    ran = couponpress("redrive", "may", "--outcome", "failed")
    assert "1 spec goes again" in ran.err
    assert "known when they are queried, COUPONPRESS_CALLBACK_SPAN (13 minutes unless set) after" in ran.err
    assert "left out" not in ran.err
    assert couponpress("redrive", "may", "--outcome", "succeeded").code == 2
    assert couponpress("redrive", "nobody's").code == 2


def test_status_tells_reasons_and_dead_letters(couponpress, redis_url, server):
    chunk_id = stored(redis_url, 2)
    moved(redis_url, chunk_id, Move(0, "reject", code="NO_AUTH"))
    server.hset(KEYS.chunk(chunk_id), "z", b"garbage")
    on_ledger(redis_url, lambda ledger: ledger.leases.lease(chunk_id, "me"))
    note_message(server, KEYS, KEYS.queue("bulk"), "not JSON", b"what is \xff this")
    told = json.loads(couponpress("status", "may", "--json").out)
    assert told["reasons"] == {"rejected NO_AUTH": 1, "expired DEAD_LETTER": 1}
    assert told["dead_letter_chunks"] == 1
    assert told["finished"] is True
    shown = couponpress("status").out
    assert "dead letter: chunk b1.1 of may, 1 spec: its stored bytes cannot be unpacked" in shown
    assert "couponpress redrive may --code DEAD_LETTER" in shown
    assert "dead letter: 1 message, no hints" in shown
    assert "not JSON: what is \\xff this" in shown
    assert "messages" not in couponpress("status", "may").out


def test_a_pause_says_why_and_until_when(couponpress, server, redis_url):
    stored(redis_url)
    assert couponpress("pause", "may", "--for", "30m", "--why", "a look").err == "paused\n"
    assert couponpress("pause", "may", "--for", "10m").err.startswith("it was held already")
    told = couponpress("status").out
    assert re.search(r"held: run may: paused by hand: a look, until 20\S+ \S+\n", told)
    assert re.search(r"\n      by: \S+ \(cli, \S+\) since 20", told)
    (hold,) = json.loads(couponpress("status", "may", "--json").out)["holds"]
    assert (hold["why"], hold["by"]["door"], hold["until"] > hold["since"]) == ("a look", "cli", True)


@pytest.mark.parametrize("words", [["--for", "never"], ["--until", "25:00"], ["--for", "1h", "--until", "23:00"]])
def test_an_end_that_makes_no_sense_pauses_nothing(couponpress, server, words):
    ran = couponpress("pause", *words)
    assert (ran.code, ran.out) == (2, "")
    assert server.hlen(KEYS.holds) == 0


def test_a_limit_may_end_by_itself(couponpress, server):
    told = couponpress("limit", "100/second", "--for", "2h", "--why", "slowly").out
    assert re.search(r"by hand: 100/second since \S+ \S+ until 20\S+ \S+;", told)
    assert couponpress("limit", "default", "--for", "2h").code == 2
    assert couponpress("limit", "--for", "2h").code == 2


def test_the_audit_log_is_shown_filtered_and_as_data(couponpress, server, redis_url):
    stored(redis_url)
    couponpress("pause", "may", "--why", "a look")
    couponpress("resume", "may")
    assert [line.split("  ")[1] for line in couponpress("audit").out.splitlines()] == [
        "resume run may",
        "pause run may",
    ]
    (line,) = couponpress("audit", "--act", "pause", "--json").out.splitlines()
    entry = json.loads(line)
    assert (entry["act"], entry["run"], entry["door"], entry["why"]) == ("pause", "may", "cli", "a look")
    assert len(couponpress("audit", "--since", "1h", "--csv").out.splitlines()) == 3
    assert couponpress("audit", "--until", "2020-01-01").out == ""
    assert couponpress("audit", "--who", "nobody-of-that-name").out == ""
    assert couponpress("audit", "--json", "--csv").code == 2
    assert couponpress("audit", "--since", "sometime").code == 2


def test_specs_that_match_are_counted_cancelled_and_sent_again(couponpress, server, redis_url):
    stored(redis_url, 3)
    stored(redis_url, 2, run="june", first=10)
    told = couponpress("cancel", "--brand", "120344", "--dry-run")
    assert told.err.splitlines()[0] == "5 specs of 2 runs match brand=120344"
    assert told.err.endswith("dry run: nothing was changed\n")
    assert couponpress("cancel", "--brand", "120344", "--lane", "urgent").err.startswith("0 specs of 0 runs match")
    assert "5 specs cancelled" in couponpress("cancel", "--brand", "120344", "--why", "wrong").err
    assert couponpress("redrive", "--outcome", "cancelled", "--dry-run").err.startswith("5 specs of 2 runs match")
    assert "2 specs to be sent again" in couponpress("redrive", "june", "--outcome", "cancelled", "--lane", "bulk").err
    with Client(producer_settings(redis_url)) as client:
        assert {one.run: (one.waiting, one.cancelled) for one in client.runs()} == {"may": (0, 3), "june": (2, 0)}


@pytest.mark.parametrize(
    "words",
    [["redrive"], ["redrive", "--dry-run"], ["cancel", "--dry-run"], ["cancel", "--lane", "slow"]]
    + [["cancel", "--older-than", "ages"], ["cancel", "--state", "accepted"], ["redrive", "nothing", "--brand", "7"]],
)
def test_a_filter_that_makes_no_sense_changes_nothing(couponpress, server, redis_url, words):
    stored(redis_url, 3)
    ran = couponpress(*words)
    assert (ran.code, ran.out) == (2, "")
    with Client(producer_settings(redis_url)) as client:
        assert client.run("may").waiting == 3


def test_many_specs_are_not_changed_without_a_word(couponpress, server, redis_url, monkeypatch):
    monkeypatch.setattr("couponpress.cli.selecting.UNASKED_SPECS", 2)
    stored(redis_url, 3)
    ran = couponpress("cancel", "--brand", "120344")
    assert ran.code == 2
    assert "give --yes" in ran.err
    assert "3 specs cancelled" in couponpress("cancel", "--brand", "120344", "--yes").err


def test_dead_letters_are_shown_counted_and_deleted(couponpress, server, redis_url):
    with redis.Redis.from_url(redis_url) as client:
        note_message(client, KEYS, "bulk", "no hint", b"hello")
    assert "dead letter: 1 message" in couponpress("dead-letters").out
    assert "0 chunks and 1 message would be deleted" in couponpress("dead-letters", "--delete", "--dry-run").err
    told = couponpress("dead-letters", "--delete")
    assert (told.code, "give --yes" in told.err) == (2, True), "nobody is there to ask"
    assert "0 chunks and 1 message deleted" in couponpress("dead-letters", "--delete", "--yes", "--why", "seen").err
    assert couponpress("dead-letters").out == ""
    with Client(producer_settings(redis_url)) as producer:
        (entry,) = producer.audit(act="delete-dead-letters")
    assert (entry.door, entry.why) == ("cli", "seen")
    assert couponpress("dead-letters", "nothing").code == 2
