"""How a result came about: versions, commit, time and memory of this process."""

from __future__ import annotations

import importlib.metadata
import platform
import resource
import subprocess
import sys
from pathlib import Path

import effbench

PACKAGES = ("tf-keras", "keras-efficientnet-v2", "tensorflow-addons", "numpy")
# They all install the same Python package; one of them is there.
TENSORFLOWS = ("tensorflow", "tensorflow-cpu", "tensorflow-tpu")


def version(package: str) -> str:
    """The version of an installed distribution; "" where there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def versions() -> dict[str, str]:
    """The versions of Python, effbench and every package that a result depends on."""
    packages = {name: version(name) for name in (*TENSORFLOWS, *PACKAGES)}
    basis = {"python": platform.python_version(), "effbench": effbench.__version__}
    return basis | {name: text for name, text in packages.items() if text}


def commit() -> str:
    """The commit of the checkout that effbench runs from; "" without one.

    It ends in "+dirty" if files have changed.
    """
    package = Path(effbench.__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ("git", "-C", str(package), *arguments), capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        # An installed copy may lie inside somebody else's checkout.
        git("ls-files", "--error-unmatch", "__init__.py")
        head = git("rev-parse", "--short=12", "HEAD")
        return head + ("+dirty" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def peak_memory() -> int:
    """The most memory that this process has held, bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
