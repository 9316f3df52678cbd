"""`couponpress show`: one spec, found by its task_id or by its row and run, with its history."""

import json

import pytest

from couponpress.ledger.moves import Move
from tests.builders import cut_out_body, moved, stored

TASK = cut_out_body(1)["task_id"]
CATALOG = "row_id,brand_id,image_generation_type,image_url\nrow 1,120344,CUT_OUT,https://wxpaylogo.qpic.cn/a.png\n"


@pytest.fixture
def troubled(redis_url, server):
    """A spec that was tried twice, accepted, and failed."""
    chunk = stored(redis_url)
    moved(redis_url, chunk, Move(0, "again", tries=1, code="SYSTEM_ERROR", request_id="08AA-1"), by="submit")
    moved(redis_url, chunk, Move(0, "accept", tries=1, request_id="08AB-0"), by="submit")
    moved(redis_url, chunk, Move(0, "fail", code="FAIL", message="no picture", heard_by="notice-123"), by="callback")


def test_a_spec_is_told_with_everything_that_happened(couponpress, troubled):
    ran = couponpress("show", TASK, COUPONPRESS_TZ="Asia/Shanghai")
    assert ran.code == 0
    for told in (
        "run: may",
        "times in UTC+08:00",
        "sent: no usable answer; it is sent again  (SYSTEM_ERROR  Request-ID 08AA-1)",
        "sent: the platform accepted it  (Request-ID 08AB-0)",
        "callback: the platform could not make the picture  (FAIL  callback notice-123)",
        f'"task_id": "{TASK}"',
    ):
        assert told in ran.out


def test_it_is_told_in_chinese(couponpress, troubled):
    told = couponpress("show", TASK, COUPONPRESS_LANG="zh_CN").out
    assert "回调：平台未能生成图片" in told
    assert "经过（时间为 UTC" in told


def test_as_json_it_is_the_same_for_programs(couponpress, troubled):
    told = json.loads(couponpress("show", TASK, "--json").out)
    assert (told["state"], told["line"]["attempts"], told["body"]["task_id"]) == ("failed", 2, TASK)
    assert [event["event"] for event in told["events"]] == ["enqueued", "retrying", "accepted", "failed"]


def test_a_row_is_found_by_its_id_and_run(couponpress, server, tmp_path):
    (tmp_path / "may.csv").write_text(CATALOG, encoding="utf-8")
    assert couponpress("submit", "may.csv", "--run", "may").code == 0
    assert "row 1  waiting" in couponpress("show", "row 1", "--run", "may").out


@pytest.mark.parametrize("words", [[TASK, "--run", "june"], ["row 1"], ["row 1", "--run", "may"], ["\udcff"]])
def test_what_is_not_known_is_told(couponpress, troubled, words):
    ran = couponpress("show", *words)
    assert (ran.code, ran.out) == (2, "")
    assert "give a task_id" in ran.err
