"""A graph of ONNX is the same however its nodes were sorted and called."""

import random

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from effbench.export.onnx_order import settle


def graph(seed: int) -> onnx.GraphProto:
    """(x + 1) * (x + 2), with constants and nodes in some order, and names with counters."""
    chance = random.Random(seed)
    first, second, end, *constants = (f"of__{number}" for number in chance.sample(range(99), 6))
    nodes = [
        helper.make_node("Add", ["x", constants[0]], [first], f"all/left/{first}"),
        helper.make_node("Add", ["x", constants[1]], [second], f"all/right/{second}"),
        helper.make_node("Mul", [first, second], ["y"], f"all/{end}"),
    ]
    nodes[:2] = chance.sample(nodes[:2], 2)
    values = [
        numpy_helper.from_array(np.float32([value]), name)
        for value, name in zip((1, 2, 3), constants, strict=True)
    ]
    chance.shuffle(values)
    sides = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in ("x", "y")
    ]
    text = f"function {seed}"
    return helper.make_graph(nodes, "tf2onnx", sides[:1], sides[1:], values, doc_string=text)


def test_graphs_that_differ_in_order_and_names_alone_become_the_same():
    graphs = [graph(seed) for seed in range(8)]
    assert len({one.SerializeToString() for one in graphs}) == 8
    for one in graphs:
        settle(one)
    assert len({one.SerializeToString() for one in graphs}) == 1
    assert [node.name for node in graphs[0].node] == ["left/Add_0", "right/Add_1", "Mul_2"]
    assert len(graphs[0].initializer) == 2  # the third is of no use
    model = helper.make_model(graphs[0])
    onnx.checker.check_model(model)
    (y,) = ReferenceEvaluator(model).run(None, {"x": np.float32([4])})
    assert y == [30]
