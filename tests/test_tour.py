"""docs/tour.md: every answer names a file that exists and a function or class that is defined in it."""

import ast
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parent.parent / "docs" / "tour.md"
ROWS = [row for row in PAGE.read_text("utf-8").splitlines() if re.match(r"\| [A-Z].*\? \|", row)]
ANSWERS = [
    (link, name)
    for row in ROWS
    for link, names in re.findall(r"\[`[\w/.]+`\]\((\S+)\)((?: `\w+`)+)", row)
    for name in re.findall(r"`(\w+)`", names)
]


def test_the_page_asks_what_a_newcomer_asks():
    asked = " ".join(row.split("|")[1] for row in ROWS)
    for what in ("5xx", "429", "slot is too late", "callback of a new kind", "metric be fed", "lease expire"):
        assert what in asked
    assert all(any(link in row for link, _ in ANSWERS) for row in ROWS)


@pytest.mark.parametrize(("link", "name"), ANSWERS)
def test_an_answer_is_where_the_page_says(link, name):
    tree = ast.parse((PAGE.parent / link).read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, kinds)}
