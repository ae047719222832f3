"""A side of `bench features` that computes nothing: some are slow, one lacks a package."""

import sys
import time

from effbench.bench.feature_case import FeatureCase
from effbench.bench.timed_calls import Prepared, for_seconds, serve

# Seconds of a call.
CALLS = {"tensorflow": 0.004, "openvino": 0.002, "onnxruntime": 0.004}


def prepared(case: FeatureCase) -> Prepared:
    if case.tool == "timm":
        raise ImportError("No module named 'timm'")
    if case.tool == "torch":
        sys.exit("out of luck")
    return Prepared(lambda: time.sleep(CALLS[case.tool]), "1.2.3", 1e-6)


if __name__ == "__main__":
    sys.exit(serve(FeatureCase, prepared, for_seconds, ImportError))
