"""The texts of `--help` of the fleet's commands that are marked for translation are those of the commands."""

import inspect

import typer

from couponpress_worker.cli import register
from couponpress_worker.help_texts import COMMANDS


def test_the_texts_are_the_docstrings():
    app = typer.Typer()
    register(app)
    assert sorted(COMMANDS) == sorted(inspect.getdoc(one.callback) for one in app.registered_commands)
