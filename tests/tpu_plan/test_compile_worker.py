"""What the TPU's compiler says, as it said it."""

import pytest

pytest.importorskip("libtpu", reason="the extra of effbench plan is not installed")

from effbench.tpu_plan.compile_worker import rejected

GIB = 2**30


@pytest.mark.parametrize(
    ("message", "needed", "available"),
    [
        (
            "RESOURCE_EXHAUSTED: E1000: CompileTimeHbmOom: Ran out of memory on HBM, the total "
            "memory required for HLO temporaries (20.71G) exceeds available HBM (7.48G). HLO "
            "module: a.\nSee a page for more details.",
            20.71,
            7.48,
        ),
        (
            "RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory in memory "
            "space hbm. Used 16.20G of 15.48G hbm. Exceeded hbm capacity by 737.50M.",
            16.2,
            15.48,
        ),
        ("RESOURCE_EXHAUSTED: Used 512.00M of 0.25G HBM.", 0.5, 0.25),
    ],
)
def test_too_little_memory_says_how_much(message, needed, available):
    found = rejected(message, 1.234)
    assert found.temporaries == pytest.approx(needed * GIB, abs=GIB / 1000)
    assert found.available == pytest.approx(available * GIB, abs=GIB / 1000)
    assert found.problem.startswith("RESOURCE_EXHAUSTED")
    assert "\n" not in found.problem


def test_another_refusal_is_its_first_line():
    found = rejected("\nUNIMPLEMENTED: no\nmore", 1)
    assert (found.problem, found.available, found.peak) == ("UNIMPLEMENTED: no", 0, 0)


def test_a_lack_of_this_machines_memory_is_no_fault_of_the_program():
    with pytest.raises(MemoryError):
        rejected("RESOURCE_EXHAUSTED: cannot allocate 3 bytes", 1)
