import pytest

from effbench.tpu_plan.plan_table import _cost, _minutes


@pytest.mark.parametrize(
    ("seconds", "minutes", "cost"),
    [
        (0.0002, "<0.01", "<$0.01"),
        (6, "0.1", "<$0.01"),
        (754, "12.6", "$0.838"),
        (74_070, "1,234", "$82.3"),
        (4_000_000, "66,667", "$4,444"),
    ],
)
def test_no_figure_is_a_power_of_ten(seconds, minutes, cost):
    assert (_minutes(seconds), _cost(seconds, 4)) == (minutes, cost)


def test_what_costs_nothing_costs_0():
    assert _cost(754, 0) == "$0"
