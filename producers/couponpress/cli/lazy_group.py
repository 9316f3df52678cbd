"""A group of commands that are imported when they are called, or when help shows them.

Importing all of them takes most of the time of a command such as `couponpress status`. A command is named as
`package.module:name`: a function, which becomes a command, or a Typer app, which becomes a group.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from couponpress.cli.entry import importing
from couponpress.cli.spoken_help import SpokenContext, say_help


def lazy_group(places: Mapping[str, str]) -> type[TyperGroup]:
    """Return the class of a group with a command for each name, which stands at its place."""

    class LazyGroup(TyperGroup):
        context_class = SpokenContext

        def __init__(self, **options: Any) -> None:  # noqa: ANN401 - Typer's own, passed on
            super().__init__(**options)
            self.commands = {**{name: TyperCommand(name) for name in places}, **self.commands}
            self._to_load = dict(places)

        def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | TyperGroup | None:  # noqa: ANN401 - likewise
            if place := self._to_load.pop(cmd_name, None):
                self.commands[cmd_name] = _loaded(cmd_name, place)
            found = cast(TyperCommand | TyperGroup | None, super().get_command(ctx, cmd_name))
            if found is not None:
                say_help(found)
            return found

        def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - likewise
            say_help(self)
            super().format_help(ctx, formatter)

    return LazyGroup


def show_whole_sentences(root: typer.Typer) -> None:
    """Give each command and group its first line as its short help, which is wrapped; what typer makes is cut off."""
    for command in root.registered_commands:
        told = inspect.getdoc(command.callback) if command.callback else None
        command.short_help = command.short_help or (told or "").partition("\n\n")[0].replace("\n", " ")
    for group in root.registered_groups:
        if group.typer_instance is not None:
            group.short_help = group.short_help or str(group.typer_instance.info.help or "")
            show_whole_sentences(group.typer_instance)


def _loaded(name: str, place: str) -> TyperCommand | TyperGroup:
    module, _, attribute = place.partition(":")
    with importing():
        found = getattr(import_module(module), attribute)
    root = typer.Typer(rich_markup_mode=None)
    if isinstance(found, typer.Typer):
        root.add_typer(found, name=name)
    else:
        root.command(name)(found)
    show_whole_sentences(root)
    return cast(TyperCommand | TyperGroup, get_group(root).commands[name])
