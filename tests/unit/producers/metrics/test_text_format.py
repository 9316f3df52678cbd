"""Prometheus's text format, to the letter."""

import pytest

from couponpress.metrics.text_format import Family, text_of


def test_a_gauge_and_a_counter():
    gauge = Family("specs", "gauge", "Specs.").add(3, state="waiting").add(0.25, state="lost")
    counter = Family("tries", "counter", "Tries.").add(7)
    assert text_of([gauge, counter]) == (
        "# HELP specs Specs.\n# TYPE specs gauge\n"
        'specs{state="waiting"} 3\nspecs{state="lost"} 0.25\n'
        "# HELP tries_total Tries.\n# TYPE tries_total counter\ntries_total 7\n"
    )


def test_the_buckets_of_a_histogram_add_up():
    told = Family("took", "histogram", "Time.").add_histogram(["0.1", "1.0", "+Inf"], [2, 0, 1], 5.5, kind="a")
    assert text_of([told]).splitlines()[2:] == [
        'took_bucket{kind="a",le="0.1"} 2',
        'took_bucket{kind="a",le="1.0"} 2',
        'took_bucket{kind="a",le="+Inf"} 3',
        'took_sum{kind="a"} 5.5',
        'took_count{kind="a"} 3',
    ]


@pytest.mark.parametrize(("text", "shown"), [('a"b', 'a\\"b'), ("a\\b", "a\\\\b"), ("a\nb", "a\\nb"), ("夜间", "夜间")])
def test_a_label_cannot_end_its_line(text, shown):
    assert text_of([Family("x", "gauge", "X.").add(1, name=text)]).splitlines()[2] == f'x{{name="{shown}"}} 1'


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (True, "1"), (1e15, "1000000000000000"), (1.5, "1.5"), (1_700_000_000.25, "1700000000.25")],
)
def test_numbers(value, shown):
    assert text_of([Family("x", "gauge", "X.").add(value)]).splitlines()[2] == f"x {shown}"
