"""A strict stand-in for the WeChat Pay platform: for the demo, for tests, and for whoever builds on couponpress.

The modules, in the order in which a request meets them:

- `serve`, `process`: the service in the foreground (`run`), or in a process of its own for a block (`running`)
- `credentials`, `platform_key`, `tls`: throw-away keys of both sides, and the file `env` that a client sources
- `options`, `faults`: what it is started with, and what goes wrong on request
- `protocol`, `app`: the moment of arrival, latency and faults of the connection
- `routes`, `window`: which call it is, and whether the limit admits it
- `platform`: every answer; with `checks` (headers, signature), `rules` and `upload` (content), `tasks` (serials),
  `refusals` and `exchange` (how answers are worded)
- `callbacks`, `notices`, `courier`, `signatures`: what is announced, sealed, signed and sent
- `calls`: what an audit wants to know of each submit afterwards
- `control`, `pictures`, `lag`: the sandbox's own pages

Nothing is re-exported: `from couponpress_worker.sandbox.serve import run`, `from couponpress_worker.sandbox.process
import running`, options from `options` and `faults`; so the served process loads no HTTP client that it does not need.

What the platform does not publish is decided here, on the strict side: only admitted requests count in the sliding
window of the limit, which is checked before anything else; a serial is unique for the partner; the same serial with
the same bytes is the same task, with any other byte it is ALREADY_EXISTS; null and unknown fields are refused.
"""
