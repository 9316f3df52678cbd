"""Which language a person reads, and that both languages say everything."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

from couponpress import language
from couponpress.language import gettext, language_of_header, language_of_locale, ngettext, speaking
from couponpress_worker.doctor.finding import NAMES
from tests.trees import nodes_of

ROOT = Path(__file__).resolve().parents[3]
CATALOG = language.LOCALE / "zh_CN" / "LC_MESSAGES" / "couponpress.po"


def catalog(path, read):
    with path.open("rb") as stream:
        return {tuple(one.id) if isinstance(one.id, list) else one.id: one for one in read(stream) if one.id}


@cache
def in_the_code():
    """Every message of the code, as gettext's own extraction finds it."""
    with (ROOT / "babel.cfg").open() as stream:
        methods, options = parse_mapping_cfg(stream)
    keywords = {"gettext": None, "gettext_noop": None, "_": None, "ngettext": (1, 2)}
    found = set()
    for package in ("producers", "worker"):
        patterns = [(one.removeprefix(f"{package}/"), method) for one, method in methods if one.startswith(package)]
        told = {one.removeprefix(f"{package}/"): of for one, of in options.items()}
        found |= {message for _, _, message, _, _ in extract_from_dir(ROOT / package, patterns, told, keywords)}
    return frozenset(found)


#: Errors whose text is English whatever the language: it is logged or stored, or tells a mistake of a programmer.
FOR_PROGRAMS = {
    "AttributeError",
    "RuntimeError",
    "TypeError",
    "DamagedChunkError",
    "DataError",  # an argument of a kind that Redis does not know
    "PermissionError",  # ends in the log of a service
    "RedisConnectionError",
    "RefusedAddressError",  # its words are stored with what was not sent
    "Refusal",  # translated when it is answered
}
#: Modules whose ValueError tells a mistake of a programmer, or stands in an answer of the stand-in.
OF_PROGRAMMERS = {"spec", "bucket", "account", "connection", "rules", "client"}
SENTENCE = re.compile(r"[A-Za-z]{2,}[,:;]? [A-Za-z]{2,}")


