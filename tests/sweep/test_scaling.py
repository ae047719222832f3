"""The simulation behind a table of results/README.md."""

import pytest
from support.scaling import LEASE_SECONDS, OVERHEAD, Piece, simulate


def test_without_deaths_the_makespan_is_the_work_or_the_longest_run():
    pieces = [Piece(1000.0, saved=False)] + [Piece(100.0, saved=False)] * 20
    alone = simulate(pieces, 1, None)
    assert alone.makespan == pytest.approx(3000 + 21 * OVERHEAD)
    assert alone.bound == 3000
    many = simulate(pieces, 8, None)
    assert (many.bound, many.deaths) == (1000, 0)
    assert many.makespan == pytest.approx(1000 + OVERHEAD)


def test_deaths_cost_less_where_progress_is_saved():
    kept, lost = (simulate([Piece(7200.0, saved)] * 40, 4, 3.0, seed=1) for saved in (True, False))
    assert kept.deaths
    assert kept.bound + LEASE_SECONDS < kept.makespan < lost.makespan
