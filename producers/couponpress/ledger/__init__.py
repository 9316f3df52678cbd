"""The one data model in Redis, for both sides: runs, chunks, leases, outcomes, holds.

    chunks     what a chunk holds, packed (pure)
    uploading  the producer's acts: open a run, enqueue, seal, discard
    holding    a person's acts: hold, release
    reading    the questions anyone may ask: status, outcomes, holds
    redriving  a person's act: send ended specs again
    working    the fleet's acts: lease, renew, give back, move specs, release retries, forget
    setting_aside  what was set aside: chunks that kill workers, chunks and messages that cannot be read
    lost_records   what is left to do when a chunk's record is lost

Each atomic act is one Lua file beside these modules, with its inputs and returns in its header, and one thin
caller. Every act may be repeated: a reply that got lost costs a second call, never a second effect.
"""
