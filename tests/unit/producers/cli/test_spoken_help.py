"""Help pages and the objections of the command-line library, in Chinese: every command and option of both packages."""

import re

import pytest
import typer
from typer.main import get_command

from couponpress.cli import spoken_help
from couponpress.cli.lazy_group import lazy_group, show_whole_sentences
from couponpress.cli.main import PLACES, app
from couponpress.cli.spoken_help import SpokenContext, spoken_errors
from couponpress.cli.wide_text import columns
from couponpress.language import speaking
from couponpress_worker.cli import register

CHINESE = re.compile("[一-鿿]")
#: Two English words one after the other, which are no command, setting, path, key or program.
ENGLISH = re.compile(r"(?<![-\w/.:`=_])[A-Za-z]+ [A-Za-z]+(?![-\w/.:`=_])")
NAMES = re.compile(
    r"couponpress [a-z-]+( [a-z]+)?|`[^`]*`|--[a-z-]+( [A-Z]+)?|Celery worker|--until MOMENT|--for LENGTH|Ctrl-C"
)


def whole():
    """The command with those of both packages."""
    made = typer.Typer(cls=lazy_group(PLACES), help=app.info.help, rich_markup_mode=None)
    made.registered_callback = app.registered_callback
    register(made)
    show_whole_sentences(made)
    return get_command(made)


def pages(command, context):
    """Every command with its context, the root first."""
    yield command, context
    for name in command.list_commands(context) if hasattr(command, "list_commands") else ():
        below = command.get_command(context, name)
        yield from pages(below, below.context_class(below, parent=context, info_name=name))


@pytest.fixture
def chinese_pages():
    with speaking("zh_CN"):
        root = whole()
        yield list(pages(root, SpokenContext(root, info_name="couponpress")))


def test_every_command_and_option_has_a_chinese_text(chinese_pages):
    assert len(chinese_pages) > 25
    for command, context in chinese_pages:
        assert command.get_help(context)
        texts = [command.help, *(option.help for option in command.params if getattr(option, "help", None))]
        for text in texts:
            assert CHINESE.search(text or ""), (context.command_path, text)


def test_a_page_holds_no_english_sentence_and_fits_a_terminal(chinese_pages):
    for command, context in chinese_pages:
        page = command.get_help(context)
        assert page.startswith(f"用法：{context.command_path} [选项]")
        for line in page.splitlines():
            assert not ENGLISH.search(NAMES.sub(" ", line)), line
            assert columns(line) <= 80, line


def test_a_page_fits_a_narrow_terminal_but_for_long_names(chinese_pages, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    command, context = chinese_pages[0]
    page = command.get_help(context)
    assert max(map(columns, page.splitlines())) <= 40
    submit, context = next(one for one in chinese_pages if one[1].info_name == "submit")
    lines = submit.get_help(context).splitlines()
    assert [line for line in lines[2:] if columns(line) > 40 and CHINESE.search(line)] == []


def test_an_english_page_is_as_the_library_writes_it():
    root = whole()
    page = root.get_help(SpokenContext(root, info_name="couponpress"))
    assert page.startswith("Usage: couponpress [OPTIONS] COMMAND [ARGS]...\n")
    assert "Show this message and exit." in page


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nope"], "错误：没有命令“nope”。"),
        (["statsu"], "没有命令“statsu”。是否想写 'status'？"),
        (["limit", "--nope"], "错误：没有选项 --nope"),
        (["gateway", "token"], "错误：缺少参数“name”。"),
        (["sandbox", "--port", "abc"], "错误：“--port”的值无效：应为整数"),
        (["sandbox", "--port", "70000"], "错误：“--port”的值无效：应小于或等于 65535"),
        (["redrive", "may", "--outcome", "bad"], "“bad”不是以下之一"),
        (["pause", "--why"], "错误：选项“--why”需要一个值。"),
        (["status", "a", "b"], "错误：多余的参数（b）"),
        (["submit", "--dry-run=3"], "错误：选项“--dry-run”不带值。"),
    ],
)
def test_what_is_not_understood_is_told_in_chinese(words, told, capsys):
    with speaking("zh_CN"), pytest.raises(SystemExit) as ended, spoken_errors():
        whole().main(words, prog_name="couponpress", standalone_mode=False)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert told in err
    assert not out
    assert not ENGLISH.search(NAMES.sub(" ", err)), err


def test_in_english_the_library_speaks_for_itself(capsys):
    with pytest.raises(SystemExit), spoken_errors():
        whole().main(["nope"], prog_name="couponpress", standalone_mode=False)
    assert "Error: No such command 'nope'." in capsys.readouterr().err


def test_an_unanswered_question_ends_the_command(capsys):
    with speaking("zh_CN"), pytest.raises(SystemExit) as ended, spoken_errors():
        raise typer.Abort
    assert ended.value.code == 1
    assert capsys.readouterr().err == "已中止！\n"


def test_paragraphs_of_chinese_have_no_blanks_where_lines_end():
    assert spoken_help._paragraphs("一行，\n又一行\n\nfirst\nsecond") == ["一行，又一行", "first second"]
