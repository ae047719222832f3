"""A peer of `bench step` that computes nothing; compiled, it lacks a package."""

import sys

from effbench.bench.timed_calls import Prepared, serve, so_many
from effbench.bench.torch_step_worker import TorchStep


def prepared(case: TorchStep) -> Prepared:
    if case.image_size == 64:
        sys.exit("out of luck")
    if case.way == "compiled":
        raise ImportError("No module named 'timm'")
    return Prepared(lambda: None, "timm 1.2.3")


if __name__ == "__main__":
    sys.exit(serve(TorchStep, prepared, so_many, ImportError))
