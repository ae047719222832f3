"""Searches of several folds as one curve."""

from effbench.records.l2_search import L2Search, L2Value, together
from effbench.records.scores import Scores


def value(l2: float, correct: int, loss: float = 1.0) -> L2Value:
    return L2Value(l2, Scores(8, 8, 8, 0.1), Scores(correct, correct, 4, loss), 1e-5, 7, True)


def test_a_fold_whose_grid_ended_early_counts_no_images_for_weaker_l2():
    long = L2Search((value(10, 1), value(1, 3), value(0.1, 2)))
    short = L2Search((value(10, 2, 3.0), value(1, 2, 2.0)))
    strong, middle, weak = together([long, short])
    assert (strong.l2, middle.l2, weak.l2) == (10, 1, 0.1)
    assert strong.validation == Scores(3, 3, 8, 2.0)
    assert middle.validation == Scores(5, 5, 8, 1.5)
    assert middle.train.total == 16
    assert weak.validation == value(0.1, 2).validation


def test_no_searches_make_no_curve():
    assert together([]) == ()
