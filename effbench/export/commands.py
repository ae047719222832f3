"""The commands that make an exported model again, for a reader who has other folders."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from effbench import whereabouts
from effbench.config.run_spec import RunSpec
from effbench.data.datasets import DATASETS
from effbench.export.orders import ExportOrder
from effbench.export.quantization import FLOAT32
from effbench.sweep.rerun import rerun

# They stand for folders of this machine, which are nobody else's business.
DATA, WEIGHTS = "DATA_FOLDER", "WEIGHTS_FOLDER"


def of(order: ExportOrder) -> tuple[str, str]:
    """The sweep, and the export of what came of it.

    Folders of data and of weights stand there as `DATA` and `WEIGHTS` where the run or the export
    was given some.

    Raises:
        EffbenchError: no flags of this effbench lead to the run.
    """
    spec = order.record.spec
    data, *data_dir = _data(spec)
    weights_dir = ["--weights-dir", WEIGHTS] if order.weights_dir else []
    sweep = [*shlex.split(rerun(order.record, data, WEIGHTS).command), *data_dir]
    export = ["effbench", "export", spec.key, *_flags(order), *weights_dir]
    if spec.weights.released:
        sweep += weights_dir
    if order.data:
        export += ["--data", data, *data_dir]
    return shlex.join(sweep), shlex.join(export)


def _data(spec: RunSpec) -> Iterator[str]:
    """What `--data` is given, and further flags; a name that can be downloaded needs no folder."""
    seen = whereabouts.of(spec.data_sha256)
    if spec.data not in DATASETS:
        # The key has the name of the folder, or of the table without its ending.
        yield f"{DATA}/{seen.name if seen else spec.data}"
        return
    yield spec.data
    if seen:
        yield from ("--data-dir", DATA)


def _flags(order: ExportOrder) -> Iterator[str]:
    yield from ("--format", order.format)
    if order.quantize is not FLOAT32:
        yield from ("--quantize", order.quantize.name)
    if order.input_size:
        yield from ("--input-size", str(order.input_size))
    if order.allow_loss:
        yield "--allow-loss"
