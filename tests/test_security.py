"""docs/security.md names tests that exist, and the build chain is as it says."""

import ast
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.pages import ROOT, sections

PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


@cache
def names_in(path):
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds) and node.name.startswith("test_")}


def locked(path):
    """The names, versions and hashes of a lock."""
    whole = path.read_text("utf-8").replace("\\\n", " ")
    found = re.findall(r"^([a-z0-9.-]+)==([^\s;]+)(.*)$", whole, re.MULTILINE)
    return [(name, version, set(re.findall(r"--hash=sha256:([0-9a-f]{64})", rest))) for name, version, rest in found]


def make(*words):
    """Run make with the tools of this environment, which is not to be made again."""
    command = ["make", "--no-print-directory", "STAMP=", f"BIN={Path(sys.executable).parent}", *words]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=120).stdout


def test_every_threat_names_tests_that_exist():
    tables = [table for section in sections(PAGE) for table in section.tables]
    assert len(tables) == 7
    for head, _, *rows in tables:
        assert head == ["threat", "what stands in the way", "test"]
        for threat, way, tests in rows:
            assert way, threat
            named = NAMED.findall(tests)
            assert named, threat
            assert NAMED.sub("", tests).strip(", ") == "", threat
            for path, name in named:
                assert (ROOT / path).exists(), path
                assert name in names_in(path), f"{path} has no {name}"


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_every_locked_dependency_has_a_hash(path):
    lines = [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith((" ", "#"))]
    found = locked(path)
    assert len(found) == len(lines) > 5
    assert [name for name, _, hashes in found if not hashes] == []


def test_the_locks_agree():
    dev = {(name, version): hashes for name, version, hashes in locked(ROOT / "requirements" / "dev.txt")}
    for name in ("worker.txt", "build.txt"):
        for one, version, hashes in locked(ROOT / "requirements" / name):
            assert dev.get((one, version)) == hashes, f"{name}: {one} {version}"


def test_the_list_of_materials_is_the_lock(tmp_path):
    # Without the check against the schema of CycloneDX, which takes ten times as long and which `make sbom` makes.
    for name in ("one", "other"):
        make("sbom", f"SBOM={tmp_path / name}.json", "SBOM_FLAGS=--no-validate")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "other.json").read_bytes()
    told = json.loads((tmp_path / "one.json").read_text("utf-8"))
    assert told["bomFormat"] == "CycloneDX"
    assert told["metadata"]["component"]["name"] == "couponpress"
    lock = locked(ROOT / "requirements" / "worker.txt")
    assert sorted((one["name"], one["version"]) for one in told["components"]) == sorted(
        (name, version) for name, version, _ in lock
    )
    text = json.dumps(told)
    assert [name for name, _, hashes in lock if not all(one in text for one in hashes)] == []


def test_make_audit_looks_at_what_is_locked():
    assert make("-n", "audit").split() == (
        ["pip-audit", "--require-hashes", "--disable-pip", "-r", "requirements/worker.txt"]
    )
