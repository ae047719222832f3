"""ONNX's graph of a function in one order and under the same names each time.

tf2onnx keeps nodes in sets and numbers them with a counter of its process, so that no two of its
files of a function are the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

_COUNTER = re.compile(r"__\d+")


def settle(graph: onnx.GraphProto) -> None:
    """Sorts nodes and constants by what the results need first, and numbers their names so.

    Nodes keep the names of the layers in which they stand. What no result needs is left out. Nodes
    with graphs of their own are not looked into; none come of networks without loops.

    Args:
        graph: it is changed; its inputs and outputs keep their names.
    """
    from effbench.hardware.onnx_setup import onnx

    nodes = [*_needed(graph)]
    names = {value.name: value.name for value in (*graph.input, *graph.output)}
    names[""] = ""  # an input that is left out
    for number, node in enumerate(nodes):
        scope = _COUNTER.sub("", node.name).split("/")[1:-1]
        node.name = "/".join((*scope, f"{node.op_type}_{number}"))
        for values in (node.input, node.output):
            values[:] = [names.setdefault(name, f"value_{len(names)}") for name in values]
    constants = {names[row.name]: row for row in graph.initializer if row.name in names}
    for name, row in constants.items():
        row.name = name
    # Fields of a message are emptied before they are filled again: these are copies.
    sorted_nodes = onnx.GraphProto(
        node=nodes, initializer=[constants[name] for name in names.values() if name in constants]
    )
    for field in ("node", "initializer", "value_info"):
        graph.ClearField(field)
    graph.MergeFrom(sorted_nodes)
    graph.doc_string = ""  # the number of the traced function


def _needed(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """The nodes that results need, each behind those whose results it takes, in their order."""
    makers = {name: node for node in graph.node for name in node.output}
    seen: set[str] = set()
    waiting = [(value.name, False) for value in reversed(graph.output)]
    while waiting:
        name, ready = waiting.pop()
        if ready:
            yield makers[name]
        elif name in makers and makers[name].output[0] not in seen:
            seen.add(makers[name].output[0])
            waiting.append((name, True))
            waiting += [(taken, False) for taken in reversed(makers[name].input)]
