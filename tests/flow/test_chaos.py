"""A short chaos run: workers, a producer and the callback receiver are killed, Redis is restarted and robbed of its
last second, the platform misbehaves, callbacks are lost; nothing may be lost, doubled without need, or end wrongly.
"""

import pytest

from tests.chaos import report
from tests.chaos.audit import audit
from tests.chaos.plan import Act, Piece, Plan
from tests.chaos.run import carry_out

pytestmark = pytest.mark.flow

ROWS = 500
STORM = {"faults": {"errors": 40, "html": 5, "resets_before": 5, "resets_after": 5}}


def test_nothing_is_lost_and_nothing_doubled_that_need_not_be(tmp_path):
    pieces = [
        Piece(f"chaos-{run}", number + 1, number * ROWS, ROWS, at=2.0 + 6 * number + run, killed_after_rows=killed)
        for run, number, killed in [(1, 0, 0), (1, 1, 250), (1, 2, 0), (2, 0, 0), (2, 1, 0)]
    ]
    acts = [
        Act(5.0, "killed", "worker-1", 0.5),
        Act(8.5, "redis stops", "redis", 0.5),
        Act(13.0, "storm", "platform", 6.0, STORM),
        Act(15.0, "killed", "callback", 2.0),
        Act(19.0, "redis loses a second", "redis", 1.0),
        Act(24.0, "killed", "worker-2", 0.5),
    ]
    plan = Plan(seed=3, duration_seconds=26.0, workers=2, pieces=tuple(pieces), acts=tuple(acts))
    outcome = carry_out(plan, tmp_path, patience_seconds=120, say=lambda line: None)
    found = audit(outcome.evidence)
    told = "\n".join(report.sentences(found, outcome))
    report.write(tmp_path / "record.json", found, outcome)

    assert not outcome.unfinished, told
    assert found.kept, told
    assert found.specs == plan.specs == 5 * ROWS
    # The run had teeth.
    assert outcome.acts.total() == len(acts)
    assert "1 of 1 producers were killed in mid-upload" in told
    assert {"errors", "resets_after"} <= outcome.faults.keys()
    assert outcome.callbacks["lost"] > 0
    assert outcome.callbacks["doubled"] > 0
    assert found.again > 0
    assert found.unavoidable["no good answer"] > 0
    assert len(outcome.evidence.forgotten) == 1
