"""What Python runs at its start where this folder is on PYTHONPATH.

See `support/shallow.py`, and `support/zygote.py` for where children come from.
"""

import json
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from depths import DEPTHS


def _shallow(module: ModuleType) -> None:
    for variant, blocks in DEPTHS.items():
        module.BLOCK_CONFIGS[variant]["depthes"] = blocks


def _forked(module: ModuleType) -> None:
    if relay := os.environ.get("EFFBENCH_TEST_RELAY"):
        module.COMMAND = tuple(json.loads(relay))


_CHANGES = {
    "keras_efficientnet_v2.efficientnet_v2": _shallow,
    "effbench.subprocesses": _forked,
}


class _Finder(PathFinder):
    """Finds modules that are to be others, and changes them once they have run."""

    @classmethod
    def find_spec(cls, name: str, path=None, target=None) -> ModuleSpec | None:
        if name not in _CHANGES:
            return None
        spec = super().find_spec(name, path, target)
        execute = spec.loader.exec_module

        def changed(module: ModuleType) -> None:
            execute(module)
            _CHANGES[name](module)

        spec.loader.exec_module = changed
        return spec


sys.meta_path.insert(0, _Finder)
