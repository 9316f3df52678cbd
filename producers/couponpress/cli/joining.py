"""Lets other packages join the `couponpress` command: the fleet's, with its commands and its upload of pictures.

They name themselves in the entry-point group `couponpress.commands`. To find them, a file of every installed package is
read. That takes a tenth of the time of a short command, so only a command that needs them looks for them.
"""

from __future__ import annotations

import typer


def join_others(app: typer.Typer) -> None:
    """Add what other packages bring to the command; their uploader of pictures can then be used as well."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow to load

    for entry in entry_points(group="couponpress.commands"):
        entry.load()(app)
