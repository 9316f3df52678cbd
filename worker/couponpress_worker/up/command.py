"""The command `couponpress up`. It imports what it needs when it is called, so that `couponpress -h` is quick."""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from couponpress.language import gettext_noop


def up(
    directory: Annotated[
        Path, typer.Option("--dir", help=gettext_noop("Where logs, Redis's data, the sandbox's keys and `env` go."))
    ] = Path("up"),
    callback_port: Annotated[
        int | None, typer.Option(help=gettext_noop("Where callbacks are received; default: 8800, or a free port."))
    ] = None,
) -> None:
    """Run every service on this machine, in one terminal.

    These are: Redis, the platform's stand-in, callback receiver, worker, scheduler and gateway. What the
    settings name is used: COUPONPRESS_REDIS_URL, and the platform by COUPONPRESS_MCH_PRIVATE_KEY_FILE and the others
    of deploy/README.md. Without them a Redis and a sandbox are started as well. Ctrl-C stops it all.
    """
    from couponpress.settings import configured
    from couponpress_worker.settings import Secrets, Settings
    from couponpress_worker.up.run import is_configured, run_up

    named = configured()
    if is_configured(named, "MCH_PRIVATE_KEY_FILE"):
        Secrets.read(Settings.load())  # errors are reported before anything is started
    run_up(directory, typer.echo, configured=named, callback_port=callback_port)
