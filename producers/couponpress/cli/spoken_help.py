"""Shows help pages in the reader's language: the texts of commands and options, and the words around them.

Typer and click hold their own words in English. Here they are translated while a page is written.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import typer
from typer._click import ClickException, HelpFormatter
from typer._click.exceptions import NoArgsIsHelpError

from couponpress.cli.click_sentences import in_words
from couponpress.cli.wide_text import columns, padded, wrapped
from couponpress.language import current, gettext, gettext_noop

_HEADINGS: Final = (gettext_noop("Arguments"), gettext_noop("Options"), gettext_noop("Commands"))
#: Places for values, as they stand on help pages. Typer tells a list of texts as `<list[str]>`.
_PLACES: Final = {
    "[OPTIONS]": gettext_noop("[OPTIONS]"),
    "COMMAND [ARGS]...": gettext_noop("COMMAND [ARGS]..."),
    "<str>": gettext_noop("<str>"),
    "<list[str]>": gettext_noop("<list[str]>"),
    "<path>": gettext_noop("<path>"),
    "<list[path]>": gettext_noop("<list[path]>"),
    "<int>": gettext_noop("<int>"),
    "<int range>": gettext_noop("<int range>"),
    "<float>": gettext_noop("<float>"),
    "<float range>": gettext_noop("<float range>"),
}
#: Names of values, as they stand beside options.
_VALUES: Final = {
    "MOMENT": gettext_noop("MOMENT"),
    "LENGTH": gettext_noop("LENGTH"),
    "TEXT": gettext_noop("TEXT"),
    "CATALOG": gettext_noop("CATALOG"),
    "FILE": gettext_noop("FILE"),
    "HEADER=FIELD": gettext_noop("HEADER=FIELD"),
    "KIND=PERCENT": gettext_noop("KIND=PERCENT"),
}
_NARROWEST: Final = 30
_VALUE: Final = re.compile(rf"(?<![\w=])(?:{'|'.join(map(re.escape, _VALUES))})(?![\w=])")
#: What Typer puts behind the help of an option.
_EXTRA: Final = re.compile(r"(?:^|  )\[([^\]]*)\]$")


class SpokenFormatter(HelpFormatter):
    """Writes a help page in the current language; in English as click does."""

    def __init__(self, indent_increment: int = 2, width: int | None = None, max_width: int | None = None) -> None:
        super().__init__(indent_increment, width, max_width)
        if width is None and current() != "en":  # click takes no terminal for narrower than 52 columns
            self.width = min(self.width, max(shutil.get_terminal_size().columns - 2, _NARROWEST))

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write the line that says how a command is called."""
        if current() == "en":
            super().write_usage(prog, args, prefix)
            return
        self.write(gettext("Usage: %(call)s") % {"call": f"{prog} {_places(args)}"} + "\n")

    def write_heading(self, heading: str) -> None:
        """Write the heading of a list."""
        if current() == "en" or heading not in _HEADINGS:
            super().write_heading(heading)
            return
        self.write(f"{'':>{self.current_indent}}{gettext(heading)}：\n")

    def write_text(self, text: str) -> None:
        """Write paragraphs, wrapped where the lines of a terminal end."""
        if current() == "en":
            super().write_text(text)
            return
        indent = " " * self.current_indent
        paragraphs = [wrapped(one, self.width - self.current_indent) for one in _paragraphs(text)]
        self.write("\n\n".join("\n".join(indent + line for line in lines) for lines in paragraphs) + "\n")

    def write_dl(self, rows: Sequence[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write names with their texts beside them."""
        if current() == "en":
            super().write_dl(rows, col_max, col_spacing)
            return
        told = [(_places(name), _with_extra(text)) for name, text in rows]
        first = min(max(columns(name) for name, _ in told), col_max, self.width // 2)
        margin = " " * self.current_indent
        beside = margin + " " * (first + col_spacing)
        for name, text in told:
            lines = wrapped(text, max(self.width - len(beside), 10)) if text else [""]
            if columns(name) > first:
                self.write(f"{margin}{name}\n{beside}")
            else:
                self.write(f"{margin}{padded(name, first)}{' ' * col_spacing if text else ''}")
            self.write(f"\n{beside}".join(lines) + "\n")


class SpokenContext(typer.Context):
    """A command's context; its help is written in the reader's language."""

    formatter_class = SpokenFormatter


def say_help(command: Any) -> None:  # noqa: ANN401 - what Typer made, a command or a group
    """Put the help of a command, of its options and of the commands below it into the reader's language."""
    if current() == "en":
        return
    command.context_class = SpokenContext
    command.help = gettext(command.help) if command.help else command.help
    if command.help:
        command.short_help = command.help.partition("\n\n")[0].replace("\n", "")
    for option in command.params:
        option.help = gettext(option.help) if getattr(option, "help", None) else None
    for below in getattr(command, "commands", {}).values():
        if below.help:
            say_help(below)


@contextmanager
def spoken_errors() -> Iterator[None]:
    """Tell what the command-line library objects to in the reader's language; it ends with the library's exit code.

    Raises:
        SystemExit: a command, an option or a value was not understood, or a question was not answered.
    """
    try:
        yield
    except typer.Abort:
        typer.echo(gettext("Aborted!"), err=True)
        raise SystemExit(1) from None
    except ClickException as error:
        _tell(error)
        raise SystemExit(error.exit_code) from None


def _tell(error: ClickException) -> None:
    context = getattr(error, "ctx", None)
    if current() == "en" or isinstance(error, NoArgsIsHelpError):
        error.show()
        return
    if context is not None:
        typer.echo(context.get_usage(), err=True)
        call = {"command": context.command_path, "option": context.help_option_names[0]}
        typer.echo(gettext("Try '%(command)s %(option)s' for help.") % call + "\n", err=True)
    typer.echo(gettext("Error: %(message)s") % {"message": in_words(error.format_message())}, err=True)


def _paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text; a line end between two wide letters is no blank."""
    return [re.sub(r"(?<=[ -~])\n(?=[ -~])", " ", one).replace("\n", "") for one in text.strip().split("\n\n")]


def _places(text: str) -> str:
    for english, message in _PLACES.items():
        text = text.replace(english, gettext(message))
    return _VALUE.sub(lambda found: gettext(_VALUES[found[0]]), text)


def _with_extra(text: str) -> str:
    """Return the text of an option with what stands behind it, such as its default, in the current language."""
    found = _EXTRA.search(text)
    if found is None:
        return in_words(text)
    extra = "；".join(in_words(one) for one in found[1].split("; "))
    return f"{in_words(text[: found.start()])}  [{extra}]"
