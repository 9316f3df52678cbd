"""Whom the fleet tells of what happens: the `[[notify]]` tables of a TOML file. The fleet itself does the telling.

kinds         the kinds of targets, what each one's URL looks like, and the names of the events
target        one target, from its table, its URL and its secret
target_file   reads the targets of the settings file and of the schedule file
"""
