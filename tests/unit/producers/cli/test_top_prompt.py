"""The keys of `top`: nothing happens by one key alone."""

import pytest

from couponpress.cli.keyboard import BACKSPACE, ENTER, ESCAPE
from couponpress.cli.top_prompt import KEYS_LINE, Act, Prompt


def press(*keys):
    """Press keys; returns the acts that follow, and the prompt."""
    prompt = Prompt()
    acts = [act for key in keys if (act := prompt.press(key)) is not None]
    return acts, prompt


@pytest.mark.parametrize(
    ("keys", "acts"),
    [
        ("py", [Act("pause")]),
        ("PY", [Act("pause")]),
        ("ry", [Act("resume")]),
        (["l", *"300/second", ENTER, "y"], [Act("limit", "300/second")]),
        (["l", *"600/minute", ENTER, "y"], [Act("limit", "600/minute")]),
        (["l", *"default", ENTER, "y"], [Act("limit", None)]),
        ("q", [Act("quit")]),
        ("pyry", [Act("pause"), Act("resume")]),
    ],
)
def test_an_act_follows_once_it_is_confirmed(keys, acts):
    done, prompt = press(*keys)
    assert done == acts
    assert prompt.line == KEYS_LINE


@pytest.mark.parametrize(
    "keys",
    ["p", "pn", "pq", "r", "rx", "x", "y", ["p", ESCAPE], ["l", ESCAPE], ["l", ENTER], ["l", *"5/second", ENTER, "n"]],
)
def test_nothing_follows_without(keys):
    assert press(*keys)[0] == []


def test_no_key_changes_nothing():
    acts, prompt = press("p", "", "")
    assert acts == []
    assert prompt.line.startswith("Stop submitting everything?")


@pytest.mark.parametrize("typed", ["300", "0/second", "fast", "1000000000/second", "-5/second"])
def test_a_limit_that_is_none_is_refused_and_can_be_mended(typed):
    acts, prompt = press("l", *typed, ENTER)
    assert acts == []
    assert typed in prompt.line
    assert "a rate reads like" in prompt.line
    for _ in typed:
        prompt.press(BACKSPACE)
    for key in (*"5/second", ENTER):
        prompt.press(key)
    assert prompt.line == "Set the limit of the running fleet to 5/second, at once? (y/n)"
    assert prompt.press("y") == Act("limit", "5/second")


def test_what_is_typed_has_an_end():
    _, prompt = press("l", *("9" * 500))
    assert len(prompt.line) < 100
