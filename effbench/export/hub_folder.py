"""A folder as the Hub of Hugging Face expects it, to be uploaded as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from effbench.export.opened import LABELS, lines
from effbench.export.orders import ExportOrder
from effbench.records.record import RunResult

# Files that the Hub keeps in its large storage; the last of a SavedModel, a folder in this one.
_LARGE = ("*.keras", "*.tflite", "*.onnx", "*.bin", "*.pb", "**/variables/*")
_CONFIG, _FILE = "config.json", "file"


def files(order: ExportOrder, card: str) -> Mapping[str, str]:
    """What stands beside a model under the names that the Hub looks for."""
    record = order.record
    names = record.classes if isinstance(record, RunResult) else ()
    config = {
        "architectures": ["EfficientNet"],
        "model_type": "efficientnet",
        "variant": record.spec.variant,
        "image_size": record.spec.image_size,
        "format": order.format,
        _FILE: order.path.name,
        "id2label": {str(number): label for number, label in enumerate(names)},
        "label2id": {label: number for number, label in enumerate(names)},
    }
    return {
        "README.md": card,
        _CONFIG: json.dumps(config, indent=1) + "\n",
        LABELS: lines(names),
        ".gitattributes": "".join(
            f"{name} filter=lfs diff=lfs merge=lfs -text\n" for name in _LARGE
        ),
    }


def model_in(path: Path) -> Path:
    """The model in a folder for the Hub; of anything else, the same path."""
    try:
        name = json.loads((path / _CONFIG).read_bytes())[_FILE]
        # The name alone: what was downloaded leads to nothing outside of its folder.
        model = path / Path(name).name
    except (OSError, ValueError, TypeError, KeyError):
        return path
    return model if model.exists() else path
