"""What a person sees of a run while it goes on."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from couponpress.cli.run_lines import counts_line, progress_line, summary
from couponpress.cli.run_progress import (
    ASK_EVERY_SECONDS,
    RATE_SPAN_SECONDS,
    EndRate,
    Sight,
    SubmitRate,
    picture,
    watch,
)
from couponpress.outcome import RunStatus
from couponpress.uploads.progress import LINE_EVERY_SECONDS

NEW = RunStatus(
    run="may",
    lane="bulk",
    total=1000,
    uploading=0,
    waiting=1000,
    retrying=0,
    looking=0,
    paused=0,
    accepted=0,
    succeeded=0,
    failed=0,
    rejected=0,
    expired=0,
    cancelled=0,
    throttled=0,
    created_at=100.0,
    finished_at=None,
)
DONE = replace(NEW, waiting=0, succeeded=990, rejected=10, finished_at=142.5)


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def watched(statuses, *, terminal=False, limit_per_second=None, notes=None):
    """What `watch` writes while the run goes through these statuses, its last status, and how long it took."""
    clock, stream, left = Clock(), io.StringIO(), iter(statuses)
    console = Console(file=stream, force_terminal=terminal, width=300)
    last = watch(
        lambda: next(left), console, limit_per_second=limit_per_second, notes=notes, clock=clock, sleep=clock.sleep
    )
    return stream.getvalue(), last, clock.now


def test_the_rate_is_the_mean_over_the_span():
    rate = SubmitRate()
    assert rate.update(NEW, 0.0) == 0.0
    assert rate.update(replace(NEW, waiting=900), 1.0) == 100.0
    assert rate.update(replace(NEW, waiting=500), 2.0) == 250.0


def test_the_rate_forgets_what_lies_before_the_span():
    rate = SubmitRate()
    rate.update(NEW, 0.0)
    rate.update(replace(NEW, waiting=0), 1.0)
    assert rate.update(replace(NEW, waiting=0), 1.0 + RATE_SPAN_SECONDS) == 0.0


def test_specs_that_are_added_are_no_speed():
    rate = SubmitRate()
    rate.update(NEW, 0.0)
    assert rate.update(replace(NEW, total=3000, waiting=3000), 1.0) == 0.0


def test_retries_that_wait_again_are_no_negative_speed():
    rate = SubmitRate()
    rate.update(replace(NEW, waiting=900, retrying=100), 0.0)
    assert rate.update(NEW, 1.0) == 0.0


def test_the_counts_stand_in_one_line():
    status = replace(NEW, waiting=985, retrying=1, looking=2, accepted=3, succeeded=4, failed=2, rejected=3)
    assert counts_line(status) == (
        "may: 9/1000 ended  waiting 985  retrying 3  accepted 3  succeeded 4  failed 2  rejected 3"
    )


@pytest.mark.parametrize("name", ["expired", "cancelled", "throttled", "uploading"])
def test_what_is_rare_is_told_only_when_there_is_some(name):
    assert name not in counts_line(NEW)
    assert f"{name} 7" in counts_line(replace(NEW, **{name: 7}))


def test_a_hold_is_told_with_its_reason():
    assert counts_line(replace(NEW, hold="SIGN_ERROR: 签名错误")).endswith("HELD: SIGN_ERROR: 签名错误")


def test_the_rate_is_told_beside_the_limit():
    assert progress_line(NEW, 487.6, 500.0).endswith("488/s of 500")
    assert progress_line(NEW, 487.6).endswith("488/s")


def test_watching_ends_with_the_run():
    told, last, seconds = watched([NEW, NEW, DONE])
    assert last == DONE
    assert seconds == 2 * ASK_EVERY_SECONDS
    assert told.splitlines()[-1].startswith("may: 1000/1000 ended")


def test_without_a_terminal_there_is_a_line_at_once_and_then_one_per_span():
    asked = int(2 * LINE_EVERY_SECONDS / ASK_EVERY_SECONDS)
    told, _, _ = watched([*(replace(NEW, waiting=1000 - number, accepted=number) for number in range(asked)), DONE])
    assert len(told.splitlines()) == 3


def test_without_a_terminal_there_is_no_line_while_nothing_changes():
    told, _, _ = watched([NEW] * 100 + [DONE])
    assert len(told.splitlines()) == 2


def test_what_a_run_waits_for_is_said_once_and_again_when_it_comes_back():
    waits = "no worker runs"
    said = iter([[waits], [waits], [], [waits], [waits]])
    told, _, _ = watched([NEW] * 9 + [DONE], notes=lambda _: next(said))
    assert told.count(waits) == 2


def test_a_terminal_shows_a_bar_the_share_the_time_left_and_what_is_waited_for():
    stream = io.StringIO()
    status = replace(NEW, waiting=510, succeeded=490, hold="paused by hand")
    sight = Sight(status, 20.0, 26.0, ("no worker runs",))
    Console(file=stream, width=200).print(picture(sight, 500))
    told = stream.getvalue()
    assert " 49%" in told
    assert "490/1,000 ended" in told
    assert "about 26 s left" in told
    assert "20/s of 500" in told
    assert "HELD: paused by hand" in told
    assert "no worker runs" in told


def test_the_time_left_is_told_by_what_ended_lately():
    rate = EndRate()
    assert rate.seconds_left(NEW, 0.0) is None
    assert rate.seconds_left(replace(NEW, waiting=900, succeeded=100), 10.0) == 90.0
    # What ended before the span counts no more: the fleet is slower now.
    for now in (20.0, 39.0):
        left = rate.seconds_left(replace(NEW, waiting=890, succeeded=110), now)
    assert left > 2000


def test_a_finished_run_is_told_once():
    told, _, seconds = watched([DONE])
    assert len(told.splitlines()) == 1
    assert seconds == 0


def test_on_a_terminal_the_counts_are_a_table():
    told, last, _ = watched([NEW, DONE], terminal=True, limit_per_second=500)
    assert last == DONE
    assert "990" in told
    assert "of 500" in told


def test_the_limit_is_told_in_every_line():
    told, _, _ = watched([NEW, DONE], limit_per_second=500.0)
    assert all(line.endswith("of 500") for line in told.splitlines())


@pytest.mark.parametrize("terminal", [False, True], ids=["lines", "table"])
@pytest.mark.parametrize("name", ["may [/x]", "[red]may", "may :smile:"])
def test_a_name_is_shown_as_it_is_whatever_it_means_as_markup(name, terminal):
    told, _, _ = watched([replace(DONE, run=name, hold=f"because {name}")], terminal=terminal)
    assert f"because {name}" in told
    assert told.count(name) == 2


def test_the_summary_tells_the_counts_the_time_and_the_reasons():
    told = summary(DONE, {"rejected PARAM_ERROR": 9, "rejected NO_AUTH": 1})
    assert "1,000 specs ended after 42.5 s" in told
    assert "succeeded 990  failed 0  rejected 10" in told
    assert told.splitlines()[-2:] == ["         9  rejected PARAM_ERROR", "         1  rejected NO_AUTH"]


def test_the_summary_names_the_ten_most_frequent_reasons():
    reasons = {f"rejected CODE_{number}": 100 - number for number in range(30)}
    assert len(summary(DONE, reasons).splitlines()) == 3 + 10
