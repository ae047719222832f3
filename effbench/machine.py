"""What this machine has, read from the file system: asking TensorFlow can take minutes."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
from pathlib import Path

from effbench.errors import DeviceError

_GOOGLE_PCI_VENDOR = "0x1ae0"
# PCI classes of storage and network: Google's virtual ones are in every machine of its cloud.
_NOT_CHIPS = ("0x01", "0x02")


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_name() -> str:
    """The processor's own name, and the number of cores that this process may use."""
    names = [""]
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{(names or [''])[0] or platform.processor() or platform.machine()}, {cores()} cores"


def has_tpu() -> bool:
    """Whether there is a TPU chip.

    Off a TPU, libtpu asks the cloud's metadata server again and again for minutes, so TensorFlow's
    TPU start-up is only touched where there is a chip.
    """
    if any(Path("/dev").glob("accel[0-9]*")):
        return True
    return any(
        (device / "vendor").read_text().strip() == _GOOGLE_PCI_VENDOR
        and not (device / "class").read_text().startswith(_NOT_CHIPS)
        for device in Path("/sys/bus/pci/devices").glob("*")
    )


def has_gpu() -> bool:
    """Whether there is an NVIDIA GPU with its driver."""
    return any(Path("/dev").glob("nvidia[0-9]*")) or shutil.which("nvidia-smi") is not None


def device(wanted: str) -> str:
    """The kind of device to use: `wanted`, or the best there is for "auto".

    Raises:
        DeviceError: it is not there.
    """
    present = {"tpu": has_tpu, "gpu": has_gpu, "cpu": lambda: True}
    if wanted == "auto":
        return next(kind for kind, there in present.items() if there())
    if not present[wanted]():
        looked = {
            "tpu": "no TPU chip found (no /dev/accel*, no PCI device of Google)",
            "gpu": "no NVIDIA GPU found (no /dev/nvidia*, no nvidia-smi)",
        }
        raise DeviceError(
            f"--{wanted} needs {'an NVIDIA GPU' if wanted == 'gpu' else 'a TPU'}",
            looked[wanted],
            "run it on such a machine, or use --cpu",
        )
    return wanted


def precision(wanted: str, device_kind: str) -> str:
    """Resolves "auto": bfloat16 where the hardware multiplies in it, else float32."""
    if wanted != "auto":
        return wanted
    return "mixed_bfloat16" if device_kind == "tpu" else "float32"
