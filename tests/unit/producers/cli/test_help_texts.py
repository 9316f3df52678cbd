"""The texts of `--help` that are marked for translation are those of the commands."""

import inspect
from importlib import import_module

from couponpress.cli.help_texts import COMMANDS
from couponpress.cli.main import PLACES


def functions():
    for place in PLACES.values():
        module, _, attribute = place.partition(":")
        found = getattr(import_module(module), attribute)
        if callback := getattr(getattr(found, "registered_callback", None), "callback", None):
            yield from [callback] if not callback.__name__.startswith("_") else []
        yield from (one.callback for one in getattr(found, "registered_commands", ()))
        if inspect.isfunction(found):
            yield found


def test_the_texts_are_the_docstrings():
    assert sorted(COMMANDS) == sorted(inspect.getdoc(one) for one in functions())
