"""When a plain line is due, and what a terminal is shown."""

import io

import pytest
from rich.console import Console
from rich.progress import MofNCompleteColumn

from couponpress.uploads.progress import LINE_EVERY_SECONDS, LinePace, bar


@pytest.mark.parametrize("at_once", [False, True])
def test_a_line_is_due_every_five_seconds(at_once):
    now = [100.0]
    pace = LinePace(lambda: now[0], at_once=at_once)
    assert [pace.due(), pace.due()] == [at_once, False]
    for _ in range(2):
        now[0] += LINE_EVERY_SECONDS - 0.1
        assert not pace.due()
        now[0] += 0.1
        assert [pace.due(), pace.due()] == [True, False]


def test_a_terminal_is_shown_how_far_it_is_and_nothing_stays():
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80)
    with bar(console, MofNCompleteColumn(), total=20) as update:
        update(advance=3)
        update(advance=4)
    shown = out.getvalue()
    assert "7/20" in shown
    assert shown.rstrip().endswith("\x1b[2K")
