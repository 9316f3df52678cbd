"""How many refusals are noted, and what becomes of the rest."""

from couponpress.gateway.denials import AT_ONCE, SECONDS_EACH, Denials
from couponpress.ledger.attribution import Actor

NOBODY = Actor("gateway", "nobody", "127.0.0.1")


class Log:
    """Takes what would be noted."""

    def __init__(self):
        self.details = []

    def add(self, act, result):
        self.details.append((act.name, act.detail, result))


def test_a_flood_is_noted_in_part_and_the_rest_is_counted():
    log, now = Log(), [0.0]
    denials = Denials(log, lambda: now[0])
    for _ in range(AT_ONCE + 30):
        denials.note(NOBODY, "no-token", "GET", "/v1/runs")
    assert log.details == [("denied", "no-token: GET /v1/runs", "denied")] * AT_ONCE
    now[0] += SECONDS_EACH
    denials.note(NOBODY, "no-token", "GET", "/v1/runs")
    denials.note(NOBODY, "no-token", "GET", "/v1/runs")
    assert log.details[AT_ONCE:] == [("denied", "no-token: GET /v1/runs (30 more were not noted before)", "denied")]
    now[0] += 1000 * SECONDS_EACH
    for _ in range(2 * AT_ONCE):
        denials.note(NOBODY, "no-token", "GET", "/" + "x" * 1000)
    assert len(log.details) == 2 * AT_ONCE + 1
    assert all(len(detail) < 300 for _, detail, _ in log.details)
