"""Commands and settings that a file names, held against the real command line and the real settings."""

import os
import re
import shlex
from functools import cache
from unittest.mock import patch

import pytest
import typer
from typer.main import get_command

from couponpress.cli.main import app
from couponpress.gateway.settings import GatewaySettings
from couponpress.setting_names import ENV_PREFIX
from couponpress_worker.cli import register
from couponpress_worker.settings import Settings

USAGE_ERROR = typer.BadParameter.__base__
PRODUCERS_OWN = {name: getattr(app, name).copy() for name in ("registered_commands", "registered_groups")}


def without_fleet(monkeypatch):
    """Let the command have the producers' commands alone, before it is called in this process.

    It gains the fleet's commands once per process; in a process of tests it would gain them again with every call.
    """
    for name, own in PRODUCERS_OWN.items():
        monkeypatch.setattr(app, name, own.copy())


def settings_by_name():
    fields = Settings.model_fields | GatewaySettings.model_fields
    return {ENV_PREFIX + name.upper(): field for name, field in fields.items()}


@cache
def commands():
    fleet = typer.Typer()
    register(fleet)
    group = get_command(app)
    own = {name: group.get_command(None, name) for name in group.list_commands(None)}
    return own | get_command(fleet).commands


def calls_in(text):
    """Yield the words of every `couponpress ...` call in lines of shell."""
    for line in text.replace("\\\n", " ").splitlines():
        for part in re.split(r"\||&&|;|\s&(?:\s|$)", re.sub(r"(^|\s)#.*", "", line)):
            words = shlex.split(re.sub(r"\d?[<>]+\s*\S+", "", part))
            for at, word in enumerate(words):
                if word == "couponpress" or word.endswith("/couponpress"):
                    yield words[at + 1 :]
                    break


def check(words, *, whole):
    """Let the real command line read a call, without doing anything."""
    if not words or words[0] in {"-h", "--help", "--version"}:
        return
    assert words[0] in commands(), f"there is no command `couponpress {words[0]}`"
    name, *rest, command = *words, commands()[words[0]]
    subcommands = getattr(command, "commands", {})
    if subcommands and not (command.invoke_without_command and (not rest or rest[0].startswith("-"))):
        assert rest, f"`couponpress {name}` has commands of its own"
        assert rest[0] in subcommands, f"there is no command `couponpress {name} {rest[0]}`"
        name, *rest, command = *rest, subcommands[rest[0]]
    try:
        # `--partner` is read at once: it chooses from a file of partners, and changes the environment.
        with patch.dict(os.environ, {"COUPONPRESS_PARTNERS": "partners.toml"}):
            if not {"-h", "--help"} & set(words):
                command.make_context(name, rest)
    except USAGE_ERROR as error:
        if whole or type(error).__name__ != "MissingParameter":
            pytest.fail(f"`couponpress {shlex.join(words)}`: {error}")
