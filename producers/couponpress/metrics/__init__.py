"""Metrics for Prometheus, drawn from the overview of the whole fleet.

    families     an overview as metric families: names, labels, help (pure)
    codes        the closed set of codes that a label may show (pure)
    exposition   what GET /metrics answers, read when it is scraped and only then
    service      the service `couponpress metrics`
    commands     its command, which imports the rest when it is called

One process tells of the whole fleet, however many workers there are. No label ever holds an id, a URL, a process or a
machine.
"""
