"""The metadata in a file of TensorFlow Lite, which its tools and Android Studio read.

The package that writes them needs a protobuf that TensorFlow refuses. They are a flatbuffer, whose
tables and numbers of fields are those of tensorflow/tflite-support, metadata_schema.fbs.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import flatbuffers

import effbench
from effbench.config.geometry import Geometry
from effbench.export.classifier import Classifier
from effbench.export.formats import Options
from effbench.export.opened import LABELS, append
from effbench.hardware.tensorflow_setup import tflite_schema

# What readers of the model look for among its buffers; and how they know the flatbuffer in it.
_NAME, _IDENTIFIER = b"TFLITE_METADATA", b"M001"
# Of enumerations and unions in the schema.
_AXIS_LABELS, _RGB, _FEATURES, _IMAGE, _NORMALIZATION = 2, 1, 1, 2, 1
# How photos become squares where the model takes these alone.
GEOMETRY = "geometry.json"


@dataclass(frozen=True)
class _Number:
    """An integer of so many bytes."""

    value: int
    size: int


@dataclass(frozen=True)
class _Row:
    """A table of the schema: its fields in their order, None for those left out."""

    fields: tuple[_Field, ...]


_Field = str | _Number | _Row | Sequence[float] | Sequence["_Row"] | None


def _row(*fields: _Field) -> _Row:
    return _Row(fields)


def added(content: bytes, classifier: Classifier, options: Options) -> bytes:
    """A model with its metadata.

    Args:
        content: the model.
        classifier: what it was made of.
        options: how.
    """
    schema = tflite_schema()
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = bytearray(_metadata(classifier, options))
    entry.name, entry.buffer = _NAME, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def keep_geometry(classifier: Classifier, path: Path) -> None:
    """Adds how photos become squares to the archive behind a model."""
    append(path, GEOMETRY, json.dumps(asdict(classifier.geometry or Geometry())))


def geometry(path: Path) -> Geometry:
    """What `keep_geometry` wrote."""
    with zipfile.ZipFile(path) as archive:
        return Geometry(**json.loads(archive.read(GEOMETRY)))


def _metadata(classifier: Classifier, options: Options) -> bytes:
    side = options.input_size
    size = _row(_Number(side, 4), _Number(side, 4)) if side else None
    words = f"{side} x {side} pixels; it is" if side else "any size; it is resized and"
    images = _row(
        "images",
        f"An RGB image of {words} rescaled inside.",
        None,
        _row(_Number(_IMAGE, 1), _row(_Number(_RGB, 1), size)),
        # That of values from 0 to 255: nothing is left to be done.
        [_row(_Number(_NORMALIZATION, 1), _row([0.0], [1.0]))],
        _row([255.0], [0.0]),
    )
    labels = _row(LABELS, "The names of the classes.", _Number(_AXIS_LABELS, 1))
    scores = _row(
        "scores",
        "The probability of each class.",
        None,
        _row(_Number(_FEATURES, 1), _row()),
        None,
        _row([1.0], [0.0]),
        [labels],
    )
    graph = _row(None, None, [images], [scores])
    root = _row(
        classifier.title, "What is in an image.", None, [graph], f"effbench {effbench.__version__}"
    )
    builder = flatbuffers.Builder(1024)
    builder.Finish(_packed(builder, root), _IDENTIFIER)
    return bytes(builder.Output())


def _packed(builder: flatbuffers.Builder, row: _Row) -> int:
    """Writes a table, its children first, as flatbuffers are; returns its offset."""
    offsets = [_child(builder, field) for field in row.fields]
    builder.StartObject(len(row.fields))
    for slot, (field, offset) in enumerate(zip(row.fields, offsets, strict=True)):
        if isinstance(field, _Number):
            prepend = {1: builder.PrependUint8Slot, 4: builder.PrependUint32Slot}[field.size]
            prepend(slot, field.value, 0)
        elif offset is not None:
            builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    return builder.EndObject()


def _child(builder: flatbuffers.Builder, field: _Field) -> int | None:
    if field is None or isinstance(field, _Number):
        return None
    if isinstance(field, str):
        return builder.CreateString(field)
    if isinstance(field, _Row):
        return _packed(builder, field)
    rows = [_packed(builder, value) if isinstance(value, _Row) else value for value in field]
    builder.StartVector(4, len(rows), 4)
    for value in reversed(rows):
        if isinstance(value, float):
            builder.PrependFloat32(value)
        else:
            builder.PrependUOffsetTRelative(value)
    return builder.EndVector()
