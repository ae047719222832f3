"""The one place that imports OpenVINO: without its telemetry, for which nobody was asked.

To convert a model, it would tell Google Analytics of each of its operations and leave an identifier
in the home directory. Where its package for that is not installed, it does neither.
"""

from __future__ import annotations

from effbench.lean_imports import lean

with lean(missing=("openvino_telemetry",)):
    import openvino

__all__ = ("openvino",)
