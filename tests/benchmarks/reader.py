"""A process that reads one catalog to its end and says what it held of memory at most; started by `catalogs`."""

import json
import re
import sys
import time
from pathlib import Path

from couponpress.uploads.catalog_upload import CatalogUpload


def main() -> None:
    """Read the catalog that is named; prints what it took as JSON."""
    began, cpu_began = time.monotonic(), time.process_time()
    rows = sum(1 for _ in CatalogUpload([sys.argv[1]]).specs())
    # What getrusage tells begins with the memory of the process that started this one.
    peak_mb = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text(encoding="ascii"))[1]) / 1024
    seconds, cpu_seconds = time.monotonic() - began, time.process_time() - cpu_began
    told = {"rows": rows, "peak_mb": peak_mb, "seconds": seconds, "cpu_seconds": cpu_seconds}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
