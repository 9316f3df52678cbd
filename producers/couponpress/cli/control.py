"""The commands that change a run: `pause`, `resume`, `cancel` and `redrive`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated

import typer

from couponpress.cli.console import BrandOption, RunArgument, stderr
from couponpress.cli.counters import row_counter
from couponpress.client import Client
from couponpress.errors import InputError
from couponpress.ledger.redrive import RedrivenOutcome


def pause(run: RunArgument = None, brand: BrandOption = None) -> None:
    """Stop submitting a run, a brand, or everything; requests in flight end, nothing is lost."""
    with Client() as client:
        held = client.pause(run, brand=brand)
        stderr.print("paused" if held else "it was held already; `couponpress status` says why")


def resume(run: RunArgument = None, brand: BrandOption = None) -> None:
    """Let a run, a brand, or everything, go on from where it stopped."""
    with Client() as client:
        released = client.resume(run, brand=brand)
        stderr.print("goes on" if released else "nothing was held there; `couponpress status` shows holds")


def cancel(
    run: RunArgument = None,
    yes: Annotated[bool, typer.Option("--yes", help="Cancel every run without asking, for scripts.")] = False,
) -> None:
    """Take back what the platform has not accepted, of a run or of every run; accepted specs go on to completion."""
    with Client() as client:
        if run is None and not (yes or _confirmed(client)):
            stderr.print("nothing was cancelled")
            return
        with _counter() as on_progress:
            cancelled = client.cancel(run, on_progress=on_progress)
    stderr.print(f"{cancelled} specs cancelled; what was accepted before goes on to completion")


def redrive(
    run: Annotated[str, typer.Argument(help="The run's name.")],
    code: Annotated[str | None, typer.Option(help="Only specs whose reason has this code.")] = None,
    outcome: Annotated[
        RedrivenOutcome | None, typer.Option(help="Only specs that ended so; default: all that ended badly.")
    ] = None,
) -> None:
    """Send ended specs of a run again, same task_id and bytes, tries anew; never those that succeeded.

    It helps where the cause lay outside the row and is gone: an outage, a permission, a dead-letter chunk. A row
    that is wrong, and a picture that the platform could not make, need a new task_id: submit them under a new run name.
    """
    with Client() as client:
        with _counter() as on_progress:
            again = client.redrive(run, outcome=outcome, code=code, on_progress=on_progress)
        more = f"`couponpress watch {run}` shows its progress." if again else f"`couponpress status {run}` says why."
        stderr.print(f"run {run}: {again} specs go again. {more}")


def _confirmed(client: Client) -> bool:
    open_runs = [one for one in client.runs() if not one.finished]
    specs = sum(one.waiting + one.retrying + one.looking for one in open_runs)
    if not sys.stdin.isatty():
        raise InputError(f"that would cancel {specs} specs of {len(open_runs)} runs; name one run, or give --yes.")
    return typer.confirm(f"Cancel {specs} specs of {len(open_runs)} runs?", err=True)


def _counter() -> AbstractContextManager[Callable[[int], None] | None]:
    return row_counter(stderr) if stderr.is_terminal else nullcontext()
