"""The slices of TPUs that a run can be planned for, by the names that the cloud gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from effbench.errors import UsageError
from effbench.hardware.tpu import GENERATIONS, Generation


@dataclass(frozen=True)
class Slice:
    """One machine with TPUs, all its chips.

    Attributes:
        name: name of the type, e.g. "v3-8".
        generation: generation of its chips.
        chips: how many chips it has.
        topology: arrangement of its chips, as libtpu calls it.
    """

    name: str
    generation: Generation
    chips: int
    topology: str

    @property
    def replicas(self) -> int:
        """Copies of a program on all chips."""
        return self.chips * self.generation.replicas

    @property
    def hbm(self) -> int:
        """Memory of a replica, bytes."""
        return self.generation.hbm_gib * 2**30

    @property
    def flops_per_second(self) -> float:
        """Published peak of a replica, in bfloat16."""
        return self.generation.tflops * 1e12 * self.chips / self.replicas

    @property
    def bytes_per_second(self) -> float:
        """Published peak of a replica's memory."""
        return self.generation.gbps * 1e9 * self.chips / self.replicas


_BY_NAME = {row.name: row for row in GENERATIONS}

# The number in a name counts cores up to v5p, and chips of v5e and v6e, which have one core.
SLICES: Mapping[str, Slice] = {
    row.name: row
    for row in (
        Slice("v2-8", _BY_NAME["v2"], 4, "v2:2x2"),
        Slice("v3-8", _BY_NAME["v3"], 4, "v3:2x2"),
        Slice("v4-8", _BY_NAME["v4"], 4, "v4:2x2x1"),
        Slice("v5e-8", _BY_NAME["v5e"], 8, "v5e:2x4"),
        Slice("v5p-8", _BY_NAME["v5p"], 4, "v5p:2x2x1"),
        Slice("v6e-8", _BY_NAME["v6e"], 8, "v6e:2x4"),
    )
}


def select(names: str) -> list[Slice]:
    """The rows named in a comma-separated list, in the table's order; "all" is every one.

    Raises:
        UsageError: a name is not in the table.
    """
    wanted = [name.strip() for name in names.lower().split(",") if name.strip()]
    if wanted == ["all"]:
        return list(SLICES.values())
    unknown = [name for name in wanted if name not in SLICES]
    if unknown or not wanted:
        raise UsageError(
            "unknown TPU type",
            ", ".join(unknown) or "an empty list",
            f"choose from {', '.join(SLICES)} or all",
        )
    return [row for name, row in SLICES.items() if name in wanted]
