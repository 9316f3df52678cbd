"""What a plain webhook is told, and what its answers mean."""

import json

import pytest

from couponpress_worker.notify.occurrences import Occurrence
from couponpress_worker.notify.sentences import message_of
from couponpress_worker.notify.webhook import answer_of, body_of

ABOUT = {"role": "worker", "host": "h", "pid": 7, "heard": 0.0, "running": 1}


def test_a_program_gets_the_values_and_the_words():
    occurrence = Occurrence("lost:h:7", "process.lost", 1.5, ABOUT)
    told = json.loads(body_of(occurrence, message_of([occurrence], "19", "https://c.example"), "19"))
    assert (told["event"], told["id"], told["at"], told["about"]) == ("process.lost", "19:lost:h:7", 1.5, ABOUT)
    assert told["text"].startswith("worker on h (pid 7) is gone")
    assert told["link"] == "https://c.example/console/"


@pytest.mark.parametrize(
    ("status", "verdict", "cure"),
    [
        (200, "taken", ""),
        (204, "taken", ""),
        (410, "taken", ""),
        (302, "refused", "redirects"),
        (401, "refused", "compare the secret"),
        (404, "refused", "compare the URL"),
        (500, "later", ""),
        (429, "later", ""),
    ],
)
def test_answers(status, verdict, cure):
    answer = answer_of(status)
    assert (answer.verdict, answer.words) == (verdict, f"status {status}")
    assert answer.cure.startswith(cure)
