"""HTTP for other apps: PHP, Java, Node and Python shops enqueue specs and read results without Redis or Celery.

    settings   what the gateway alone needs to know
    tokens     who may use it: bearer tokens, their brands, their quota, the namespace of their runs
    problems   every refusal as a problem document (RFC 9457)
    admission  quota, Idempotency-Key and backlog, asked before anything is enqueued
    writing    a request body becomes a written spec, or a refusal that names field and rule
    single     single specs that arrive together go into chunks together
    body       the bytes of a request, bounded in size and time
    stream     a JSONL stream becomes a run, all or none
    asking     status, results, one spec; cancel, pause, resume
    door       requests in, answers out, for all that enqueues
    document   the OpenAPI document, and a page of it that needs no other server
    routes     paths and parameters, with FastAPI
    app        the application, and the short way in for single specs
    serving    the process: connections, threads, signals
    commands   `couponpress gateway`

Needs the extra `couponpress[gateway]`; nothing of it is loaded before the command runs.
"""
