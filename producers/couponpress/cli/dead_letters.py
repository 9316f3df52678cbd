"""The command `dead-letters`: list what was taken out of the work, and delete it once a person has seen it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from couponpress.cli.connection import client_of_person
from couponpress.cli.console import RunArgument, WhyOption, stderr
from couponpress.cli.run_lines import dead_letter_lines
from couponpress.cli.selecting import DryRunOption, YesOption
from couponpress.errors import InputError
from couponpress.language import gettext, gettext_noop
from couponpress.partner_option import PartnerOption
from couponpress.plurals import counted


def dead_letters(
    run: RunArgument = None,
    delete: Annotated[bool, typer.Option("--delete", help=gettext_noop("Delete them from the list."))] = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    why: WhyOption = "",
    _: PartnerOption = None,
) -> None:
    """Show the dead letters of a run or of all, or delete them once their cause is known.

    Their specs have ended as expired and stay so; `couponpress redrive RUN --code DEAD_LETTER` sends them again.
    """
    with client_of_person() as client:
        if run is not None:
            client.run(run)
        if not delete:
            for line in dead_letter_lines(client.dead_letter_chunks(), *client.dead_letter_messages(), run):
                typer.echo(line)
            return
        chunks, messages = client.delete_dead_letters(run, dry_run=True)
        what = gettext("%(chunks)s and %(messages)s") % {
            "chunks": counted(chunks, "chunk"),
            "messages": counted(messages, "message"),
        }
        if dry_run or not chunks + messages:
            stderr().print(gettext("%(what)s would be deleted; nothing was changed") % {"what": what})
            return
        if not yes and not _confirmed(what):
            stderr().print(gettext("nothing was changed"))
            return
        chunks, messages = client.delete_dead_letters(run, why=why)
        stderr().print(
            gettext("%(what)s deleted")
            % {
                "what": gettext("%(chunks)s and %(messages)s")
                % {"chunks": counted(chunks, "chunk"), "messages": counted(messages, "message")}
            }
        )


def _confirmed(what: str) -> bool:
    if not sys.stdin.isatty():
        raise InputError(gettext("that would delete %(what)s; give --yes if that is meant.") % {"what": what})
    return typer.confirm(gettext("Delete %(what)s?") % {"what": what}, err=True)
