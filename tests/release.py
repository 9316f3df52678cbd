"""The latest release, built from its commit, as a directory that a process can import it from.

The dependencies are those of the tests. The release is the latest tag; in a clone without tags it is the latest commit
that the changelog names. A clone without history may have neither: what needs a release is skipped, and says so.
"""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def named() -> dict[str, str]:
    """Return the releases whose commits the changelog names, the latest first."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^## (\d\S*) - \S+\n+Commit `([0-9a-f]{40})`\.$", text, re.MULTILINE))


def commit_of(revision: str) -> str | None:
    """Return the commit of a tag or another revision; None where it cannot be had."""
    command = ["git", "-C", str(ROOT), "rev-parse", "--quiet", "--verify", f"{revision}^{{commit}}"]
    return _told(command)


def latest() -> str:
    """Return the commit of the latest release that this tree descends from; skips the test where it cannot be had."""
    tag = _told(["git", "-C", str(ROOT), "describe", "--tags", "--abbrev=0", "--match", "v[0-9]*"])
    found = commit_of(tag or next(iter(named().values())))
    if found is None:
        pytest.skip("NOT TESTED: this clone has neither the tag nor the commit of a release, so no older version")
    return found


def _told(command: list[str]) -> str | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def unpacked(commit: str, directory: Path) -> Path:
    """Build the wheel of a commit below a directory, and return where it is unpacked."""
    source, target = directory / "source", directory / "released"
    source.mkdir(parents=True)
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", commit], capture_output=True, check=True, timeout=60
    ).stdout
    subprocess.run(["tar", "-x", "-C", str(source)], input=archive, check=True, timeout=60)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    built = subprocess.run(command, cwd=source, check=False, capture_output=True, text=True, timeout=120)
    assert built.returncode == 0, built.stderr
    (wheel,) = directory.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(target)
    return target
