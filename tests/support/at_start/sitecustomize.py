"""What Python runs at its start where this folder is on PYTHONPATH: see `support/shallow.py`."""

import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from depths import DEPTHS


class _Finder(PathFinder):
    """Finds the module of the networks, and changes it once it has run."""

    @classmethod
    def find_spec(cls, name: str, path=None, target=None) -> ModuleSpec | None:
        if name != "keras_efficientnet_v2.efficientnet_v2":
            return None
        spec = super().find_spec(name, path, target)
        execute = spec.loader.exec_module

        def shallow(module: ModuleType) -> None:
            execute(module)
            for variant, blocks in DEPTHS.items():
                module.BLOCK_CONFIGS[variant]["depthes"] = blocks

        spec.loader.exec_module = shallow
        return spec


sys.meta_path.insert(0, _Finder)
