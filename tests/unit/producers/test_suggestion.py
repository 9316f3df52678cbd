"""A mistyped word is answered with the one that was meant, if one is near."""

from couponpress.suggestion import did_you_mean


def test_near_words_are_suggested_and_far_ones_are_not():
    assert did_you_mean("run.finishd", ["run.finished", "hold.begun"]) == "; did you mean run.finished?"
    assert did_you_mean("x", ["run.finished"]) == ""
    assert did_you_mean(7, ["run.finished"]) == ""
