"""The fleet: its rooms and modules, in the order in which a spec meets them.

    settings          who the partner is, where things are, how fast; the keys, read from their files
    app               the Celery app, and the wiring of this process
    tasks             the Celery task: submit the chunk that a hint names
    timings           how long the fleet waits and looks for things, one value with every span

    submission        a chunk from its hint to the platform's answers
        publisher         publishes hints for chunks that were in hand before
        message_filter    moves queue messages that are no hints to the dead letters
        celery_consumer   Celery's consumer, patient while Redis is away
        task_results      keeps what chunk tasks did, for who asks for it
        ledger_poller     finds chunks that no hint led to, urgent ones at once
        submitter         one chunk from its lease to its outcomes
        leased_chunk      what is known of a chunk in between
        signers           signs requests, in the event loop or in threads beside it

    safety            what may keep a request back
        send_switch       whether this process may send at all
        hold_listener     follows holds that people or other processes set or release
        auto_hold         holds what the platform refuses as a whole
        unverified        holds the partner when no answer of the platform verifies (pure)
        slow_start        sends a few specs first of what the platform has not accepted yet
        breaker           decides whether the platform is down (pure)
        breaker_gate      lets specs wait while it is down

    rate              how fast the fleet sends
        slots             who in this process sends next, and whether a slot is still in time
        call              one call in its slot: sent, judged, reported
        server_clock      where Redis's clock stands on this process's own
        bucket            the token bucket that the whole fleet takes its slots from
        adaptive          how fast the platform lets the fleet send, learned from 429
        send_log          when each request left, as proof
        request_durations  how long calls took, for the fleet's histogram

    wechatpay         everything that the platform is
        account           who calls: partner or brand, and its paths
        client            one call in, one value out
        signing           signatures, verification, decryption (pure)
        key_files         reads key files and checks that they belong together
        certificates      the keys that the platform signs with at this moment
        auth              signs requests and verifies answers, for any httpx client
        message           a signed request and a response, as bytes and plain values (pure)
        transport         carries requests over our own connections
        patience          ends requests whose answer takes too long
        pool              connections that are kept open
        happy_eyeballs    TCP to the first address of a host that answers
        connection        one HTTP/1.1 connection
        multipart         the body of a picture upload
        response          reads the platform's answers
        judgement         what an answer means (pure)
        retry             when to try again: schedules, jitter, Retry-After (pure)

    completion        how an accepted spec gets its outcome
        callback_asgi     the ASGI app: one path, a bounded body, a bounded time
        callback          verifies, decrypts and dispatches a callback
        sparse_log        log lines that anybody can cause, few of each kind
        forwarding        passes events of other kinds on to another system
        status_poller     asks the platform about specs whose callback is late
        round_robin       takes runs in turn
        completer         writes what callbacks say to the ledger, in batches
        moves             which move an answer leads to (pure)
        run_webhooks      tells other programs that a run is finished

    store             the fleet's side of Redis
        client            clients whose scripts a full server does not refuse
        line              one connection that carries the commands of many callers at once
        availability      whether Redis answers
        leases            which chunks this process has in hand
        leader            at most one process does a job at a time
        run_names         the names of the runs that this process works on
        recorder          batches moves of specs into few writes
        endings           tells which of the moves that were made ended a spec

    pictures          the merchant's own pictures
        upload            uploads the pictures of a catalog before its rows are enqueued
        uploader          uploads each picture once, within the upload limit
        fetch             fetches a picture from its URL, never from a private address
        convert           scales a picture that the platform would refuse

    notify            tells people of what happens: group robots and webhooks
        occurrences       what happened, as it is stored until it is told
        sentences         an occurrence in words (pure)
        message           what is told at once, made to fit what a robot takes (pure)
        wecom             messages for 企业微信, and what its answers mean (pure)
        dingtalk          the same for 钉钉, and its signature
        feishu            the same for 飞书, and its signature
        webhook           what a plain webhook is told (pure)
        answer            what to do after an answer (pure)
        sender            one POST, and what came of it
        changes           what happened since the last look (pure)
        watch             looks at runs, holds, nights and processes
        outbox            what waits to be told, a queue for each target
        teller            tells one target what waits for it
        trying            a test message to each target
        commands          the commands of `couponpress notify`

    outbound          HTTP calls to URLs that others wrote: hooks, pictures, forwarding
        client            an httpx client that calls checked addresses only, through a proxy where one is set
        checked_backend   looks a name up, checks its addresses, and connects to one

    runtime           one process and its services
        process           opens and wires everything that one process needs
        connections       what one process has open: Redis, the platform, slots
        loop_thread       an event loop in a thread of its own
        memory            keeps a process that runs for weeks small
        factories         clients of Redis and of the platform, and paced slots, from the settings
        event_log         the log lines of holds, of Redis away and back, of the platform down and up
        self_check        what a process tells of itself: what it sent, what waits, what excuses a standstill
        services          callback receiver and scheduler as foreground services
        notifying         the loops that tell people of events
        overdue_nights    nights that were due and that nobody has started
        callback_partner  receives the callbacks of one partner, and waits for usable keys
        schedules         nightly schedules, as a part of the scheduler
        beat              Celery's beat under redbeat's lock: which scheduler is active
        key_reloader      reads the key files again when they change
        recovery          publishes what a crash, a lost message or a due retry left behind
        stall_detector    notices a process that makes no progress
        traces            spans of specs and chunks, by OpenTelemetry
        heartbeat         the sign of life that a process leaves
        watchdog          ends a process that is stuck
        shutdown          bounds how long a stop may take
        subprocesses      runs commands of couponpress as processes of this one
        redis_server      a Redis for the demo and the tests

and around them:

    cli               the fleet's commands
    doctor            checks a set-up before the night
    up                every service in one terminal
    demo              the whole fleet on one machine
    sandbox           a stand-in for the platform
    events            what happened, told to whoever listens: counters, logs, metrics, traces
    periodic          keeps background loops running after an unforeseen error
    errors            what can go wrong, as one tree
    help_texts        what `--help` says of the fleet's commands

Where a spec is and how it ends is kept in `couponpress.ledger`; what it is, in `couponpress.spec`.
"""
