"""Schedules submit a catalog every night by themselves, and only the rows that changed since they last succeeded.

A *night* is one start of a schedule, at whatever hour. Its run is named after the schedule and the night's local time,
so the same night is always the same run. The modules, in the order in which a night meets them:

    schedule_file      reads the TOML file of schedules, and reports everything that is wrong in it
    nights             which nights are due, which were missed, when the next ones are (pure)
    claims             which process has a night in hand, and what became of each night
    context            the connections and ledgers that the work on nights needs
    tick               what a scheduler does every second
    starting           one night, from its claim to its run
    source             where rows come from: files found by a glob, or a Python callable
    merchant_pictures  uploads the merchant's own pictures before the rows are compared
    diff               which rows are new or changed
    row_fingerprints   remembers with which body each row last succeeded
    plan               how long a night takes, and whether it is in time (pure)
    settling           the end of a night: what succeeded is remembered, and a summary is written
    night_sentences    says what came of a night in the reader's language
    commands           `couponpress schedule`

The page for users is `docs/nightly.md`.
"""
