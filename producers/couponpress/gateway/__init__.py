"""HTTP for other apps: PHP, Java, Node and Python shops enqueue specs and read results without Redis or Celery.

    settings     the gateway's own settings
    tokens       who may use it: bearer tokens, their brands, their quota, the namespace of their runs
    problems     every refusal as a problem document (RFC 9457)
    problem_sentences what problem documents say in detail, in Chinese for whoever asks for it
    asked_language which language a request asks for
    store_troubles log lines for a Redis that is away or refuses, once a minute for each kind
    admission    checks backlog, quota and Idempotency-Key before anything is enqueued
    quotas       keeps quotas and Idempotency-Keys in Redis
    writing      turns a request body into a serialized spec, or a refusal that names field and rule
    single       enqueues single specs that arrive together with one call
    body         reads the bytes of a request, bounded in size and time
    stream       turns a JSONL stream into a run, all lines or none
    ingest       handles every request that enqueues
    queries      status, results, one spec; cancel, pause, resume
    selections   acts on all specs that match a filter: counted, frozen, done in the background
    selection_store keeps selections in Redis, for every gateway of the partner
    spec_document  what the route of one spec answers
    document     the OpenAPI document, and a page of it that loads nothing from other servers
    schema_page  fields, types, rules and an example of each body and answer, as HTML
    routes       paths and parameters, with FastAPI
    traces       spans of requests, by OpenTelemetry
    request_ids  an id for each request, in its log lines and its answer
    app          the ASGI application, with a fast path for single specs
    partners     sends each request of a gateway of several partners to its partner's gateway
    serving      runs the process: connections, threads, signals
    commands     `couponpress gateway`

It needs the extra `couponpress[gateway]`. Nothing of it is imported before the command runs.
"""
