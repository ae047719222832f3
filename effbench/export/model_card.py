"""What a reader of an exported model needs to know, as the Hub of Hugging Face wants it.

A README.md that begins with YAML: huggingface.co/docs/hub/model-cards.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from effbench.config.geometry import FITS
from effbench.config.run_spec import WeightsId
from effbench.config.variants import VARIANTS
from effbench.errors import EffbenchError
from effbench.export import commands
from effbench.export.evaluation import Evaluation
from effbench.export.formats import FORMATS
from effbench.export.orders import ExportOrder
from effbench.export.quantization import IN_FLOAT
from effbench.records.caveats import details
from effbench.records.record import Record, RunResult

# Of google/automl's and keras-efficientnet-v2's releases of weights, and the Hub's word for that of
# any other file.
LICENSE, UNKNOWN = "apache-2.0", "unknown"

Yaml = str | int | float | list["Yaml"] | Mapping[str, "Yaml"]


def text(order: ExportOrder, sha256: str, judged: Evaluation | None = None) -> str:
    """A model card.

    Args:
        order: what was asked for.
        sha256: of the model.
        judged: how good the model itself is; None where only its run is known.
        side: height and width of the only images that the model takes; None for any.
    """
    header = "\n".join(_yaml(_header(order.record, order.format, judged)))
    return f"---\n{header}\n---\n\n{_body(order, sha256, judged)}"


def _header(record: Record, format: str, judged: Evaluation | None) -> dict[str, Yaml]:
    spec = record.spec
    header: dict[str, Yaml] = {
        "library_name": FORMATS[format].library,
        "license": _license(spec.weights),
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "efficientnet", "effbench"],
        "metrics": ["accuracy"],
    }
    figures = _figures(record, judged)
    if figures is None:
        return header
    part, correct, total, low, high = figures
    interval = f"95 % interval {100 * low:.2f} to {100 * high:.2f}"
    result: dict[str, Yaml] = {
        "task": {"type": "image-classification", "name": "Image classification"},
        "dataset": {"type": spec.data, "name": spec.data, "split": part},
        "metrics": [
            {
                "type": "accuracy",
                "value": round(correct / total, 6),
                "name": f"{part} accuracy of {total:,} images ({interval})",
            }
        ],
    }
    return header | {"model-index": [{"name": spec.key, "results": [result]}]}


def _figures(
    record: Record, judged: Evaluation | None
) -> tuple[str, int, int, float, float] | None:
    """The split, correct images of how many, and the bounds of the interval."""
    if judged:
        return judged.split, judged.correct, judged.total, judged.low, judged.high
    if not isinstance(record, RunResult):
        return None
    from scipy.stats import binomtest

    scores = record.reported.judged
    interval = binomtest(scores.correct, scores.total).proportion_ci(method="wilson")
    part = record.splits[-1]
    return part, scores.correct, scores.total, float(interval.low), float(interval.high)


def _body(order: ExportOrder, sha256: str, judged: Evaluation | None) -> str:
    record, spec = order.record, order.record.spec
    variant = VARIANTS[spec.variant]
    lines = [
        f"# {spec.key}",
        "",
        f"EfficientNet {variant.name}, trained on {spec.data} by effbench's recipe "
        f"`{spec.recipe.name}` at {spec.image_size} pixels. "
        f"{_taken(record, FORMATS[order.format].many, order.side)}",
        "",
        "```python",
        *FORMATS[order.format].loading.replace("PATH", repr(order.path.name)).splitlines(),
        "```",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in _facts(record, sha256, judged)),
    ]
    if judged and judged.notes:
        lines += ["", IN_FLOAT, ""]
        lines += [f"- `{note}`" for note in judged.notes]
    lines += ["", *_again(order)]
    if isinstance(record, RunResult):
        classes = ", ".join(record.classes[:100])
        lines += ["", f"Classes, in the order of the scores: {classes}"]
    return "\n".join(lines) + "\n"


def _taken(record: Record, many: str, side: int | None) -> str:
    """Which images a model takes."""
    if side is None:
        return (
            f"It takes uint8 RGB images of any size, `[{many}, height, width, 3]`, and answers "
            "with a probability for each class; resize, rescaling and softmax are inside."
        )
    geometry = record.spec.recipe.photo_geometry
    return (
        f"It takes uint8 RGB images of {side} x {side} pixels and no others, `[{many}, {side}, "
        f"{side}, 3]`, and answers with a probability for each class; rescaling and softmax are "
        f"inside. Other images are made such a square first, as those of training were: "
        f"{FITS[geometry.fit]}, {geometry.filter}, averaged where they shrink, by "
        "Pillow and by `effbench predict`. Tools that average nothing get somewhat other "
        "probabilities."
    )


def _facts(record: Record, sha256: str, judged: Evaluation | None) -> Iterator[tuple[str, str]]:
    spec = record.spec
    for whose, figures in (
        ("this file", _figures(record, judged) if judged else None),
        ("the run", _figures(record, None)),
    ):
        if figures:
            part, correct, total, low, high = figures
            yield (
                f"{part} accuracy of {whose}",
                f"{correct / total:.2%} ({correct:,} of {total:,}; "
                f"95 % interval {low:.2%} to {high:.2%})",
            )
    if judged and judged.against:
        against = judged.against
        yield (
            "this file against the run",
            f"{_points(judged.gained)}, p = {against.p:.2g} (McNemar); "
            f"{against.disagree:,} of {judged.total:,} images are of another class",
        )
    if judged:
        yield "speed", f"{judged.images_per_second:.1f} images/s, {judged.runtime}, {judged.device}"
    weights = spec.weights
    which = f"{weights.name} ({weights.digest or 'random'})"
    yield "weights it began with", f"{which}, license {_license(weights)}"
    yield "data", f"{spec.data}, sha256 {spec.data_sha256}"
    if record.marks:
        yield "marks", details(record.marks)
    yield "sha256 of the model", sha256


def _points(gained: float) -> str:
    """What a file gets right more often than its run, -1 to 1, in words."""
    if not gained:
        return "as many right"
    return f"{100 * abs(gained):.2f} points {'more' if gained > 0 else 'fewer'}"


def _license(weights: WeightsId) -> str:
    """That of the weights, which nobody knows of a file that is no release."""
    return LICENSE if weights.released else UNKNOWN


def _again(order: ExportOrder) -> Iterator[str]:
    """How to make the same model again."""
    try:
        text = "\n".join(commands.of(order))
    except EffbenchError as error:
        yield f"effbench as it is now has no command that makes this model again: {error}."
        return
    yield from ("The commands that make it again:", "", "```", text, "```")
    folders = {commands.DATA: "the data are", commands.WEIGHTS: "the weights are"}
    for name, what in folders.items():
        if name in text:
            yield from ("", f"`{name}` stands for the folder in which {what}.")


def _yaml(value: Yaml, indent: str = "") -> Iterator[str]:
    """Lines of YAML, of which JSON's scalars are a part."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            if isinstance(part, (Mapping, list)):
                yield f"{indent}{name}:"
                yield from _yaml(part, indent + "  ")
            else:
                yield f"{indent}{name}: {json.dumps(part, ensure_ascii=False)}"
    elif isinstance(value, list):
        for part in value:
            first, *others = _yaml(part, indent + "  ")
            yield f"{indent}- {first.strip()}"
            yield from others
    else:
        yield f"{indent}{json.dumps(value, ensure_ascii=False)}"
