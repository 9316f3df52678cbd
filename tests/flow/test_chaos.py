"""A short chaos run: workers, a producer and the callback receiver are killed, Redis is restarted and robbed of its
last second, the platform misbehaves, callbacks are lost; nothing may be lost, doubled without need, or end wrongly.
"""

import pytest

from tests.chaos import report
from tests.chaos.audit import audit
from tests.chaos.plan import Act, Piece, Plan
from tests.chaos.run import carry_out
from tests.flow.spans import SCALE

pytestmark = pytest.mark.flow

ROWS = 300
STORM = {"faults": {"errors": 40, "html": 5, "resets_before": 5, "resets_after": 15}}


def test_nothing_is_lost_and_nothing_doubled_that_need_not_be(tmp_path):
    pieces = [
        Piece(f"chaos-{run}", number + 1, number * ROWS, ROWS, at=at, killed_after_rows=killed)
        for run, number, at, killed in [
            (1, 0, 0.5, 250),
            (1, 1, 7.0, 0),
            (1, 2, 12.0, 0),
            (2, 0, 1.5, 0),
            (2, 1, 9.0, 0),
        ]
    ]
    acts = [
        Act(4.0, "killed", "worker-1", 0.5),
        Act(6.5, "redis stops", "redis", 0.5),
        Act(8.0, "storm", "platform", 4.0, STORM),
        Act(9.0, "killed", "callback", 1.0),
        Act(12.5, "redis loses a second", "redis", 1.0),
        Act(15.5, "killed", "worker-2", 0.5),
    ]
    plan = Plan(seed=3, duration_seconds=16.5, workers=2, pieces=tuple(pieces), acts=tuple(acts))
    outcome = carry_out(plan, tmp_path, patience_seconds=120, say=lambda line: None, callbacks_scaled=SCALE)
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
