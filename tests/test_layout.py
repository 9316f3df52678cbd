"""The house rules, held by a machine: who imports whom, who reads the environment, what a file must carry.

Each exception stands here with its reason; an exception that nobody uses any more fails too.
"""

import ast
import fnmatch
import importlib
import inspect
import re
from functools import cache
from pathlib import Path

import pytest

import couponpress
import couponpress.errors
import couponpress_worker
import couponpress_worker.errors
from couponpress.cli.main import PLACES
from tests.trees import nodes_of, texts_of, tree_of

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {
    "couponpress": ROOT / "producers" / "couponpress",
    "couponpress_worker": ROOT / "worker" / "couponpress_worker",
}


def module_name(path):
    for name, home in PACKAGES.items():
        if path.is_relative_to(home):
            parts = [name, *path.relative_to(home).with_suffix("").parts]
            return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    raise AssertionError(path)


SOURCES = {module_name(path): path for home in PACKAGES.values() for path in sorted(home.rglob("*.py"))}
LUA = [path for home in PACKAGES.values() for path in sorted(home.rglob("*.lua"))]


@cache
def imports_of(name):
    """Every module that a module names in an import, at its top or inside a function."""
    found = set()
    for node in nodes_of(SOURCES[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name}: relative import"
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {one if one in SOURCES else node.module for one in whole}
    return found


def importers_of(*roots):
    return {
        name
        for name in SOURCES
        if any(one == root or one.startswith(f"{root}.") for one in imports_of(name) for root in roots)
    }


def within(names, *homes):
    """Those of `names` that are one of `homes` or lie below one."""
    return {name for name in names if any(name == home or name.startswith(f"{home}.") for home in homes)}


# --- imports ----------------------------------------------------------------------------------------------------------

#: All that the fleet may know of the producers' package, by its rooms and top modules.
GROUND_FLOOR = {
    "language",
    "library_sentences",
    "spec",
    "outcome",
    "partner_option",
    "partners_watch",
    "stopping",
    "watched_files",
    "keys",
    "ledger",
    "notify",
    "setting_names",
    "settings",
    "stored_sentences",
    "errors",
    "picture_files",
    "plurals",
    "redis_rights",
    "transport",
}

#: What the fleet's tools, which are producers as well, need besides.
RIM = {
    "cli": {
        "cli": "joins the command and shares its exit codes",
    },
    "demo": {
        "catalog": "puts the broken rows into the results",
        "cli": "shows progress as `watch` does",
        "client": "enqueues its sample, as any producer does",
        "results": "writes the results",
        "uploads": "reads its sample as `submit` does",
    },
    "doctor": {"cli": "says what runs wait for as `status` does"},
    "up": {"gateway": "makes a token where no tokens file is named"},
    "notify": {
        "cli": "its command shares the exit codes",
        "nightly": "says what came of a night as the page of schedules does",
    },
    "runtime": {"nightly": "a scheduler enqueues catalogs, as any producer does"},
}

#: The rooms and top modules of both packages, the highest first. Each imports from those below it alone.
ORDER = {
    "couponpress_worker": "tasks cli up demo app doctor pictures sandbox runtime notify completion submission safety "
    "store rate settings events wechatpay outbound periodic timings errors help_texts",
    "couponpress": "__main__ cli gateway metrics nightly notify asyncio_client client spec_sentences overview uploads "
    "catalog partner_option partners_watch settings partners transport ledger compiled_spec serialized_spec spec "
    "broken_rules results stored_sentences picture_files outcome redis_rights keys setting_names watched_files "
    "stopping plurals toml_files errors pydantic_sentences library_sentences sentence_patterns suggestion time_zone "
    "language",
}


def room_of(name):
    return name.split(".")[1] if "." in name else ""


def test_every_room_has_its_place():
    for package, order in ORDER.items():
        assert {room_of(name) for name in SOURCES if name.startswith(f"{package}.")} == set(order.split())


@pytest.mark.parametrize("name", sorted(name for name in SOURCES if "." in name))
def test_imports_run_downwards(name):
    package, room = name.split(".")[:2]
    order = ORDER[package].split()
    rooms = {room_of(one) for one in within(imports_of(name), package)} - {room, ""}
    assert rooms <= set(order[order.index(room) :])


def test_producers_never_import_the_fleet():
    assert not within(importers_of("couponpress_worker"), "couponpress")


def test_the_fleet_sees_the_ground_floor_only():
    seen = {}
    for name in within(SOURCES, "couponpress_worker"):
        rooms = {room_of(one) for one in within(imports_of(name), "couponpress")} - GROUND_FLOOR
        if rooms:
            seen.setdefault(room_of(name), set()).update(rooms)
    assert seen == {room: set(reasons) for room, reasons in RIM.items()}


def test_decisions_know_no_wiring():
    """What decides gets values, so settings stop at the rim."""
    readers = {room_of(name) for name in importers_of("couponpress_worker.settings")}
    assert readers == {"app", "cli", "doctor", "pictures", "runtime", "up"}
    assert not within(imports_of("couponpress_worker.wechatpay.judgement"), *PACKAGES) - {"couponpress.outcome"}


#: Who may speak to which library: rooms, or single modules.
SPOKEN_BY = {
    ("celery", "kombu", "redbeat"): {
        "couponpress.transport.broker",
        "couponpress_worker.app",
        "couponpress_worker.runtime.beat",
        "couponpress_worker.runtime.services",
        "couponpress_worker.submission.celery_consumer",
        "couponpress_worker.submission.message_filter",
        "couponpress_worker.submission.publisher",
        "couponpress_worker.submission.task_results",
    },
    ("fastapi", "starlette", "uvicorn"): {
        "couponpress.gateway",
        "couponpress.metrics.service",
        "couponpress.transport.bounded_http",
        "couponpress.transport.serve",
        "couponpress_worker.completion.callback_asgi",
        "couponpress_worker.sandbox",
    },
    ("msgspec",): {"couponpress.compiled_spec", "couponpress.ledger.chunks", "couponpress.ledger.progress"},
    ("opentelemetry",): {"couponpress.gateway.traces", "couponpress_worker.runtime.traces"},
    ("prometheus_client",): {"couponpress.metrics"},
    ("structlog",): {
        "couponpress.gateway.partners",
        "couponpress.gateway.request_ids",
        "couponpress.transport.log_lines",
        "couponpress_worker.completion.callback",
        "couponpress_worker.completion.callback_asgi",
        "couponpress_worker.completion.status_poller",
        "couponpress_worker.rate.call",
        "couponpress_worker.runtime.callback_partner",
        "couponpress_worker.submission.submitter",
    },
    ("httpx", "httpcore", "httptools", "requests", "urllib.request", "http.client"): {
        "couponpress.cli.picture_http",
        "couponpress_worker.completion.forwarding",
        "couponpress_worker.completion.run_webhooks",
        "couponpress_worker.demo",
        "couponpress_worker.doctor.proxy",
        "couponpress_worker.notify.sender",
        "couponpress_worker.outbound",
        "couponpress_worker.pictures.fetch",
        "couponpress_worker.runtime.subprocesses",
        "couponpress_worker.up.run",
        "couponpress_worker.sandbox",
        "couponpress_worker.wechatpay",
    },
}


@pytest.mark.parametrize("libraries", SPOKEN_BY, ids="/".join)
def test_a_library_is_spoken_where_it_is_named(libraries):
    spoken, places = importers_of(*libraries), SPOKEN_BY[libraries]
    assert not spoken - within(spoken, *places)
    assert {place for place in places if not within(spoken, place)} == set()


def test_the_gateway_is_loaded_by_its_command_only():
    imported = set().union(*(imports_of(name) for name in within(SOURCES, "couponpress.cli")))
    named = {place.partition(":")[0] for place in PLACES.values()}
    assert within(imported | named, "couponpress.gateway") == {"couponpress.gateway.commands"}
    top = {
        node.module
        for node in tree_of(SOURCES["couponpress.gateway.commands"]).body
        if isinstance(node, ast.ImportFrom)
    }
    assert within(top, "couponpress") <= {"couponpress.errors", "couponpress.language", "couponpress.partner_option"}


def test_a_sandbox_is_used_by_nobody_but_the_commands():
    """`cli` starts one; `demo` and `up` start one too, and read the file that it writes for its clients."""
    outside = importers_of("couponpress_worker.sandbox") - within(SOURCES, "couponpress_worker.sandbox")
    assert {room_of(name) for name in outside} == {"cli", "demo", "up"}


# --- names in Redis ---------------------------------------------------------------------------------------------------


def test_only_keys_builds_names():
    """A name begins `couponpress:` and goes on at once; a message to a person has a blank there."""
    for name, path in SOURCES.items():
        assert [text for text in texts_of(path) if re.match(r"couponpress:(?!\s)", text)] == (
            ["couponpress:"] if name == "couponpress.keys" else []
        ), name


def test_scripts_get_every_name_from_their_caller():
    for path in LUA:
        code = re.sub(r"--.*", "", path.read_text(encoding="utf-8"))
        assert "couponpress" not in code, path.name
        named = {command for command, _ in re.findall(r"redis\.p?call\(\s*'(\w+)'\s*,\s*(['\"])", code)}
        assert named <= {"INFO"}, path.name


@pytest.mark.parametrize("path", LUA, ids=lambda path: path.name)
def test_every_script_has_its_header(path):
    header = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("--"):
            break
        header.append(line)
    told = "\n".join(header)
    assert re.search(r"\b(KEYS|ARGV)\b", told)
    assert re.search(r"\breturns?\b", told, re.IGNORECASE)
    code = path.read_text(encoding="utf-8")[len(told) :]
    for kind in ("KEYS", "ARGV"):
        used = {int(number) for number in re.findall(rf"{kind}\[(\d+)\]", code)}
        stated = {int(number) for number in re.findall(rf"{kind}\[(\d+)\]", told)}
        assert not used or used <= stated, f"{kind} not told: {sorted(used - stated)}"


def test_every_script_is_called():
    called = {text for path in SOURCES.values() for text in texts_of(path)}
    assert [path.name for path in LUA if not {path.stem, path.name} & called] == []


# --- environment ------------------------------------------------------------------------------------------------------

SETTINGS = {"couponpress.settings", "couponpress_worker.settings"}
#: Hands its own environment on to the processes that it starts; reads nothing from it.
PASSES_ON = {"couponpress_worker.runtime.subprocesses"}


def test_only_settings_read_the_environment():
    reading = {
        name
        for name, path in SOURCES.items()
        for node in nodes_of(path)
        if (isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv"})
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and {"environ", "getenv"} & {a.name for a in node.names}
        )
    }
    assert reading - SETTINGS == PASSES_ON
    assert importers_of("pydantic_settings") <= SETTINGS


# --- the surface ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("package", ["couponpress", "couponpress.catalog", "couponpress_worker.wechatpay.client"])
def test_all_is_what_is_public(package):
    module = importlib.import_module(package)
    defined = {
        alias.asname or alias.name
        for node in ast.walk(tree_of(SOURCES[package]))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert len(set(module.__all__)) == len(module.__all__)
    if package == "couponpress":
        assert set(module.__all__) == defined - {"import_module", "TYPE_CHECKING"}
        assert all(getattr(module, name).__name__ == name for name in module.__all__ if name != "State")


@pytest.mark.parametrize("module", [couponpress.errors, couponpress_worker.errors], ids=lambda module: module.__name__)
def test_the_drawn_tree_of_errors_is_the_real_one(module):
    drawn, stack = {}, []
    for line in module.__doc__.splitlines():
        if found := re.match(r"^([│ ]*(?:[├└]── )?)(\w+Error)\b", line):
            depth = len(found[1]) // 4
            stack[depth:] = [found[2]]
            drawn[found[2]] = stack[depth - 1] if depth else None
    real = {
        name: value.__base__.__name__
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, couponpress.CouponpressError)
    }
    assert drawn.keys() == real.keys()
    assert {name: base for name, base in drawn.items() if base} == {
        name: base for name, base in real.items() if name != "CouponpressError"
    }


def test_errors_that_live_elsewhere_are_of_the_tree_too():
    """A class beside the code that raises it is fine, as long as one `except CouponpressError` catches it."""
    assert issubclass(
        importlib.import_module("couponpress_worker.rate.slots").SlotsClosedError, couponpress.CouponpressError
    )


# --- files ------------------------------------------------------------------------------------------------------------


def test_no_module_is_named_for_nothing():
    empty_names = {
        "utils",
        "util",
        "helpers",
        "helper",
        "common",
        "base",
        "core",
        "manager",
        "managers",
        "types",
        "misc",
    }
    assert not {name for name in SOURCES if empty_names & set(name.split("."))}
    assert not {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()} & PACKAGES.keys()
    assert (ROOT / "tests" / "__init__.py").exists()


LONGEST = 250
#: The modules that are longer, each with its reason.
WHOLE_SENTENCES = "its sentences stand whole, to be translated, beside what they tell of"
MAY_BE_LONG = {
    "couponpress.asyncio_client": "every method of the client stands here with its errors",
    "couponpress.catalog.reader": WHOLE_SENTENCES,
    "couponpress.catalog.workbook_cells": WHOLE_SENTENCES,
    "couponpress.catalog.xlsx_rows": "every element of a sheet has its handler here",
    "couponpress.client": "the whole public face of the package is one class",
    "couponpress.keys": "every name in Redis stands here with its type and how long it lives",
    "couponpress.ledger.enqueueing": "the producer's acts share one lock",
    "couponpress.nightly.schedule_file": WHOLE_SENTENCES,
    "couponpress.settings": "every setting of a producer stands here with what checks it",
    "couponpress.spec": "the whole contract, its types and how they are read, stands in one place",
    "couponpress.transport.proxy": WHOLE_SENTENCES,
    "couponpress.uploads.catalog_upload": WHOLE_SENTENCES,
    "couponpress_worker.cli": "every option of the fleet's commands stands beside its help",
    "couponpress_worker.completion.status_poller": "choosing, querying and booking share one round",
    "couponpress_worker.events": "every event stands in one place",
    "couponpress_worker.pictures.uploader": WHOLE_SENTENCES,
    "couponpress_worker.rate.bucket": "the strategy of `limits` and the asyncio client share one script",
    "couponpress_worker.rate.slots": "handing out, asking and giving up share one state",
    "couponpress_worker.settings": "every setting of the fleet stands here with what checks it",
    "couponpress_worker.submission.submitter": "a chunk's way is told in order",
    "couponpress_worker.wechatpay.judgement": "the whole table of answers stands in one place",
    "couponpress_worker.runtime.process": "everything of one process is wired in one place",
}


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_a_long_module_says_why(name):
    docstring = ast.get_docstring(tree_of(SOURCES[name]))
    assert docstring, "a module says what it does"
    assert not re.search(r"\n\nDecides |Refuses\s+to\s+know", docstring), (
        "sentences, no formula: what it does, how it fails"
    )
    if len(SOURCES[name].read_text(encoding="utf-8").splitlines()) > LONGEST:
        assert name in MAY_BE_LONG, f"over {LONGEST} lines: shorten or split it, or give its reason in MAY_BE_LONG"
    else:
        assert name not in MAY_BE_LONG, "it is short enough: strike it off the list"


def test_the_map_of_the_ledger_names_every_module():
    home = PACKAGES["couponpress"] / "ledger"
    named = re.findall(
        r"^    (\w+)  ", ast.get_docstring(tree_of(SOURCES["couponpress.ledger"]), clean=False), re.MULTILINE
    )
    assert sorted(named) == sorted(path.stem for path in home.glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("package", [couponpress, couponpress_worker], ids=lambda package: package.__name__)
def test_the_map_names_every_room_and_module(package):
    """A line of the map is a room or a top module; indented below a room are its modules, where it lists them."""
    home = PACKAGES[package.__name__]
    lines = re.findall(r"^(    |        )(\w+)  ", package.__doc__, re.MULTILINE)
    named = {name for indent, name in lines if len(indent) == 4}
    assert named == {room_of(name) for name in SOURCES if name.startswith(f"{package.__name__}.")} - {"__main__"}
    room, listed = "", {}
    for indent, name in lines:
        if len(indent) == 4:
            room = name
        else:
            listed.setdefault(room, set()).add(name)
    for room, modules in listed.items():
        assert modules == {path.stem for path in (home / room).glob("*.py")} - {"__init__", "__main__"}, room


def documents():
    return [
        *sorted(ROOT.glob("*.md")),
        ROOT / "deploy" / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted((ROOT / "docs" / "zh-CN").glob("*.md")),
    ]


def test_every_make_target_that_is_named_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert targets == set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split())
    assert {"help", "setup", "demo", "test", "check", "clean"} <= targets
    for path in documents():
        text = path.read_text(encoding="utf-8")
        named = re.findall(r"`make ([a-z -]+)`", text) + re.findall(r"^make ([a-z -]+)", text, re.MULTILINE)
        assert set(" ".join(named).split()) <= targets, path
    assert re.search(r"^make check test$", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)


def test_every_file_that_a_document_names_exists():
    for path in documents():
        text = path.read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
            assert "://" in link or (path.parent / link).exists(), f"{path}: {link}"
        for named in re.findall(r"`((?:docs|deploy|examples|producers|worker|tests|requirements)/[\w./-]+)`", text):
            assert (ROOT / named).exists() or named.startswith(("deploy/secrets", "deploy/catalogs")), (
                f"{path}: {named}"
            )


def test_every_document_that_the_code_names_exists():
    for name, path in SOURCES.items():
        for named in re.findall(r"\b((?:docs|deploy)/[\w.-]+\w)", path.read_text(encoding="utf-8")):
            assert (ROOT / named).exists(), f"{name}: {named}"


def project_files():
    """Everything that belongs to the project; what .gitignore names is somebody's own."""
    ignored = [".git", "__pycache__", "*.pyc"]  # in a work tree .git is a file
    for home in (ROOT, ROOT / "deploy"):
        ignored += [line.strip("/") for line in (home / ".gitignore").read_text(encoding="utf-8").split()]
    names = ("producers", "worker", "tests", "examples", "deploy", "docs", "requirements", ".ci")
    homes = [ROOT / name for name in names]
    found = [path for path in ROOT.iterdir() if path.is_file()]
    found += [path for home in homes for path in home.rglob("*") if path.is_file()]
    is_ignored = re.compile("|".join(map(fnmatch.translate, ignored))).match
    return [path for path in found if not any(map(is_ignored, path.relative_to(ROOT).parts))]


#: What no file of the project may hold. Written so that this file does not hold it either.
FORBIDDEN = {
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]{40}",
    "a package registry's address": r"(?i)https?://[^\s\"']+/(simple|packages)/"
    r"|(?<![\w-])--?(extra-)?index-url\b|\bindex-url\s*=|(?<![\w-])--find[-]links\b",
    "a path of somebody's machine": r"(?<![\w.~-])/(home|Users|root|work|mnt|private/var)/\w",
}


def test_no_file_holds_what_must_stay_out():
    files = project_files()
    assert {path.name for path in files} >= {
        "Makefile",
        "run",
        "bucket.lua",
        "worker.txt",
        "compose.yaml",
        "README.md",
    }
    for path in files:
        text = path.read_bytes().decode("utf-8", errors="replace")
        for what, pattern in FORBIDDEN.items():
            found = re.search(pattern, text)
            assert not found, f"{path.relative_to(ROOT)} holds {what}: {found[0]}"


@pytest.mark.parametrize("name", ["tests.benchmarks.__main__", "tests.chaos.__main__"])
def test_what_runs_apart_from_the_tests_can_be_imported(name):
    """Benchmarks and chaos are run by hand, so a name that moved would be missed there last."""
    importlib.import_module(name)


def test_what_must_stay_out_would_be_found():
    key = "-----BEGIN " + "RSA PRIVATE KEY-----\n" + "A" * 64
    bad = {"a private key": key, "a package registry's address": "https://index.example" + ".com/simple/x"}
    bad["a path of somebody's machine"] = "see " + "/home" + "/me/x"
    for what, text in bad.items():
        assert re.search(FORBIDDEN[what], text), what
