"""`results --join`: the catalog's own rows with the outcome of each."""

import csv
import io
import json

import openpyxl
import pytest

from couponpress.ledger.moves import Move
from tests.builders import PICTURE, chunk_ids, moved
from tests.integration.producers.cli.test_main import is_one_sentence

HEADER = ["商品编号", "品牌ID", "image_generation_type", "image_url", "备注"]
URL = "https://wxpaylogo.qpic.cn/a.png"
ROWS = [
    ["B-2", "120344", "CUT_OUT", URL, "红"],
    ["", "120344", "CUT_OUT", URL, "no id of its own"],
    ["B-1", "no brand", "CUT_OUT", URL, "broken"],
    ["B-3", "120344", "CUT_OUT", URL, "open"],
]


def end(redis_url, server):
    """Give the first spec a picture and refuse the second, whose words look like a formula."""
    [chunk] = chunk_ids(server)
    moved(
        redis_url,
        chunk,
        Move(0, "succeed", tries=1, image_url=PICTURE),
        Move(1, "reject", tries=1, code="PARAM_ERROR", message="=参数错误"),
    )


def outcomes(table, quote="'"):
    header, *rows = table
    assert header[:4] == ["_outcome", "_image_url", "_code", "_message"]
    assert header[4:] == HEADER
    assert [row[4:] for row in rows] == ROWS
    assert [row[:3] for row in rows] == [
        ["succeeded", PICTURE, ""],
        ["rejected", "", "PARAM_ERROR"],
        ["not submitted", "", ""],
        ["", "", ""],
    ]
    assert rows[1][3] == f"{quote}=参数错误"
    assert rows[2][3].startswith("品牌ID: ")


@pytest.mark.parametrize(("encoding", "delimiter"), [("utf-8-sig", ","), ("gb18030", ";")])
def test_a_table_keeps_its_encoding_delimiter_and_order(
    couponpress,
    redis_url,
    server,
    tmp_path,
    encoding,
    delimiter,
):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows([HEADER, *ROWS])
    (tmp_path / "may.csv").write_bytes(text.getvalue().encode(encoding))
    couponpress("submit", "may.csv")
    end(redis_url, server)
    ran = couponpress("results", "may", "--join", "may.csv")
    assert (ran.code, ran.out) == (0, "")
    assert "4 rows with their outcomes written to may.results.csv" in ran.err
    content = (tmp_path / "may.results.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf") == (encoding == "utf-8-sig")
    outcomes(list(csv.reader(io.StringIO(content.decode(encoding), newline=""), delimiter=delimiter)))


def test_a_workbook_stays_one(couponpress, redis_url, server, tmp_path):
    book = openpyxl.Workbook()
    for row in [HEADER, *ROWS]:
        book.active.append(row)
    book.save(tmp_path / "may.xlsx")
    couponpress("submit", "may.xlsx")
    end(redis_url, server)
    assert couponpress("results", "may", "--join", "may.xlsx", "-o", "out.xlsx").code == 0
    sheet = openpyxl.load_workbook(tmp_path / "out.xlsx").active
    assert sheet["D3"].data_type == "s"
    outcomes([[cell or "" for cell in row] for row in sheet.iter_rows(values_only=True)], quote="")


