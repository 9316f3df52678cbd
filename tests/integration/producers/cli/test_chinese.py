"""A marketing colleague whose machine speaks Chinese: from the template to the results, no English sentence is seen."""

import csv
import json
import os
import re
import sys

import openpyxl
import pytest

from couponpress import Client
from tests import processes
from tests.builders import MCHID, producer_settings
from tests.english import english_words

HEADER = (
    "商品编号",
    "品牌ID",
    "图片类型",
    "优惠范围",
    "券类型",
    "门槛(元)",
    "减免(元)",
    "折扣",
    "换购价(元)",
    "商品图",
    "备注",
)
#: One mistake in each, with what the colleague reads of it.
MISTAKES = [
    (("1", "", "拼图", "全场", "满减券", "100", "20"), "品牌ID：必填"),
    (("2", "品牌 344", "拼图", "全场", "满减券", "100", "20"), "品牌ID：应为数字、字母、_ 或 -，而不是“品牌 344”"),
    (("3", "1.20E+15", "拼图", "全场", "满减券", "100", "20"), "品牌ID：是电子表格缩写的数字，位数已丢失"),
    (("4", "120344", "拼图", "全店", "满减券", "100", "20"), "优惠范围：应为 全场、单品 或 品类，而不是“全店”"),
    (("5", "120344", "拼图", "全场", "代金券", "100", "20"), "券类型：应为 满减券、折扣券 或 兑换券，而不是“代金券”"),
    (
        ("6", "120344", "拼图", "全场", "满减券", "一百", "20"),
        "门槛(元)：应为以元为单位的金额，例如 199.90，而不是“一百”",
    ),
    (("7", "120344", "拼图", "全场", "满减券", "10", "20"), "减免(元)：不能超过门槛（现为“20”）"),
    (("8", "120344", "拼图", "全场", "满减券", "100", "0"), "减免(元)：应为 0.01 元或以上，而不是“0”"),
    (("9", "120344", "拼图", "全场", "折扣券", "100", "", "85%"), "折扣：可能指实付，也可能指优惠"),
    (("10", "120344", "拼图", "全场", "折扣券", "100", "", "10折"), "折扣：应为 9.9折 或更低"),
    (("11", "120344", "抠图", "", "", "", "", "", "", "https://shop.example/1.jpg"), "商品图：应为存放在"),
    (("12", "120344", "拼贴", "全场", "满减券", "100", "20"), "图片类型：应为 拼图 或 抠图，而不是“拼贴”"),
]
GOOD = ("13", "120344", "拼图", "单品", "满减券", "100", "20", "8折", "", "", "新品")


@pytest.fixture
def couponpress(redis_url, tmp_path):
    """Run the command as the colleague does, and look at what is said."""
    given = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
    env = given | {"LANG": "zh_CN.UTF-8", "COUPONPRESS_REDIS_URL": redis_url, "COUPONPRESS_MCHID": MCHID}

    def run(*words, code=0, **more):
        command = [sys.executable, "-X", "utf8", "-m", "couponpress", *words]
        done = processes.run(
            command, capture_output=True, cwd=tmp_path, env=env | more, timeout=120, encoding="utf-8", check=False
        )
        assert done.returncode == code, done.stderr
        return done.stdout, done.stderr

    return run


