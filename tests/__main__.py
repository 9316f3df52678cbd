"""All tests, in two processes side by side: whole fleets mostly wait, and the other tests need the cores meanwhile.

Each process starts servers of its own, on ports of its own. With words for pytest, those tests and no second process.
"""

import subprocess
import sys
import tempfile
from contextlib import suppress

_PYTEST = [sys.executable, "-m", "pytest"]


def main() -> int:
    """Run them; 0 when all passed. What the fleets' tests say is shown when both have ended."""
    if words := sys.argv[1:]:
        return subprocess.call([*_PYTEST, *words])
    with tempfile.TemporaryFile() as told:
        sys.stdout.write("whole fleets (-m flow) run beside these tests; what they say comes at the end\n")
        sys.stdout.flush()
        fleets = subprocess.Popen([*_PYTEST, "-m", "flow"], stdout=told, stderr=subprocess.STDOUT)
        others = subprocess.Popen([*_PYTEST, "-m", "not flow"])
        while fleets.returncode is None or others.returncode is None:
            with suppress(KeyboardInterrupt):  # they were interrupted as well, and end in order
                others.wait()
                fleets.wait()
        told.seek(0)
        sys.stdout.buffer.write(told.read())
        return fleets.returncode or others.returncode


if __name__ == "__main__":
    sys.exit(main())
