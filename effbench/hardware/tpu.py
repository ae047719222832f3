"""TPUs: their generations, the chips of this machine, and the name of the one to use.

Nothing here loads TensorFlow: a TPU build of it asks the cloud's metadata server for minutes, at
import, on a machine that has no chip.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

# The TPU of the machine itself, as TensorFlow's cluster resolver calls it.
LOCAL = "local"

# Our own variable: the TPU that a process was started for.
_WANTED = "EFFBENCH_TPU"
# TensorFlow's variable: "0" keeps it from loading libtpu.
_LOAD = "TPU_LOAD_LIBRARY"

_GOOGLE_PCI_VENDOR = "0x1ae0"
# PCI classes of storage and network: Google's virtual ones are in every machine of its cloud.
_NOT_CHIPS = ("0x01", "0x02")


@dataclass(frozen=True)
class Generation:
    """A kind of chip.

    Attributes:
        name: as in "v3-8".
        device: number of its PCI device.
        subsystem: number of its PCI subsystem, where the device alone does not tell; else "".
        cores: tensor cores of a chip.
        hbm_gib: memory of what TensorFlow calls a device, and so of a replica, GiB: a core of v2
            and v3, a chip of the others.
        pjrt: whether TensorFlow drives it through PJRT; the older ones have their own runtime.
        joined: whether the cores of a chip are one replica.
        tflops: peak of a chip in bfloat16, 10^12 operations a second.
        gbps: peak of a chip's HBM, 10^9 bytes a second.
    """

    name: str
    device: str
    subsystem: str
    cores: int
    hbm_gib: int
    pjrt: bool
    joined: bool
    tflops: float
    gbps: float

    @property
    def replicas(self) -> int:
        """Copies of a program on a chip: one a core, or one where its cores are joined."""
        return 1 if self.joined else self.cores


# PCI numbers as in Google's tpu-info (tpu_info/device.py) and JAX (hardware_utils.py). Peak rates
# of a chip as in Cloud TPU's documentation, the page of each generation, "Key specifications".
GENERATIONS = (
    Generation("v2", "0x0027", "0x004e", 2, 8, pjrt=False, joined=False, tflops=45, gbps=700),
    Generation("v3", "0x0027", "0x004f", 2, 16, pjrt=False, joined=False, tflops=123, gbps=900),
    Generation("v4", "0x005e", "", 2, 32, pjrt=False, joined=True, tflops=275, gbps=1200),
    Generation("v5e", "0x0063", "", 1, 16, pjrt=True, joined=False, tflops=197, gbps=819),
    Generation("v5p", "0x0062", "", 2, 95, pjrt=True, joined=True, tflops=459, gbps=2765),
    Generation("v6e", "0x006f", "", 1, 32, pjrt=True, joined=False, tflops=918, gbps=1638),
)


@dataclass(frozen=True)
class Chips:
    """The chips of this machine; `generation` is None for one that is not in the table."""

    count: int
    generation: Generation | None

    def __str__(self) -> str:
        chips = f"{self.count} chip{'' if self.count == 1 else 's'}"
        if self.generation is None:
            return f"TPU of an unknown generation, {chips}"
        cores = self.count * self.generation.cores
        return (
            f"TPU {self.generation.name}, {chips}, {cores} core{'' if cores == 1 else 's'}, "
            f"{self.generation.hbm_gib} GiB of HBM a replica"
        )


def chips() -> Chips | None:
    """What the file system says of this machine's chips; None where there are none."""
    devices = [device for device in Path("/sys/bus/pci/devices").glob("*") if _is_chip(device)]
    count = len(devices) or len(list(Path("/dev").glob("accel[0-9]*")))
    if not count:
        return None
    return Chips(count, _generation(devices[0]) if devices else None)


def _is_chip(device: Path) -> bool:
    vendor, kind = _read(device / "vendor"), _read(device / "class")
    return vendor == _GOOGLE_PCI_VENDOR and not kind.startswith(_NOT_CHIPS)


def _generation(device: Path) -> Generation | None:
    number, subsystem = _read(device / "device"), _read(device / "subsystem_device")
    rows = (row for row in GENERATIONS if row.device == number and row.subsystem in ("", subsystem))
    return next(rows, None)


def _read(file: Path) -> str:
    return file.read_text().strip() if file.exists() else ""


def named(given: str | None) -> str:
    """The TPU that was named, here or in the environment; "" for none.

    The environment is what TensorFlow's cluster resolver looks at, and Colab's own variable. The
    TPU machines of Colab and Kaggle that have their chips in themselves need no name.
    """
    colab = os.environ.get("COLAB_TPU_ADDR", "")
    candidates = (
        given,
        os.environ.get("KUBE_GOOGLE_CLOUD_TPU_ENDPOINTS"),
        os.environ.get("TPU_NAME"),
        f"grpc://{colab.removeprefix('grpc://')}" if colab else "",
    )
    return next(filter(None, candidates), "")


def build() -> bool:
    """Whether the TensorFlow that is installed is the one for TPUs."""
    try:
        return bool(importlib.metadata.version("tensorflow-tpu"))
    except importlib.metadata.PackageNotFoundError:
        return False


def for_child(name: str) -> dict[str, str]:
    """The environment of a process that is to use the TPU `name`, "" for none."""
    inherited = {key: value for key, value in os.environ.items() if key != _LOAD}
    return inherited | {_WANTED: name}


def environment() -> dict[str, str]:
    """What TensorFlow must find in this process's environment when it is imported.

    libtpu takes the chips for the process that loads it, at import, and where there are none it
    asks for them for minutes (measured: 8). So only a process that was started `for_child` of this
    machine's TPU loads it. The newer generations need PJRT, by the variables of Google's own tests.
    """
    here = chips()
    if here is None or os.environ.get(_WANTED) != LOCAL:
        return {_LOAD: "0"}
    library = importlib.util.find_spec("libtpu")
    if here.generation is None or not here.generation.pjrt or not (library and library.origin):
        return {}
    return {
        "NEXT_PLUGGABLE_DEVICE_USE_C_API": "true",
        "TF_PLUGGABLE_DEVICE_LIBRARY_PATH": str(Path(library.origin).with_name("libtpu.so")),
        "PJRT_DEVICE": "TPU",
    }
