"""What callers see of a fault, and what the record holds: the bench's own, in short."""

from pathlib import Path

import pytest

from bench.load import faults
from tests.services import Server

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize(
    "fault",
    [
        "hole",
        "failover",
        pytest.param("pooler", marks=pytest.mark.pgbouncer),
        pytest.param("disk full", marks=pytest.mark.disk),
    ],
)
def test_a_fault_costs_nothing_that_was_answered(
    fault: str, model_service: Server, tmp_path: Path
) -> None:
    outcome = faults.run(fault, 1.0, tmp_path, model_service.port)
    seen, held = outcome.seen, outcome.held

    assert (held.lost, held.doubled, held.unversioned, seen.contradicted) == (0, 0, 0, 0)
    assert held.recorded == seen.sent == len(seen.answers) > 100
    # A commit that the fault broke may have been made: 504 says so, and the key settles it.
    assert set(seen.statuses) <= {"200", "503", "504"}
    assert seen.back_seconds is not None
    assert seen.back_seconds < 20
