"""A folder as the Hub of Hugging Face expects it, to be uploaded as it is."""

from __future__ import annotations

import json

from effbench.export import writer
from effbench.export.opened import LABELS, lines
from effbench.files import write_atomically
from effbench.records.record import RunResult

# Files that the Hub keeps in its large storage.
_LARGE = ("*.keras", "*.tflite", "*.onnx", "*.bin", "*.pb", "variables/*")


def finish(order: writer.ExportOrder, done: writer.Exported) -> None:
    """Gives what stands beside a model the names that the Hub looks for.

    Raises:
        DiskError: it cannot be written.
    """
    folder, name = order.path.parent, order.path.name
    order.path.with_name(name + writer.CARD).replace(folder / "README.md")
    record = order.record
    names = record.classes if isinstance(record, RunResult) else ()
    config = {
        "architectures": ["EfficientNet"],
        "model_type": "efficientnet",
        "variant": record.spec.variant,
        "image_size": record.spec.image_size,
        "format": done.format,
        "file": name,
        "id2label": {str(number): label for number, label in enumerate(names)},
        "label2id": {label: number for number, label in enumerate(names)},
    }
    write_atomically(folder / "config.json", (json.dumps(config, indent=1) + "\n").encode())
    write_atomically(folder / LABELS, lines(names).encode())
    large = "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in _LARGE)
    write_atomically(folder / ".gitattributes", large.encode())
