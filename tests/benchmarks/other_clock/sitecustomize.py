"""Sets this process's wall clock wrong before anything else is imported; Python finds it by its folder on the path.

Shifts `time.time` and `time.time_ns`, and so signatures, log and Celery's own stamps. What asks the kernel in C
(`datetime.now`) and every monotonic clock stay right.
"""

import os
import time

_AHEAD_NS = round(float(os.environ["CLOCK_AHEAD_SECONDS"]) * 1e9)
_right_time, _right_time_ns = time.time, time.time_ns

time.time = lambda: _right_time() + _AHEAD_NS / 1e9
time.time_ns = lambda: _right_time_ns() + _AHEAD_NS
