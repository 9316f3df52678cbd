"""Schedules: a catalog that is submitted every night by itself, and only what changed since it last succeeded.

A *night* is one start that a schedule asks for, at whatever hour; its run is named after the schedule and the night's
local time, so the same night is always the same run.

    schedule_file   what a schedule may say, and one clear sentence for whatever it says wrongly
    nights          pure: which nights are due, which were missed, when the next ones are
    source          where rows come from: files by a glob, or a Python callable
    own_pictures    pictures of the merchant's own, brought to the platform first
    diff            which of them are new or changed
    plan            pure: how long it takes, whether it is in time
    desk            what the work on nights needs, wired
    starting        one night, from its claim to its run
    settling        one night's end: what succeeded is remembered, and the summary
    rounds          what a scheduler does every second
    commands        `couponpress schedule`

The reader's page is `docs/nightly.md`. In the ledger, `nights` says who has which night in hand, and `prints` with
which body each row last succeeded.
"""