def literal(node):
    """The text of a literal, of an f-string, or of one that is formatted; empty for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(one.value if isinstance(one, ast.Constant) else "{}" for one in node.values)
    if isinstance(node, ast.BinOp):
        return literal(node.left) + literal(node.right)
    return ""


def errors_in_english():
    """Every sentence that an error is made of without passing it to gettext."""
    for package in ("producers/couponpress", "worker/couponpress_worker"):
        for path in sorted((ROOT / package).rglob("*.py")):
            nodes = nodes_of(path)
            errors = [
                node
                for node in nodes
                if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Error") for base in node.bases)
            ]
            inner = {id(node) for error in errors for node in ast.walk(error)}
            for node in nodes:
                if not isinstance(node, ast.Call):
                    continue
                name = ast.unparse(node.func)
                of_class = name in {"super().__init__", "CouponpressError.__init__"} and id(node) in inner
                if not of_class and ("." in name or not name.endswith("Error") or name in FOR_PROGRAMS):
                    continue
                if name == "ValueError" and path.stem in OF_PROGRAMMERS:
                    continue
                texts = [literal(one) for one in [*node.args, *(keyword.value for keyword in node.keywords)]]
                yield from (f"{path.name}: {text}" for text in texts if SENTENCE.search(text))


def test_what_an_error_tells_a_person_is_translated():
    assert list(errors_in_english()) == []


#: Calls that tell a person something.
TELLING = {"typer.echo", "typer.confirm", "stderr().print", "console.print", "services.say", "self._show", "Finding"}


def sayings_in_english():
    """Every sentence that is told to a person without passing it to gettext."""
    for package in ("producers/couponpress", "worker/couponpress_worker"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in nodes_of(path):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in TELLING:
                    texts = [literal(one) for one in [*node.args, *(keyword.value for keyword in node.keywords)]]
                    names = {literal(node.args[0])} if ast.unparse(node.func) == "Finding" and node.args else set()
                    yield from (f"{path.name}: {text}" for text in texts if SENTENCE.search(text) and text not in names)


def test_what_is_told_to_a_person_is_translated():
    assert list(sayings_in_english()) == []


def test_every_check_of_the_doctor_has_a_name_in_chinese():
    given = {
        literal(node.args[0])
        for path in sorted((ROOT / "worker" / "couponpress_worker" / "doctor").glob("*.py"))
        for node in nodes_of(path)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Finding" and node.args
    }
    assert {name for name in given if name and "{}" not in name} <= NAMES


def placeholders(text):
    return sorted(part for part in text.replace("%%", "").split("%(")[1:] for part in [part.partition(")")[0]])


def test_every_sentence_of_the_code_is_said_in_chinese_and_no_other():
    said = catalog(CATALOG, read_po)
    missing = {message for message in in_the_code() if message not in said}
    assert not missing, "run `make messages`, and translate what is new in couponpress.po"
    assert not said.keys() - in_the_code()
    assert [message.id for message in said.values() if not message.string or message.fuzzy] == []


def test_a_translation_has_the_same_places_for_values():
    for message in catalog(CATALOG, read_po).values():
        ids, strings = message.id, message.string
        original = ids[-1] if isinstance(ids, tuple) else ids
        translated = strings if isinstance(strings, str) else strings[0]
        assert placeholders(original) == placeholders(translated), original


def test_the_compiled_catalog_is_that_of_the_source():
    compiled, source = catalog(CATALOG.with_suffix(".mo"), read_mo), catalog(CATALOG, read_po)
    first = lambda text: text if isinstance(text, str) else text[0]  # noqa: E731
    told = {first(key): first(message.string) for key, message in source.items()}
    assert {first(key): first(message.string) for key, message in compiled.items()} == told, "run `make setup`"


def test_a_service_speaks_english_and_remembers_the_language_of_who_started_it(monkeypatch):
    monkeypatch.setattr(language, "_of_process", lambda: "zh_CN")
    monkeypatch.setattr(language, "_of_starter", lambda: "en")
    for _ in range(2):  # as a scheduler's nights and the scheduler itself do
        language.serve_in_english()
        assert (language.current(), language.of_starter()) == ("en", "zh_CN")


def test_messages_follow_the_language_of_their_block():
    assert (gettext("Runs"), ngettext("Submit %(num)s row", "Submit %(num)s rows", 2)) == (
        "Runs",
        "Submit %(num)s rows",
    )
    with speaking("zh_CN"):
        assert (gettext("Runs"), language.current()) == ("批次", "zh_CN")
        assert gettext("a sentence that nobody translated") == "a sentence that nobody translated"
        with speaking("en"):
            assert gettext("Runs") == "Runs"
    assert language.current() == "en"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh_CN"),
        ({"LANG": "zh_TW.Big5"}, "zh_CN"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LC_MESSAGES": "zh_CN.GBK", "LANG": "en_US.UTF-8"}, "zh_CN"),
        ({"LC_ALL": "", "LANG": "zh_CN"}, "zh_CN"),
        ({"COUPONPRESS_LANG": "en", "LC_ALL": "zh_CN.UTF-8"}, "en"),
        ({"COUPONPRESS_LANG": "zh", "LANG": "C"}, "zh_CN"),
    ],
)
def test_the_environment_says_which(environment, expected):
    assert language_of_locale(environment) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, "en"),
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh_CN"),
        ("en-US,en;q=0.9,zh;q=0.1", "en"),
        ("de,zh;q=0.5,en;q=0.1", "zh_CN"),
        ("fr", "en"),
        ("zh;q=x, en", "en"),
        ("*", "en"),
    ],
)
def test_a_browser_says_which(header, expected):
    assert language_of_header(header) == expected
