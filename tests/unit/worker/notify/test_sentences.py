"""Each event in words, in both languages; no English sentence in a Chinese message."""

import re
from datetime import timedelta, timezone

import pytest

from couponpress.language import speaking
from couponpress.notify.kinds import EVENTS
from couponpress_worker.notify.occurrences import Occurrence
from couponpress_worker.notify.sentences import message_of, paragraph_of

CHINA = timezone(timedelta(hours=8))
RUN = {
    "run": "五月",
    "number": "b1f",
    "total": 300_000,
    "succeeded": 299_998,
    "failed": 1,
    "rejected": 1,
    "expired": 0,
    "cancelled": 0,
    "seconds": 3725,
    "reasons": [["rejected", "PARAM_ERROR", 1], ["failed", "", 1]],
}
HOLD = {
    "kind": "partner",
    "scope": "partner",
    "number": "",
    "reason": "paused by hand",
    "why": "",
    "cure": "`couponpress resume` lets it go on",
    "by": "wang",
    "until": 1793280000.0,
    "since": 1793270000.0,
}
NIGHT = {"run": "prices-2026-05-01T02:00", "schedule": "prices", "at": 1793270000, "told": "", "started": None}
PROCESS = {"role": "worker", "host": "hz-1", "pid": 77, "heard": 1793270000.0, "running": 1}
ABOUT = {
    "run.finished": RUN,
    "hold.begun": HOLD,
    "hold.lifted": HOLD,
    "night.late": NIGHT,
    "night.missed": NIGHT,
    "night.failed": NIGHT,
    "night.skipped": NIGHT,
    "process.lost": PROCESS,
    "process.back": PROCESS,
    "test": {"events": "hold.begun"},
}
HEADINGS = {
    "run.finished": "run 五月 finished: 299,998 of 300,000 succeeded",
    "hold.begun": "the whole fleet is held: nothing of it is sent",
    "hold.lifted": "the whole fleet goes on: its hold is lifted",
    "night.late": "night prices-2026-05-01T02:00 has not started in time",
    "night.missed": "night prices-2026-05-01T02:00 was missed: it is not started any more",
    "night.failed": "night prices-2026-05-01T02:00 failed",
    "night.skipped": "night prices-2026-05-01T02:00 was left out",
    "process.lost": "worker on hz-1 (pid 77) is gone and did not say goodbye",
    "process.back": "worker runs again on hz-1 (pid 77)",
    "test": "a test message",
}


def occurrence(event, **changes):
    return Occurrence("id", event, 1793270000.0, ABOUT[event] | changes)


def lines(event, **changes):
    return paragraph_of(occurrence(event, **changes), time_zone=CHINA).lines


@pytest.mark.parametrize("event", ABOUT)
def test_headings(event):
    assert paragraph_of(occurrence(event)).heading == HEADINGS[event]


def test_every_event_has_a_sentence():
    assert {*EVENTS, "test"} == ABOUT.keys()


def test_an_event_of_a_newer_version_is_told_with_what_it_holds():
    made = paragraph_of(Occurrence("1", "moon.full", 1.0, {"phase": "full", "at": 2}, None))
    assert made.heading == "moon.full; a newer version knows more of it"
    assert made.lines == ("phase: full", "at: 2")


def test_a_run_tells_its_counts_its_reasons_and_its_time():
    assert lines("run.finished") == (
        "failed 1",
        "rejected 1",
        "1 ended so: rejected PARAM_ERROR",
        "1 ended so: failed",
        "took 1:02:05",
    )
    assert paragraph_of(occurrence("run.finished")).level == "bad"
    assert paragraph_of(occurrence("run.finished", succeeded=300_000, reasons=[])).level == "good"


def test_a_hold_tells_why_and_its_cure():
    assert lines("hold.begun", why="wrong prices <@all>") == (
        "reason: paused by hand: wrong prices ＜＠all＞",
        "cure: `couponpress resume` lets it go on",
        "since 2026-10-29 18:33:20 +08:00, by wang",
        "ends by itself at 2026-10-29 21:20:00 +08:00",
    )


@pytest.mark.parametrize(("kind", "told"), [("run", "run <may>"), ("brand", "brand 7")])
def test_what_is_held_is_named(kind, told):
    name = told.partition(" ")[2]
    heading = paragraph_of(occurrence("hold.begun", kind=kind, scope=name)).heading
    assert heading.startswith(told.replace("<", "＜").replace(">", "＞"))


def test_a_late_night_says_whether_it_has_started():
    assert "started 0:07:00 late" in lines("night.late", started=1793270420.0)
    assert any("couponpress scheduler" in line for line in lines("night.late"))
    assert any("couponpress schedule run prices" in line for line in lines("night.missed"))
    assert lines("night.failed", told="its source failed")[0] == "its source failed"


@pytest.mark.parametrize(
    ("event", "changes", "place"),
    [
        ("run.finished", {}, "runs/b1f"),
        ("hold.begun", {"number": "b2"}, "runs/b2"),
        ("hold.begun", {}, "holds"),
        ("night.late", {}, "schedules"),
        ("process.lost", {}, ""),
    ],
)
def test_links_lead_to_the_console(event, changes, place):
    made = paragraph_of(occurrence(event, **changes), "https://c.example")
    assert made.link == f"https://c.example/console/{place}"
    assert paragraph_of(occurrence(event, **changes)).link == ""


def test_several_events_have_one_title_with_the_keyword():
    message = message_of([occurrence("hold.begun"), occurrence("hold.lifted")], "1900000001")
    assert message.title == "couponpress 1900000001: 2 events"
    assert message_of([occurrence("test")], "1900000001").title == "couponpress 1900000001: a test message"


@pytest.mark.parametrize("event", ABOUT)
def test_a_chinese_message_holds_no_english_sentence(event):
    with speaking("zh_CN"):
        made = paragraph_of(occurrence(event, **({"started": 1793270420.0} if event == "night.late" else {})))
    for line in (made.heading, *made.lines):
        own = re.sub(r"`[^`]*`|PARAM_ERROR|hold\.begun|prices\S*|hz-1|wang|worker|pid|couponpress", "", line)
        assert not re.search(r"[A-Za-z]{2,}", own), line
        assert re.search(r"[\u4e00-\u9fff]", line), line
