"""The `couponpress catalog` commands: what a person does with a catalog before it is submitted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from couponpress.catalog.template import write_template
from couponpress.language import gettext, gettext_noop

app = typer.Typer(
    help=gettext_noop("Make a catalog: an example to fill in."), no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def _commands() -> None:
    """Make a catalog: an example to fill in."""


@app.command()
def template(
    output: Annotated[
        Path, typer.Option("-o", "--output", help=gettext_noop("Where to write it: .xlsx, .csv or .tsv."))
    ] = Path("coupons.xlsx"),
) -> None:
    """Write an example catalog with Chinese headers, a row of every kind, and what each column takes."""
    write_template(output)
    typer.echo(
        gettext("%(output)s is written; replace its rows by yours, then: couponpress submit --dry-run %(output)s")
        % {"output": output},
        err=True,
    )
