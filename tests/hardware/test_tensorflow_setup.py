"""TensorFlow comes with Keras 2 and with TensorFlow Addons, whatever the environment says."""

import json
import os
import subprocess
import sys

import pytest

PROBE = """
import json, os, sys
from effbench.hardware.tensorflow_setup import keras, tf, tfa
import tf_keras
print(json.dumps({
    "keras": tf_keras.__version__,
    "same": keras is tf.keras and keras.layers.Dense is tf_keras.layers.Dense,
    "dense": keras.layers.Dense.__module__,
    "legacy": issubclass(tfa.optimizers.AdaBelief, keras.optimizers.legacy.Optimizer),
    "schedule": issubclass(
        tfa.optimizers.Triangular2CyclicalLearningRate,
        keras.optimizers.schedules.LearningRateSchedule,
    ),
    # Registering tf-keras's modules under these names is fine, loading Keras 3 is not.
    "three": sorted(
        name
        for name, module in sys.modules.items()
        if name.partition(".")[0] == "keras" and "tf_keras" not in (module.__file__ or "tf_keras")
    )[:5],
    "flag": os.environ["TF_USE_LEGACY_KERAS"],
    "loaded": sorted({"jax", "pandas"} & set(sys.modules)),
    "at hand": __import__("pandas").DataFrame.__name__,
}))
"""


@pytest.fixture(scope="module", params=["unset", "0"])
def probe(request: pytest.FixtureRequest) -> tuple[dict[str, object], str]:
    """What a fresh process finds, and what it printed on standard error."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("TF_")}
    if request.param != "unset":
        environment["TF_USE_LEGACY_KERAS"] = request.param
    done = subprocess.run(
        (sys.executable, "-c", PROBE), env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_keras_2_is_picked(probe):
    found, _ = probe
    assert found["keras"].startswith("2.")
    assert found["same"]
    assert found["dense"].startswith("tf_keras.")
    assert found["flag"] == "1"


def test_keras_3_is_not_imported(probe):
    """It costs seconds and memory in every worker, and its classes are not those of Keras 2."""
    assert probe[0]["three"] == []


def test_what_tensorflow_would_load_for_its_types_alone_is_not_loaded_but_stays_at_hand(probe):
    assert probe[0]["loaded"] == []
    assert probe[0]["at hand"] == "DataFrame"


def test_the_case_studys_optimizer_and_schedule_are_there(probe):
    assert probe[0]["legacy"]
    assert probe[0]["schedule"]


def test_nothing_is_said_about_the_end_of_addons(probe):
    assert "Addons" not in probe[1]
    assert "Warning" not in probe[1]


def test_other_warnings_of_users_are_left_alone(recwarn):
    import warnings

    from effbench.hardware import tensorflow_setup

    assert tensorflow_setup.tfa.__version__
    warnings.warn("mine", UserWarning, stacklevel=1)
    assert [str(each.message) for each in recwarn] == ["mine"]


@pytest.mark.parametrize("name", ["effbench.models.backbone", "effbench.sweep.run_job"])
def test_a_module_that_needs_keras_2_picks_it_whichever_is_imported_first(name):
    """keras-efficientnet-v2 imports TensorFlow itself; it must find Keras 2 all the same."""
    code = (
        f"import {name}; from effbench.hardware.tensorflow_setup import keras; "
        "keras.Input; print(keras.Model.__module__)"
    )
    environment = {name: text for name, text in os.environ.items() if not name.startswith("TF_")}
    done = subprocess.run(
        (sys.executable, "-c", code), env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr.splitlines()[-1]
    assert done.stdout.startswith("tf_keras.")
