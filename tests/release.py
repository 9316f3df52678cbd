"""The latest release, built from its tag, as a directory that a process can import it from.

The dependencies are those of the tests. A clone without tags has no release: what needs one is skipped, and says so.
"""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def latest() -> str:
    """Return the latest tag that this tree descends from; skips the test where there is none."""
    command = ["git", "-C", str(ROOT), "describe", "--tags", "--abbrev=0", "--match", "v[0-9]*"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"NOT TESTED: this tree has no tag of a release, so no older version to work with ({error})")
    return found.stdout.strip()


def unpacked(tag: str, directory: Path) -> Path:
    """Build the wheel of a tag below a directory, and return where it is unpacked."""
    source, target = directory / "source", directory / "released"
    source.mkdir(parents=True)
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", tag], capture_output=True, check=True, timeout=60
    ).stdout
    subprocess.run(["tar", "-x", "-C", str(source)], input=archive, check=True, timeout=60)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    built = subprocess.run(command, cwd=source, check=False, capture_output=True, text=True, timeout=120)
    assert built.returncode == 0, built.stderr
    (wheel,) = directory.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(target)
    return target
