"""The one data model in Redis, for producers and fleet: runs, chunks, leases, outcomes, holds.

    chunks          what a chunk holds, packed (pure)
    batches         groups specs by brand before they become chunks (pure)
    scripts         reads the Lua files; which errors of Redis pass by themselves
    stored          reads records that a newer version may have stored (pure)

    enqueueing      a producer's acts: open a run, enqueue, seal an upload, discard it
    progress        the questions anyone may ask: status of runs, outcomes, holds
    follow          each outcome once, when it is there
    lookup          all that is known of one spec, by its task_id
    history         what happened to a spec, event by event (pure)
    holds           pause and resume, and holds that end by themselves
    attribution     who acts, by which way, and why
    audit           what was done and what was refused, by whom
    trace_context   the trace in which a program enqueues specs
    moments         reads how long, or until when (pure)
    cancel          a person's act: take back what was not accepted
    redrive         a person's act: send ended specs again
    selection       a filter of specs (pure)
    chosen          specs that a filter chose: paused, resumed, cancelled or sent again in bounded steps
    rate            a person's acts on the rate of the fleet
    shares          how much of a lane each brand has
    send_log        when each request was sent, as proof
    request_durations  how long calls of the platform took

    working         everything that a process of the fleet does with the ledger
    leases          which process has a chunk in hand
    moves           specs go from state to state
    fleet_queries   what the fleet asks
    fleet_holds     which holds are set; a process of the fleet sets one
    dead_letters    chunks and messages that were taken out, with the reason
    lost_records    what is left to do when a chunk's record is lost
    outage          since when and why the platform is found to be down
    presence        which processes run
    hooks           who is told that a run is finished
    notices         callbacks that complete no spec
    pictures        the merchant's pictures that the platform has already

Each atomic act is one Lua file beside these modules, with its inputs and returns in its header, and one thin
caller. Every act may be repeated: a reply that got lost costs a second call, never a second effect.
"""
