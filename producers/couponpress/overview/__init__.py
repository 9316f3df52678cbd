"""What an operator sees of the whole fleet at one moment, read from Redis at a cost that no run's size changes.

    snapshot    the `Overview`: every value that a page, a terminal or a metric shows
    reading     reads one, over a blocking or an asyncio client
    questions   what is asked of Redis for it
    answers     turns the replies into it (pure)
    sharing     lets all viewers of a process share one, at most one a second
    send_rate   how many requests left in each second, and the most in any 1 s (pure)
    bound       what the fleet is bound by, in words (pure)
    eta         when a run will be sent, as a range (pure)
    server      what Redis says of itself, and what of it is wrong (pure)

Nothing here counts specs: the scripts that move a spec count it. Nothing is read while nobody looks.
"""
