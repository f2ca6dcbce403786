"""The load that the bench puts on the system, shorter: what unkind callers do, and what grows."""

from pathlib import Path

import pytest

from bench.load import soak, unkind, wrk
from bench.load.soak import Slice, Soak
from bench.load.unkind import Held
from bench.report import tables, targets


def test_a_thousand_unkind_callers_keep_no_good_one_out_and_leave_nothing_held(
    tmp_path: Path,
) -> None:
    seen = unkind.run(tmp_path, share=0.2)
    judged = [*targets.of_a_siege(seen)]

    assert len(judged) == 17
    # `make bench-unkind` says 1 s; here other tests may have the machine.
    assert max(wave.good_seconds for wave in seen.waves) < 15, tables.of_targets(judged)
    assert all(target.met for target in judged if target.unit != "s"), tables.of_targets(judged)


def test_what_is_still_held_is_not_as_before() -> None:
    before = Held(100, 50, 1, 6, 0)
    assert Held(149, 58, 1, 6, 0).is_as_before(before)
    for kept in (Held(151, 50, 1, 6, 0), Held(100, 59, 1, 6, 0), Held(100, 50, 1, 6, 1)):
        assert not kept.is_as_before(before)


def test_half_the_load_for_a_while_lets_no_memory_grow(tmp_path: Path) -> None:
    try:
        wrk.require()
    except wrk.MissingError as missing:
        pytest.skip(str(missing))
    seen = soak.run(tmp_path, seconds=12)

    memory, *_ = targets.of_a_soak(seen)
    assert memory.met, tables.of_a_soak(seen)
    assert sum(one.wrong for one in seen.slices) == 0, tables.of_a_soak(seen)
    # Of a machine that others took meanwhile, ten busy processes had 5 % refused.
    assert sum(one.not_good for one in seen.slices) < 0.1 * 12 * seen.per_second
    assert "an hour: memory" in tables.of_a_soak(seen)


@pytest.mark.parametrize(
    ("memory_mb", "p50_ms", "met"),
    [
        (0.0, 0.0, [True, True, True]),
        (2.0, 0.0, [False, True, True]),
        (0, 0.1, [True, False, True]),
    ],
)
def test_what_grows_is_judged_once_the_system_is_warm(
    memory_mb: float, p50_ms: float, met: list[bool]
) -> None:
    warming = [Slice(60.0 * number, 50.0 * number, 9.0, 9.0, 0) for number in range(1, 6)]
    warm = [
        Slice(60.0 * number, 250 + memory_mb * number, 1 + p50_ms * number, 5.0, 0)
        for number in range(6, 21)
    ]
    judged = targets.of_a_soak(Soak(100, [*warming, *warm]))
    assert [target.met for target in judged] == met
