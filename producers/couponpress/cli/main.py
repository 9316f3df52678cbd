"""The `couponpress` command: it joins the commands of every group, and turns errors into a sentence and an exit code.

Every error of the tree in `errors` is one sentence on standard error and exit code 2. The fleet's commands join
through the entry-point group `couponpress.commands`.
"""

from __future__ import annotations

import inspect
import sys
from importlib.metadata import entry_points, version
from typing import Annotated

import typer

from couponpress.cli import catalog
from couponpress.cli.console import BAD_INPUT, INTERRUPTED, stderr
from couponpress.cli.control import cancel, pause, redrive, resume
from couponpress.cli.output import written_output
from couponpress.cli.rate import limit
from couponpress.cli.results import results
from couponpress.cli.status import status, watch
from couponpress.cli.submission import submit
from couponpress.errors import CouponpressError
from couponpress.gateway import commands as gateway_commands
from couponpress.nightly.commands import app as schedule_commands

app = typer.Typer(
    help="Submits product-coupon picture tasks at just under the platform's limit.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (submit, status, watch, results, pause, resume, cancel, redrive, limit):
    app.command()(command)
app.add_typer(catalog.app, name="catalog")
app.add_typer(schedule_commands, name="schedule")
gateway_commands.join(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"couponpress {version('couponpress')}")
        raise typer.Exit


@app.callback()
def options(
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    """Take the options that every command shares."""


def _show_whole_sentences(root: typer.Typer) -> None:
    """Give each command and group its first line as its short help, which is wrapped; what typer makes is cut off."""
    for command in root.registered_commands:
        told = inspect.getdoc(command.callback) if command.callback else None
        command.short_help = command.short_help or (told or "").partition("\n\n")[0].replace("\n", " ")
    for group in root.registered_groups:
        if group.typer_instance is not None:
            group.short_help = group.short_help or str(group.typer_instance.info.help or "")
            _show_whole_sentences(group.typer_instance)


def main() -> None:
    """Run the command; every error that couponpress raises on purpose is one sentence and exit code 2."""
    try:
        with written_output():
            for entry in entry_points(group="couponpress.commands"):
                entry.load()(app)
            _show_whole_sentences(app)
            app()
    except CouponpressError as error:
        stderr.print(f"couponpress: {error}")
        sys.exit(BAD_INPUT)
    except KeyboardInterrupt:
        stderr.print("couponpress: interrupted")
        sys.exit(INTERRUPTED)
