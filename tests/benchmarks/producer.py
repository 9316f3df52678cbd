"""A producer process that enqueues one catalog and says what it held of memory at most; started by `backlog`."""

import json
import resource
import sys
import time

from couponpress import Client
from couponpress.uploads.catalog_upload import CatalogUpload


def main() -> None:
    """Enqueue the catalog named first into the run named second; prints what it took as JSON."""
    catalog, run = sys.argv[1:]
    began = time.monotonic()
    with Client() as client:
        receipt = client.enqueue_many(CatalogUpload([catalog]).specs(), run=run)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = {"new": receipt.new, "peak_mb": peak_mb, "seconds": time.monotonic() - began}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
