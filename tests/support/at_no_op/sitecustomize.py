"""What Python runs at its start where this folder is on PYTHONPATH: workers are no-ops then.

So are those that Ray or SLURM start, which no test can reach. See `support/no_ops.py`.
"""

import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType


class _Finder(PathFinder):
    """Finds the module that starts workers, and changes it once it has run."""

    @classmethod
    def find_spec(cls, name: str, path=None, target=None) -> ModuleSpec | None:
        if name != "effbench.sweep.worker_process":
            return None
        spec = super().find_spec(name, path, target)
        execute = spec.loader.exec_module

        def no_op(module: ModuleType) -> None:
            execute(module)

            def work(*arguments: object) -> object:
                sys.path.append(str(Path(__file__).parents[2]))
                from support import no_ops

                return no_ops.work(*arguments)

            module.work = work

        spec.loader.exec_module = no_op
        return spec


sys.meta_path.insert(0, _Finder)
