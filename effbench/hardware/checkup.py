"""What this machine can do, and what is wrong with it."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass

import psutil

from effbench import cache, files, provenance
from effbench.cpu import counted
from effbench.data.named import cifar10
from effbench.errors import EffbenchError
from effbench.hardware import machine, self_check, tpu

GIB = 1 << 30
# Features and weights of all nine variants on all of CIFAR-10 take about 5 GiB.
ENOUGH_DISK = 5 * GIB


@dataclass(frozen=True)
class Check:
    """One thing looked at; `hint`, or else `text`, says what to do when it is not `good`."""

    name: str
    good: bool
    text: str
    hint: str = ""


def examine() -> list[Check]:
    """All checks, in the order in which a run needs them. Takes some seconds."""
    kind = machine.device("auto")
    return [_python(), _tensorflow(kind), _tpu(), _memory(), _cache(), _data()]


def _python() -> Check:
    addons = provenance.version("tensorflow-addons")
    text = f"{sys.version.split()[0]}, tensorflow-addons {addons or 'missing'}"
    good = sys.version_info[:2] == (3, 11) and bool(addons)
    return Check("python", good, text, "use Python 3.11; 'make setup' installs all it needs")


def _tensorflow(kind: str) -> Check:
    try:
        check = self_check.ask(kind)
    except EffbenchError as error:
        return Check(f"tensorflow on {kind}", False, str(error), f"run 'make setup ACCEL={kind}'")
    replicas = f"{check.replicas} replica{'' if check.replicas == 1 else 's'}"
    software = {"Keras": str(check.keras)} | check.versions
    versions = ", ".join(f"{name} {version}" for name, version in software.items() if version)
    text = f"{check.name}; {replicas}; {versions}; a tiny step ran"
    return Check(f"tensorflow on {kind}", check.keras == 2, text, "run 'make setup'")


def _tpu() -> Check:
    """No TPU is no mistake, and neither is a build that can do without."""
    chips = tpu.chips()
    build = "TPU build of TensorFlow" if tpu.build() else "TensorFlow without TPU support"
    if chips is None:
        text = f"{build}, no TPU chip found" if tpu.build() else f"{build}; install the tpu set"
        return Check("tpu", True, f"{text}{'' if tpu.build() else ' on a machine with a TPU'}")
    hint = "install the tpu set: make setup ACCEL=tpu"
    return Check("tpu", tpu.build(), f"{chips}; {build}", hint)


def _memory() -> Check:
    total = psutil.virtual_memory().total / GIB
    text = f"{total:.1f} GiB, {counted()}"
    return Check("memory", total >= 3.5, text, "4 GiB are needed for CIFAR-10")


def _cache() -> Check:
    home = cache.directory()
    try:
        files.write_atomically(home / ".probe", b"")
        (home / ".probe").unlink()
    except EffbenchError as error:
        return Check("cache", False, str(error), "set EFFBENCH_CACHE")
    free = shutil.disk_usage(home).free
    return Check("cache", free > ENOUGH_DISK, f"{home}, {free / GIB:.0f} GiB free", "free some")


def _data() -> Check:
    copy = cifar10.ARCHIVE.local_copy()
    text = str(copy) if copy else "not on this machine; it is downloaded when first used"
    return Check("cifar10", True, text)
