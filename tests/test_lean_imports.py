"""Imports that leave out what a library hardly uses, and put everything back."""

import gc
import subprocess
import sys

import pytest

from effbench.lean_imports import lean

CHECK = """
import sys
from effbench.lean_imports import scikit_learn
with scikit_learn():
    from sklearn.datasets import load_digits
    from sklearn.utils import resample
assert not {"pandas", "scipy.stats"} & set(sys.modules)
assert len(load_digits().target) == 1797
from sklearn.utils.fixes import _mode
assert _mode([1, 2, 2]).mode == 2, "SciPy does not find its statistics by itself"
import pandas, scipy.stats
assert scipy.stats.norm.cdf(0) == 0.5
from sklearn.metrics import roc_auc_score
"""


def test_inside_modules_are_missing_or_empty_and_afterwards_they_are_there(monkeypatch):
    for name in ("wave", "colorsys"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with lean(missing=("wave",), empty=("colorsys",)):
        assert not gc.isenabled()
        with pytest.raises(ImportError):
            import wave
        import colorsys

        assert not hasattr(colorsys, "rgb_to_hsv")
    assert gc.isenabled()
    import colorsys
    import wave

    assert wave.open
    assert colorsys.rgb_to_hsv


def test_what_is_loaded_stays():
    import json

    with lean(missing=("json",), empty=("nothing_of_this_name",)):
        assert sys.modules["json"] is json
    assert sys.modules["json"] is json
    assert "nothing_of_this_name" not in sys.modules


def test_scikit_learn_works_without_what_it_did_not_load():
    subprocess.run((sys.executable, "-c", CHECK), check=True)
