"""Catalogs as a marketing colleague has them, through the real command: workbooks, GB18030, headers of one's own."""

import csv
import io
import json
import os
import signal
import subprocess
import sys

import openpyxl
import pytest

from couponpress import Client
from tests import processes
from tests.builders import KEYS, MCHID, producer_settings
from tests.unit.producers.catalog.test_workbook import workbook
from tests.unit.producers.catalog.test_workbook_parts import changed_sheet
from tests.waiting import soon

HEADER = ["商品编号", "品牌ID", "优惠范围", "券类型", "门槛(元)", "减免(元)"]
ROWS = [
    ["SP-1", 120344, "全场", "满减券", 199.9, 20],
    ["SP-2", 12034412345678901, "全场", "满减券", 100, 9.9],
    ["SP-3", "120345", "全场", "满减券", "一百", 9.9],
]


@pytest.fixture
def client(redis_url):
    with Client(producer_settings(redis_url)) as client:
        yield client


@pytest.fixture
def submitted(couponpress):
    """Run the command; returns what it said."""

    def run(*words, code=0, text=None):
        ran = couponpress(*words, stdin=text)
        assert ran.code == code, ran.err
        return ran.out, ran.err

    return run


def sent(client, run):
    return {one.row_id: one.brand_id for one in client.outcomes(run)}


@pytest.mark.parametrize("through", ["file", "pipe"])
def test_a_workbook_is_submitted_and_its_error_file_mended(submitted, client, tmp_path, through):
    book = openpyxl.Workbook()
    for row in (HEADER, *ROWS):
        book.active.append(row)
    book.save(tmp_path / "may.xlsx")
    if through == "file":
        _, err = submitted("submit", "may.xlsx", code=1)
        errors = tmp_path / "may.errors.xlsx"
    else:
        text = (tmp_path / "may.xlsx").read_bytes()
        _, err = submitted("submit", "-", "--format", "xlsx", "--run", "may", code=1, text=text)
        errors = tmp_path / "stdin.errors.xlsx"
    assert "1 good row, 2 broken ones" in err
    assert sent(client, "may") == {"SP-1": "120344"}
    mended = openpyxl.load_workbook(errors)
    sheet = mended.active
    assert [cell.value for cell in sheet[1]][:3] == ["_line", "_problem", "商品编号"]
    assert "品牌ID: has more digits than Excel keeps of a number" in sheet["B2"].value
    sheet["D2"], sheet["G3"] = "12034412345678901", 100
    mended.save(errors)
    submitted("submit", errors.name, "--run", "may")
    assert sent(client, "may") == {"SP-1": "120344", "SP-2": "12034412345678901", "SP-3": "120345"}


def test_a_table_in_gb18030_is_submitted_and_its_error_file_mended(submitted, client, tmp_path):
    out = io.StringIO()
    csv.writer(out, delimiter=";").writerows([HEADER, *ROWS])
    (tmp_path / "五月.csv").write_bytes(out.getvalue().encode("gb18030"))
    submitted("submit", "五月.csv", "--run", "may", code=1)
    assert sent(client, "may") == {"SP-1": "120344", "SP-2": "12034412345678901"}
    errors = tmp_path / "五月.errors.csv"
    text = errors.read_bytes().decode("gb18030")
    assert text.startswith("_line;_problem;商品编号;")
    # The reason quotes the cell; only the cell itself is mended.
    errors.write_bytes(text.replace(";一百;", ";100;").encode("gb18030"))
    submitted("submit", errors.name, "--run", "may")
    assert sent(client, "may")["SP-3"] == "120345"


def test_headers_of_ones_own_are_saved_and_used_again(submitted, client, tmp_path):
    text = "店,满(元)x,减,品类\n120344,100,9.9,全场\n"
    (tmp_path / "may.csv").write_text(text, encoding="utf-8")
    maps = ["--map", "店=brand_id", "--map", "满(元)x=threshold_yuan", "--map", "减=discount_yuan"]
    (tmp_path / "own.toml").write_text('[columns]\n"品类" = "scope"\n[fixed]\ntype = "满减券"\n', encoding="utf-8")
    out, _ = submitted("submit", "may.csv", "--dry-run", *maps, "--mapping", "own.toml", "--save-mapping", "all.toml")
    assert json.loads(out)["combine_image"]["normal_coupon"] == {"threshold": 10000, "discount_amount": 990}
    submitted("submit", "may.csv", "--mapping", "all.toml")
    assert sent(client, "may") == {"2": "120344"}
    _, err = submitted("submit", "may.csv", "--map", "店=brand", code=2)
    assert err.startswith("couponpress: --map: there is no field 'brand'; the fields are row_id, task_id, brand_id,")


@pytest.mark.parametrize("name", ["coupons.xlsx", "example.csv"])
def test_the_template_passes_a_dry_run_as_it_is(submitted, tmp_path, name):
    more = [] if name == "coupons.xlsx" else ["-o", name]
    _, err = submitted("catalog", "template", *more)
    assert f"couponpress submit --dry-run {name}" in err
    out, err = submitted("submit", "--dry-run", name)
    assert len(out.splitlines()) == 3
    assert "4 good rows\n" in err
    assert "dry run: 4 specs would be enqueued in run" in err
    _, err = submitted("catalog", "template", *more, code=2)
    assert "is there already" in err


def test_a_row_that_stands_twice_does_not_stop_the_others(submitted, client, tmp_path):
    rows = [[f"SP-{number}", 1, "全场", "满减券", 100, 1] for number in range(300)]
    rows += [["SP-7", 1, "全场", "满减券", 100, 2], rows[8]]
    with (tmp_path / "may.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    _, err = submitted("submit", "may.csv", code=1)
    assert "301 good rows, 1 broken one" in err
    assert "run may: 300 enqueued, 1 known before (the same work)." in err
    assert "商品编号: stands in line 9 too" in (tmp_path / "may.errors.csv").read_text("utf-8")


def test_ctrl_c_while_a_workbook_is_read_leaves_nothing_behind(redis_url, client, tmp_path):
    cell = b'<c t="inlineStr"><is><t>%b</t></is></c>'
    row = b"<row>%b</row>" % b"".join(cell % str(text).encode() for text in ROWS[0])
    rows = b"".join(row.replace(b"SP-1", b"SP-%d" % number) for number in range(20_000))
    content = changed_sheet(workbook(header=HEADER), b"</sheetData>", rows + b"</sheetData>")
    (tmp_path / "may.xlsx").write_bytes(content)
    env = os.environ | {"COUPONPRESS_REDIS_URL": redis_url, "COUPONPRESS_MCHID": MCHID}
    command = [sys.executable, "-m", "couponpress", "submit", "may.xlsx"]
    with processes.start(command, stderr=subprocess.PIPE, env=env, cwd=tmp_path) as submitting:
        soon(lambda: client._redis.hget(KEYS.run("b1"), "uploading") or submitting.poll() is not None)
        assert submitting.poll() is None
        submitting.send_signal(signal.SIGINT)
        told = submitting.stderr.read()
    assert submitting.returncode == 130
    assert told == b"interrupted; give the same command again, nothing is done twice\n"
    assert client.runs() == []
