"""What `--help` says, in the language of the reader."""

import inspect
from importlib import import_module

from typer.core import TyperCommand

from couponpress.cli.help_texts import COMMANDS
from couponpress.cli.lazy_group import say_help
from couponpress.cli.main import PLACES
from couponpress.language import speaking

#: Commands whose help is English alone: they are for whoever runs the fleet.
OF_OPERATORS = {"schedule", "gateway", "metrics", "audit"}


def functions():
    for name in PLACES.keys() - OF_OPERATORS:
        module, _, attribute = PLACES[name].partition(":")
        found = getattr(import_module(module), attribute)
        yield from (
            (one.callback for one in getattr(found, "registered_commands", ())) if name == "catalog" else (found,)
        )


def test_the_texts_are_the_docstrings():
    assert sorted(COMMANDS) == sorted(inspect.getdoc(one) for one in functions())


def test_help_is_told_in_the_language_of_the_reader():
    command = TyperCommand("template", help=COMMANDS[0])
    say_help(command)
    assert command.help == COMMANDS[0]
    with speaking("zh_CN"):
        say_help(command)
    assert command.help.startswith("把表格作为一个批次提交")
    assert command.short_help == command.help
