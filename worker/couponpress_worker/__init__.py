"""The fleet: its modules, in the order in which a spec meets them.

    settings        who the partner is, where things are, how fast; the keys, read from their files
    app             the Celery app, and this process's wiring, made once and never shared across a fork
    process         what one process holds open: an event loop, Redis, the platform
    fleet_redis     the fleet's Redis client, which a full server does not refuse
    redis_watch     whether Redis answers, said once
    screening       what comes out of a queue and is no hint is set aside
    tasks           a hint arrives: submit this chunk
    broker          Celery's consumer of hints, patient with Redis
    unhinted        chunks that no hint leads to
    urgent          the urgent lane, looked at without waiting for a hint
    taking_up       the chunks that these two found, in hand
    submission      one chunk from lease to outcomes
    leases          who has which chunk in hand, whatever answer of Redis was lost
    chunk_in_hand   what is known of a chunk in between
    halt            whether this process may send at all
    hold_watch      holds that others set or released
    trial           what the platform has taken nothing of yet goes a little at a time
    outage          who waits while the platform is down
    breaker         whether it is
    slots           who in this process sends next, and whether a slot is still in time
    redis_clock     where the clock that slots lie on stands on this process's own
    pace            how fast the platform lets the whole fleet send, learned from what it refuses
    limiter         the bucket that the whole fleet takes its slots from
    signing         what is signed and how; verification, decryption
    wechatpay       the platform over HTTP: one exchange in, one value out
    judgement       what an answer means, and when to try again
    fault           what the platform refuses as a whole is held, not repeated
    recorder        moves of specs, many in one write
    pictures        pictures of the merchant's own, uploaded before their rows are enqueued
    picture_uploader one after the other, each once, within the upload limit
    fetching        one such picture from its URL, guarded
    picture_scaling one that the platform would refuse becomes one that it takes
    flight_recorder when each request left, as proof
    callback_service one path, a bounded body, a bounded time
    callback        the platform calls back: is it true, and what is it about
    platform_keys   which keys the platform may sign with just now
    forwarding      events of other kinds go to another system
    completion      what a callback or a query says becomes a move
    overdue         the platform did not call back: ask it
    turns           whose turn it is: runs one after the other
    hooks           other programs are told that a run is finished
    recovery        what a crash, a lost message or a due retry left behind
    progress        whether a process gets on
    heartbeat       the sign of life that it leaves
    watchdog        what is done about one that does not
    shutdown        how one that is told to stop ends in any case

and around them:

    cli             the fleet's commands
    services        callback receiver and scheduler as foreground services
    nightly         schedules, as a part of the scheduler
    beat            which scheduler looks at them: Celery's beat under redbeat's lock
    doctor          is this set-up good enough for a night?
    callback_url    where the platform sends callbacks, shown and set by hand
    errors          what can go wrong, as one tree
    redis_server    a Redis for the demo and the tests
    sample_catalog  a catalog as a merchant would have it
    demo            the whole fleet on one machine
    sandbox         a stand-in for the platform

Where a spec is and how it ends is kept in `couponpress.ledger`; what it is, in `couponpress.spec`.
"""
