"""How the console writes numbers and moments, and the files that it serves."""

import hashlib
import time

import pytest
from markupsafe import Markup

from couponpress.gateway.console import rendering
from couponpress.language import speaking

#: uPlot 1.6.32 as npm has it (dist/), MIT.
VENDORED = {
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "uPlot.LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}


@pytest.mark.parametrize("name", VENDORED)
def test_a_vendored_file_is_the_one_that_was_taken_over(name):
    assert hashlib.sha256((rendering.STATIC / name).read_bytes()).hexdigest() == VENDORED[name]


def test_no_file_is_served_that_nobody_knows():
    assert {path.name for path in rendering.STATIC.iterdir()} == {
        *VENDORED, "console.css", "console.js", "icon.svg",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (None, "–", "–"),
        (0.4, "0 s", "0 秒"),
        (119.4, "119 s", "119 秒"),
        (633, "10 min 33 s", "10 分 33 秒"),
        (7325, "2 h 2 min", "2 小时 2 分"),
        (260_000, "3 days", "3 天"),
    ],
)
def test_a_span(seconds, english, chinese):
    assert rendering.span(seconds) == english
    with speaking("zh_CN"):
        assert rendering.span(seconds) == chinese


def test_numbers():
    assert (rendering.number(1_234_567), rendering.number(None), rendering.size(3_140_000)) == (
        "1,234,567",
        "–",
        "3.1 MB",
    )
    assert (rendering.share(999, 1000), rendering.share(9999, 10000), rendering.share(1, 1)) == (
        "99.9 %",
        "99.9 %",
        "100 %",
    )
    assert rendering.share(1, 0) == "0 %"


def test_a_moment_of_today_has_no_date():
    assert "-" not in rendering.moment(time.time())
    assert rendering.moment(86_400).startswith("1970-01-0")
    assert rendering.moment(None) == "–"


def test_what_a_template_is_given_is_escaped():
    template = rendering.environment().from_string("{{ text }}")
    assert template.render(text="<script>alert(1)</script>") == "&lt;script&gt;alert(1)&lt;/script&gt;"


def test_commands_in_sentences_are_code_and_nothing_is_markup():
    assert rendering.with_code("`couponpress resume <x>` lets it go on") == (
        "<code>couponpress resume &lt;x&gt;</code> lets it go on"
    )
    assert rendering.with_code(Markup("a &lt; `b`")) == "a &lt; <code>b</code>"