def test_lines_of_json_get_four_keys_which_are_ignored_on_reading(couponpress, redis_url, server, tmp_path):
    body = {"brand_id": "120344", "image_generation_type": "CUT_OUT", "cut_out": {"image_url": URL}}
    lines = [{**body, "row_id": "a"}, {**body, "row_id": "b"}]
    (tmp_path / "may.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    couponpress("submit", "may.jsonl")
    end(redis_url, server)
    for name in ("may.jsonl", "may.results.jsonl"):  # the second: its own result, joined once more
        couponpress("results", "may", "--join", name, "-o", "out.jsonl")
        told = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
        assert [line["_outcome"] for line in told] == ["succeeded", "rejected"]
        assert [{name: line[name] for name in lines[0]} for line in told] == lines
        (tmp_path / "out.jsonl").replace(tmp_path / "may.results.jsonl")
    assert couponpress("submit", "may.results.jsonl", "--run", "may", "--strict").code == 0


def test_several_catalogs_of_a_run_are_matched_as_they_were_submitted(couponpress, redis_url, server, tmp_path):
    for name in ("may.csv", "june.csv"):
        (tmp_path / name).write_text(
            f"brand_id,image_generation_type,image_url\n120344,CUT_OUT,{URL}\n", encoding="utf-8"
        )
    couponpress("submit", "may.csv", "june.csv")
    end(redis_url, server)
    assert couponpress("results", "may", "--join", "may.csv", "--join", "june.csv").code == 0
    assert "succeeded" in (tmp_path / "may.results.csv").read_text(encoding="utf-8")
    assert "rejected" in (tmp_path / "june.results.csv").read_text(encoding="utf-8")


def test_a_row_that_was_mended_in_the_error_file_has_its_outcome(couponpress, redis_url, server, tmp_path):
    head = "row_id,brand_id,image_generation_type,image_url\n"
    (tmp_path / "may.csv").write_text(f"{head}7,no brand,CUT_OUT,{URL}\n,no brand,CUT_OUT,{URL}\n", encoding="utf-8")
    couponpress("submit", "may.csv")
    errors = tmp_path / "may.errors.csv"
    errors.write_text(errors.read_text(encoding="utf-8").replace("no brand", "120344"), encoding="utf-8")
    couponpress("submit", "may.errors.csv")
    end(redis_url, server)
    couponpress("results", "may", "--join", "may.csv")
    with (tmp_path / "may.results.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row[0] for row in csv.reader(file)] == ["_outcome", "succeeded", "rejected"]


def test_a_row_that_came_later_is_not_in_the_run(couponpress, server, tmp_path):
    head, line = "row_id,brand_id,image_generation_type,image_url\n", f"120344,CUT_OUT,{URL}\n"
    (tmp_path / "may.csv").write_text(f"{head}1,{line}", encoding="utf-8")
    couponpress("submit", "may.csv")
    (tmp_path / "may.csv").write_text(f"{head}1,{line}2,{line}", encoding="utf-8")
    couponpress("results", "may", "--join", "may.csv")
    assert "not submitted,,,the run holds no such row,2," in (tmp_path / "may.results.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "words",
    [("--format", "csv"), ("-o", "may.csv"), ("-o", "out.xlsx"), ("--join", "may.csv", "-o", "x.csv")],
)
def test_what_cannot_be_joined_is_one_sentence_and_leaves_no_file(couponpress, server, tmp_path, words):
    text = f"row_id,brand_id,image_generation_type,image_url\n1,120344,CUT_OUT,{URL}\n"
    (tmp_path / "may.csv").write_text(text, encoding="utf-8")
    couponpress("submit", "may.csv")
    assert is_one_sentence(couponpress("results", "may", "--join", "may.csv", *words))
    assert [path.name for path in tmp_path.iterdir()] == ["may.csv"]
    assert (tmp_path / "may.csv").read_text(encoding="utf-8") == text


def test_a_catalog_that_cannot_be_read_on_leaves_no_half_file(couponpress, server, tmp_path):
    text = f"row_id,brand_id,image_generation_type,image_url\n1,120344,CUT_OUT,{URL}\n"
    (tmp_path / "may.csv").write_text(text, encoding="utf-8")
    couponpress("submit", "may.csv")
    (tmp_path / "may.csv").write_bytes(text.encode() + "品牌".encode() * 90_000 + b"\xff\xff\n")
    assert is_one_sentence(couponpress("results", "may", "--join", "may.csv"))
    assert [path.name for path in tmp_path.iterdir()] == ["may.csv"]
