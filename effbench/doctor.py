"""What this machine can do, and what is wrong with it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from effbench import cache, cifar10, machine, provenance, store
from effbench.errors import EffbenchError

GIB = 1 << 30
# Features and weights of all nine variants on all of CIFAR-10 take about 5 GiB.
ENOUGH_DISK = 5 * GIB

# Loaded in a process of its own: a TensorFlow that does not fit its libtpu ends the process.
_PROBE = """
import json
from effbench import devices
from effbench.backend import keras, tf, tfa
device = devices.connect({kind!r})
with tf.device(device.placement):
    step = tf.function(lambda x: tf.reduce_sum(tf.matmul(x, x)))(tf.ones((8, 8)))
assert float(step) == 512, f"a matrix product came out as {{float(step)}}, not 512"
print(json.dumps([device.name, keras.Model.__module__, tfa.__version__, tf.__version__]))
"""


@dataclass(frozen=True)
class Check:
    """One thing looked at; `hint` says what to do when it is not `good`."""

    name: str
    good: bool
    text: str
    hint: str = ""


def examine() -> list[Check]:
    """All checks, in the order in which a run needs them. Takes some seconds."""
    kind = machine.device("auto")
    return [_python(), _tensorflow(kind), _memory(), _cache(), _data()]


def _python() -> Check:
    found = provenance.version("tensorflow-addons")
    text = f"{sys.version.split()[0]}, tensorflow-addons {found or 'missing'}"
    good = sys.version_info[:2] == (3, 11) and bool(found)
    return Check("python", good, text, "use Python 3.11; 'make setup' installs all it needs")


def _tensorflow(kind: str) -> Check:
    done = subprocess.run(
        (sys.executable, "-P", "-c", _PROBE.format(kind=kind)),
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return Check(f"tensorflow on {kind}", False, lines[-1], f"run 'make setup ACCEL={kind}'")
    name, keras, addons, version = json.loads(done.stdout.strip().splitlines()[-1])
    legacy = keras.startswith("tf_keras")
    text = f"{name}; TensorFlow {version}, Keras {'2' if legacy else '3'}, Addons {addons}"
    return Check(f"tensorflow on {kind}", legacy, f"{text}; a tiny step ran", "run 'make setup'")


def _memory() -> Check:
    total = psutil.virtual_memory().total / GIB
    text = f"{total:.1f} GiB, {machine.cores()} cores"
    return Check("memory", total >= 3.5, text, "4 GiB are needed for CIFAR-10")


def _cache() -> Check:
    home = cache.directory()
    try:
        store.write_atomically(home / ".probe", b"")
        (home / ".probe").unlink()
    except EffbenchError as error:
        return Check("cache", False, str(error), "set EFFBENCH_CACHE")
    free = shutil.disk_usage(home).free
    return Check("cache", free > ENOUGH_DISK, f"{home}, {free / GIB:.0f} GiB free", "free some")


def _data() -> Check:
    place: Path | None = cifar10.place()
    text = str(place) if place else "not on this machine; it is downloaded when first used"
    return Check("cifar10", True, text)