def written(path, rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for cell in book.active["B"]:
        cell.number_format = "@"
    book.save(path)


def test_a_colleague_reads_no_english_sentence(couponpress, redis_url, tmp_path):
    out, err = couponpress("catalog", "template", "-o", "coupons.xlsx")
    assert "已生成 coupons.xlsx" in err
    assert not english_words(out + err)
    said = [err]

    written(tmp_path / "may.xlsx", [HEADER, *(row for row, _ in MISTAKES), GOOD])
    said += couponpress("submit", "may.xlsx", "--dry-run", "--no-upload", code=1)[1:]
    _, err = couponpress("submit", "may.xlsx", "--no-upload", code=1)
    said.append(err)
    assert "1 行没有问题，12 行有问题" in err
    assert "第 14 行的优惠为 满100元减20元" in err

    errors = openpyxl.load_workbook(tmp_path / "may.errors.xlsx")
    reasons = [row[1].value for row in errors.active.iter_rows(min_row=2)]
    for reason, (_, expected) in zip(reasons, MISTAKES, strict=True):
        assert reason.startswith(expected), reason
    said += reasons

    for number in range(2, 2 + len(MISTAKES)):
        for column, value in zip(
            "DEFGHIJKL", ("120344", "拼图", "全场", "满减券", "100", "20", None, None, None), strict=True
        ):
            errors.active[f"{column}{number}"] = value
    errors.save(tmp_path / "may.errors.xlsx")
    said.append(couponpress("submit", "may.errors.xlsx", "--run", "may")[1])
    assert "新提交 12 个任务" in said[-1]

    couponpress("pause", "may")
    out, err = couponpress("status")
    said += [out, err]
    assert "已暂停：批次 may：手动暂停" in out
    assert "没有 worker 在运行" in out
    said += couponpress("status", "may")
    said += couponpress("resume", "may")
    said += couponpress("cancel", "may")
    said += couponpress("status", "may")
    out, err = couponpress("results", "may", "-o", "may.results.csv")
    said += [out, err]
    with (tmp_path / "may.results.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {(row["outcome"], row["message"]) for row in rows} == {("cancelled", "平台受理前已用 `cancel` 取消")}
    said += [row["message"] for row in rows]
    for text in said:
        assert not english_words(text), text


def test_what_stands_in_files_is_said_in_chinese(couponpress, tmp_path):
    (tmp_path / "may.csv").write_text(
        "商品编号,品牌ID,图片类型,商品图\n1,120344,抠图,gone.jpg\n2,120344,抠图,http://127.0.0.1/1.jpg\n",
        encoding="utf-8",
    )
    (tmp_path / "may.jsonl").write_text('{"a":\n', encoding="utf-8")
    book = openpyxl.Workbook()
    book.active.append(HEADER)
    book.active.append(("1", "120344", "拼图", "全场", "满减券", "=99+1", "20"))
    book.save(tmp_path / "may.xlsx")
    said = []
    for name in ("may.csv", "may.jsonl", "may.xlsx"):
        said += couponpress("submit", name, "--run", name.partition(".")[2], "--no-upload", code=1)
    content = (tmp_path / "may.errors.csv").read_bytes()
    assert content.startswith("\ufeff_line,_problem".encode())  # Excel and WPS read it as UTF-8
    said += [row["_problem"] for row in csv.DictReader(content.decode("utf-8-sig").splitlines())]
    said += [json.loads(line)["_problem"] for line in (tmp_path / "may.errors.jsonl").read_text("utf-8").splitlines()]
    said += [row[1].value for row in openpyxl.load_workbook(tmp_path / "may.errors.xlsx").active.iter_rows(min_row=2)]
    assert len(said) == 6 + 4
    for text in said:
        assert not english_words(re.sub(r"(?:--run|批次) \w+", " ", text)), text


def test_a_schedule_started_by_hand_is_told_in_chinese(couponpress, tmp_path):
    picture = "https://wxpaylogo.qpic.cn/wxpaylogo/1.png"
    (tmp_path / "may.csv").write_text(
        f"商品编号,品牌ID,图片类型,商品图\n1,120344,抠图,{picture}\n2,,抠图,{picture}\n", encoding="utf-8"
    )
    table = 'cron = "0 2 * * *"\ntime_zone = "Asia/Shanghai"\nsource = "{}.csv"\n'
    schedules = f"[schedule.may]\n{table.format('may')}[schedule.gone]\n{table.format('gone')}"
    (tmp_path / "may.toml").write_text(schedules, encoding="utf-8")
    (tmp_path / "wrong.toml").write_text(schedules + 'on_late = "x"\nlane = "y"\n', encoding="utf-8")
    file = ("--file", "may.toml")
    dry_run = ("schedule", "run", "may", "--dry-run", *file)
    told = [couponpress(*dry_run, "--json", code=1, LANG=one)[0] for one in ("C", "zh_CN")]
    of_c, of_chinese = ({**json.loads(one), "run": "", "told": ""} for one in told)
    assert of_c == of_chinese
    out, err = couponpress(*dry_run, code=1)
    assert out.startswith("1 行没有问题，1 行有问题\n")
    said = [out, err, *couponpress("schedule", "run", "may", *file, code=1)]
    assert "品牌ID：必填" in (tmp_path / "may.errors.csv").read_text("utf-8-sig")
    said += couponpress("schedule", "run", "gone", *file, code=2)
    said += couponpress("schedule", "skip", "may", *file)
    said += couponpress("schedule", "list", *file)
    said += couponpress("schedule", "list", "--file", "wrong.toml", code=2)
    said += couponpress("audit")
    names = r"(?:may|gone)-20\S+|\[schedule\.\w+\]|\S*/\S+|\S+\.toml|\S+ \([\w,. -]+\)|couponpress:"
    keys = r"\b(?:source|lane|urgent|bulk|queue|skip|replace)\b"
    for text in said:
        assert not english_words(re.sub(f"{names}|{keys}", " ", text)), text


def test_what_cannot_be_read_is_said_in_chinese(couponpress, tmp_path):
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "other.csv").write_text("名称,价格\n券,5\n", encoding="utf-8")
    (tmp_path / "page.xlsx").write_text("<html><table></table></html>", encoding="utf-8")
    for name in ("empty.csv", "other.csv", "page.xlsx", "gone.csv", "table.et"):
        _, err = couponpress("submit", name, code=2)
        assert not english_words(err.removeprefix("couponpress: ")), err
    for words in (["status", "gone"], ["results", "gone"], ["watch"]):
        _, err = couponpress(*words, code=2)
        assert not english_words(err.removeprefix("couponpress: ")), err


def test_programs_read_the_same_in_every_language(couponpress, redis_url, tmp_path):
    with Client(producer_settings(redis_url)) as client:
        client.pause()
    assert couponpress("status", "--json") == couponpress("status", "--json", LANG="C")
    chinese, _ = couponpress("top", "--json")
    assert json.loads(chinese)["bound"]["sentence"].isascii()


@pytest.mark.parametrize(
    ("settings", "encoding", "expected"),
    [
        ({"PYTHONIOENCODING": "ascii"}, "ascii", "no usable header"),
        ({"PYTHONIOENCODING": "gbk"}, "gbk", "表头"),
        ({"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, "ascii", "no usable header"),
        ({"LC_ALL": "C.UTF-8"}, "utf-8", "表头"),
    ],
    ids=["ascii", "gbk", "C", "UTF-8"],
)
def test_a_terminal_shows_no_trace_and_no_letter_that_it_lacks(settings, encoding, expected, tmp_path):
    (tmp_path / "表\U0001f9cb.csv").write_text("名称,价格\n券,5\n", encoding="utf-8")
    command = [sys.executable, "-m", "couponpress", "submit", "表\U0001f9cb.csv"]
    given = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHONUTF8"))}
    env = given | {"COUPONPRESS_LANG": "zh_CN"} | settings
    done = processes.run(command, capture_output=True, cwd=tmp_path, env=env, timeout=60, check=False)
    assert done.returncode == 2
    told = done.stderr.decode(encoding)
    assert expected in told
    assert "Traceback" not in told
    assert "\\" not in told
    if encoding != "utf-8":
        assert "?.csv" in told


def test_moments_are_told_in_the_time_zone_that_is_set(couponpress):
    couponpress("pause", "--until", "2d", code=2)
    couponpress("pause", "--for", "2h", COUPONPRESS_TZ="Asia/Shanghai")
    out, _ = couponpress("status", COUPONPRESS_TZ="Asia/Shanghai")
    assert re.search(r"到 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\+08:00 为止", out), out
    out, _ = couponpress("audit", COUPONPRESS_TZ="America/New_York")
    assert re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d-0[45]:00  暂停 \(pause\) ", out), out
    _, err = couponpress("status", COUPONPRESS_TZ="Asia/Shangai", code=2)
    assert "COUPONPRESS_TZ 应为本机已知的时区，例如 Asia/Shanghai" in err


def test_csv_for_a_spreadsheet_opens_there(couponpress):
    couponpress("pause", "--why", "促销结束")
    out, _ = couponpress("audit", "--csv")
    assert out.startswith("\ufeffentry_id,at,")
    assert "促销结束" in out
