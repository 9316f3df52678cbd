"""Outcomes as CSV for a spreadsheet and JSON lines for a program."""

import csv
import gc
import io
import json
import sys
from dataclasses import asdict

import pytest

from couponpress.outcome import Outcome
from couponpress.results import COLUMNS, write_results, write_results_workbook
from tests.workbooks import beyond_excel_2007, parts_of

MADE = Outcome("row 1", "cut-out-000001", "120344", "succeeded", "https://wxpaylogo.qpic.cn/a.png", attempts=1)
REFUSED = Outcome("行二", "cut-out-000002", "120344", "rejected", "", "PARAM_ERROR", '参数错误, "品牌"\n第二行', 2)
OPEN = Outcome("row 3", "cut-out-000003", "120344", "")


def written(outcomes, format_name):
    stream = io.StringIO(newline="")
    count = write_results(outcomes, stream, format_name)
    return count, stream.getvalue()


def csv_rows(outcomes):
    return list(csv.DictReader(io.StringIO(written(outcomes, "csv")[1], newline="")))


def test_the_promised_columns_are_there_in_their_order():
    head = ("row_id", "task_id", "brand_id", "outcome", "image_url", "code", "message")
    assert (*head, "attempts", "request_id") == COLUMNS


def test_a_csv_file_has_a_header_and_a_line_per_outcome():
    count, text = written([MADE, OPEN], "csv")
    assert count == 2
    assert text.split("\r\n") == [
        ",".join(COLUMNS),
        "row 1,cut-out-000001,120344,succeeded,https://wxpaylogo.qpic.cn/a.png,,,1,",
        "row 3,cut-out-000003,120344,,,,,0,",
        "",
    ]


def test_a_csv_file_without_outcomes_still_has_its_header():
    assert written([], "csv") == (0, ",".join(COLUMNS) + "\r\n")


def test_commas_quotes_and_line_ends_come_back_from_csv():
    (row,) = csv_rows([REFUSED])
    assert (row["row_id"], row["message"]) == (REFUSED.row_id, REFUSED.message)


@pytest.mark.parametrize("start", ["=", "+", "@", "\t", "\r"])
def test_no_cell_reads_as_a_formula(start):
    (row,) = csv_rows([Outcome("1", "abc-000001", "1", "rejected", message=f"{start}HYPERLINK(1)")])
    assert row["message"] == f"'{start}HYPERLINK(1)"


def test_a_number_stays_a_number():
    (row,) = csv_rows([REFUSED])
    assert row["attempts"] == "2"


def test_json_lines_hold_every_field_as_it_is():
    count, text = written([MADE, REFUSED, OPEN], "jsonl")
    assert count == 3
    assert [json.loads(line) for line in text.splitlines()] == [asdict(one) for one in (MADE, REFUSED, OPEN)]


def test_json_lines_keep_letters_readable():
    assert "行二" in written([REFUSED], "jsonl")[1]


def test_json_lines_are_not_made_harmless_for_spreadsheets():
    _, text = written([Outcome("=1", "abc-000001", "1", "")], "jsonl")
    assert json.loads(text)["row_id"] == "=1"


def test_outcomes_are_written_one_by_one():
    stream = io.StringIO(newline="")

    def outcomes():
        for number in range(3):
            assert stream.getvalue().count("\n") == number
            yield MADE

    assert write_results(outcomes(), stream, "jsonl") == 3


def test_a_workbook_of_results_opens_in_programs_that_know_excel_2007_alone(tmp_path):
    assert write_results_workbook([MADE, REFUSED, OPEN], tmp_path / "may.xlsx") == 3
    assert beyond_excel_2007(tmp_path / "may.xlsx") == []
    sheet = parts_of((tmp_path / "may.xlsx").read_bytes())["xl/worksheets/sheet1.xml"].decode()
    assert 'inlineStr"></c>' not in sheet
    assert '<col width="50" customWidth="1" min="5" max="5"/>' in sheet


def test_an_interrupted_workbook_leaves_nothing_behind_and_says_nothing(tmp_path, monkeypatch):
    complaints = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)

    def outcomes():
        yield MADE
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_results_workbook(outcomes(), tmp_path / "may.xlsx")
    gc.collect()
    assert complaints == []
    assert list(tmp_path.iterdir()) == []
