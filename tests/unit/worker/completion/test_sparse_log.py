"""Lines that anybody can cause: one of a kind in a while, and the rest is counted."""

import logging

from couponpress_worker.completion.sparse_log import EVERY_SECONDS, SparseLog


def test_one_line_of_a_kind_is_written_in_a_while(caplog):
    caplog.set_level(logging.INFO)
    now = [0.0]
    sparse = SparseLog(logging.getLogger("sparse"), lambda: now[0])
    for _ in range(3):
        sparse.write("one", logging.INFO, "first %s", "a")
    sparse.write("two", logging.INFO, "second")
    now[0] = EVERY_SECONDS
    for _ in range(2):
        sparse.write("one", logging.INFO, "first %s", "b")
    assert [one.getMessage() for one in caplog.records] == [
        "first a",
        "second",
        "first b (and 2 more like it before)",
    ]
