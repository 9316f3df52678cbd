"""The commands of `couponpress notify`; they import what they need when they are called."""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from couponpress.cli.console import DONE, ENDED_BADLY, JsonOption
from couponpress.errors import InputError
from couponpress.language import gettext, gettext_noop
from couponpress.partner_option import PartnerOption

if TYPE_CHECKING:
    from couponpress_worker.notify.trying import Tried

app = typer.Typer(
    help=gettext_noop("Telling people by group robots and webhooks; see docs/notify.md."),
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def notify() -> None:
    """Let `test` be a command of its own."""


@app.command(
    "test",
    help=gettext_noop(
        "Send a test message to each target, and show what it answers; exit code 1 if one does not take it."
    ),
)
def send_test(
    target: Annotated[
        str | None, typer.Option(help=gettext_noop("Only the target of this name."), show_default=False)
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(help=gettext_noop("The file with the targets, else those of the settings."), show_default=False),
    ] = None,
    as_json: JsonOption = False,
    _: PartnerOption = None,
) -> None:
    """Tell each target that nothing happened, and show what it answers."""
    from couponpress.notify.target_file import chosen, fleet_targets, read_targets
    from couponpress.settings import ProducerSettings, configured_language, environment_variable
    from couponpress_worker.notify.trying import send_tests

    settings = ProducerSettings.load()
    if file is not None:
        targets = read_targets(file, environment_variable)
    else:
        targets = list(fleet_targets(settings.notify_file, settings.schedule_file, environment_variable))
    if not targets:
        raise InputError(
            gettext(
                "nobody is to be told: name a file with tables [[notify]] by COUPONPRESS_NOTIFY_FILE, or give --file; "
                "see docs/notify.md."
            )
        )
    tried = send_tests(chosen(targets, target), settings.mchid, configured_language(), settings.proxy_rule)
    if as_json:
        told = [
            {"target": one.target.name, "kind": one.target.kind.name, "url": one.target.shown, "taken": one.good}
            | {"answer": one.answer.words, "cure": one.answer.cure}
            for one in tried
        ]
        typer.echo(json.dumps(told, ensure_ascii=False))
    for line in () if as_json else _lines(tried):
        typer.echo(line)
    raise typer.Exit(DONE if all(one.good for one in tried) else ENDED_BADLY)


def _lines(tried: Iterable[Tried]) -> Iterator[str]:
    for one in tried:
        target = f"{one.target.name} ({one.target.kind.name}, {one.target.shown})"
        if one.good:
            yield f"{gettext('ok  ')} {target}: {gettext('took it')}"
            continue
        said = gettext("did not take it: %(words)s") % {"words": one.answer.words}
        yield f"{gettext('FAIL')} {target}: {said}"
        if one.answer.cure:
            yield gettext("     cure: %(cure)s") % {"cure": one.answer.cure}
