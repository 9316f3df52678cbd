"""`python -m couponpress_worker.sandbox OPTIONS`: what `running` starts; OPTIONS is `SandboxOptions` as JSON."""

import sys

from pydantic import TypeAdapter

from couponpress_worker.sandbox.options import SandboxOptions
from couponpress_worker.sandbox.serve import run

if __name__ == "__main__":
    run(TypeAdapter(SandboxOptions).validate_json(sys.argv[1]))
