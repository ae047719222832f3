"""What TensorFlow compiles by XLA on a CPU, kept on disk: the update of all weights in a step.

For B0 that is half of the time until a training's first step; the other half, which goes into
tracing the network, is spent in every process.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from effbench import cache
from effbench.engines import kept_programs
from effbench.errors import DiskError
from effbench.hardware.tensorflow_setup import tf
from effbench.progress import Report

# Groups of runs whose programs stay; of each of them, those of B0 take 7 MB.
GROUPS = 32

_FLAGS = "TF_XLA_FLAGS"


@contextmanager
def kept(group: str, report: Report) -> Iterator[None]:
    """Gives TensorFlow the programs that a process before this one compiled, and keeps new ones.

    TensorFlow looks for them when it compiles for the first time, and trusts what it finds. So it
    gets copies that were checked, in a folder of this process.

    Args:
        group: names the runs that have the same programs.
        report: told why what was compiled before is compiled again.
    """
    home = cache.programs() / "tensorflow" / group
    compiler = (tf.__version__, *kept_programs.on_cpu(), kept_programs.flags())
    mine = home / kept_programs.named(*compiler)
    with tempfile.TemporaryDirectory() as folder:
        copies = Path(folder)
        if home.is_dir() and not mine.is_dir():
            report(kept_programs.ELSEWHERE)
        for path in mine.glob("*.pb"):
            if program := kept_programs.read(path, report):
                (copies / path.name).write_bytes(program)
        before = set(copies.iterdir())
        keeping = f"--tf_xla_persistent_cache_directory={folder}"
        kinds = "--tf_xla_persistent_cache_device_types=CPU,XLA_CPU_JIT"
        os.environ[_FLAGS] = " ".join((os.environ.get(_FLAGS, ""), keeping, kinds))
        try:
            yield
        finally:
            # What cannot be kept is compiled again; others may be tidying up, too.
            with contextlib.suppress(DiskError, OSError):
                for path in set(copies.glob("*.pb")) - before:
                    kept_programs.write(mine / path.name, path.read_bytes())
                if home.is_dir():
                    home.touch()  # the latest
                _forget(home.parent)


def _forget(folder: Path) -> None:
    """Removes what was kept for all but the latest groups."""
    groups = sorted(folder.glob("*"), key=lambda home: home.stat().st_mtime, reverse=True)
    for home in groups[GROUPS:]:
        shutil.rmtree(home, ignore_errors=True)
