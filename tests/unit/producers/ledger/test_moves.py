"""A move as the script reads it."""

from couponpress.ledger.moves import Move


def test_a_move_has_all_its_parts_whether_it_says_why_or_not():
    assert Move(3, "accept", tries=1, request_id="08F7-0").wire() == [3, "accept", 1, 0, "", "", -1, "08F7-0"]
    told = Move(3, "reject", tries=1, code="PARAM_ERROR", message="参数错误", after_tries=0).wire()
    assert told == [3, "reject", 1, 0, "PARAM_ERROR", '["","PARAM_ERROR","参数错误"]', 0, ""]
    assert Move(3, "pause", until_ms=7).wire() == [3, "pause", 0, 7, "", "", -1, ""]
