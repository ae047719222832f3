"""The blocks of each stage of the shallow networks; B1 is deeper than B0, as it is in truth."""

DEPTHS = {"b0": [1, 1, 1, 1, 1, 1], "b1": [1, 1, 1, 1, 1, 2]}
