"""What this machine has, read from the file system: asking TensorFlow can take minutes."""

from __future__ import annotations

import contextlib
import platform
import shutil
from pathlib import Path

from effbench import provenance
from effbench.config.precisions import PRECISIONS, USUAL
from effbench.cpu import counted
from effbench.errors import DeviceError, UsageError
from effbench.hardware import tpu


def described() -> dict[str, object]:
    """What timings say of where and by what they were measured."""
    return {
        "machine": cpu_name(),
        "versions": provenance.versions(),
        "commit": provenance.commit(),
    }


def cpu_name() -> str:
    """The processor's own name, and the number of cores that this process may use."""
    names = [""]
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{(names or [''])[0] or platform.processor() or platform.machine()}, {counted()}"


def oom_kills() -> int:
    """How many processes the system has ended so far because it was out of memory."""
    with contextlib.suppress(OSError):
        lines = (line.split() for line in Path("/proc/vmstat").read_text().splitlines())
        return sum(int(value) for name, value in lines if name == "oom_kill")
    return 0


def has_tpu() -> bool:
    """Whether there is a TPU chip.

    Off a TPU, libtpu asks the cloud's metadata server again and again for minutes, so TensorFlow's
    TPU start-up is only touched where there is a chip.
    """
    return tpu.chips() is not None


def has_gpu() -> bool:
    """Whether there is an NVIDIA GPU with its driver."""
    return any(Path("/dev").glob("nvidia[0-9]*")) or shutil.which("nvidia-smi") is not None


def device(wanted: str, tpu_name: str = "") -> str:
    """The kind of device to use: `wanted`, or the best there is for "auto".

    Args:
        wanted: "auto", "cpu", "gpu" or "tpu".
        tpu_name: the name of a TPU that is elsewhere, "" for none.

    Raises:
        DeviceError: there is no such device.
    """
    present = {"tpu": lambda: bool(tpu_name) or has_tpu(), "gpu": has_gpu, "cpu": lambda: True}
    if wanted == "auto":
        return next(kind for kind, there in present.items() if there())
    if not present[wanted]():
        raise DeviceError(*_MISSING[wanted, tpu.build()])
    return wanted


_ELSEWHERE = "run it on such a machine, or use --cpu"
_NO_GPU = "no NVIDIA GPU found (no /dev/nvidia*, no nvidia-smi)"
_NO_CHIP = "no TPU chip found (no /dev/accel*, no PCI device of Google)"
_INSTALL = (
    "install the tpu set (make setup ACCEL=tpu, for --engine xla tpu-xla) on a machine with a TPU, "
    "or use --cpu"
)
# By kind, and whether TensorFlow is the build for TPUs: rule, received, hint.
_MISSING = {
    ("gpu", False): ("--gpu needs an NVIDIA GPU", _NO_GPU, _ELSEWHERE),
    ("gpu", True): ("--gpu needs an NVIDIA GPU", _NO_GPU, _ELSEWHERE),
    ("tpu", False): (
        "--tpu needs a TPU",
        f"{_NO_CHIP}, TensorFlow without TPU support",
        _INSTALL,
    ),
    ("tpu", True): ("--tpu needs a TPU", f"TPU build of TensorFlow, {_NO_CHIP}", _ELSEWHERE),
}


def precision(wanted: str, device_kind: str) -> str:
    """The precision to compute in: `wanted`, or the usual one of a kind of device for "auto".

    Raises:
        UsageError: a device of this kind has no such precision.
    """
    if wanted == "auto":
        return USUAL[device_kind]
    if device_kind not in PRECISIONS[wanted].kinds:
        raise UsageError(
            f"--precision {wanted} is for a {' or '.join(PRECISIONS[wanted].kinds).upper()}",
            f"a {device_kind.upper()}",
            "use float32 or mixed_bfloat16",
        )
    return wanted
