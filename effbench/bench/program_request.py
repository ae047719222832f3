"""Which programs are written for another machine."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

from effbench.bench.comma_lists import listed, numbers
from effbench.config.precisions import PRECISIONS
from effbench.config.variants import Variant, select
from effbench.engines.engine_table import ENGINES
from effbench.errors import DeviceError, UsageError

WORK = ("features", "step")
COMMAND = "python -m effbench.bench.program_runner . --device gpu --peer timm"


@dataclass(frozen=True)
class ProgramRequest:
    """One program to write.

    Attributes:
        variant: the network.
        work: one of `WORK`.
        precision: a row of `PRECISIONS`.
        batch: images of a call.
        weights_file: what its features are of, which goes along; None for random weights, drawn
            anew elsewhere.
    """

    variant: Variant
    work: str
    precision: str
    batch: int
    weights_file: Path | None = None

    @property
    def name(self) -> str:
        """Different for each that differs."""
        real = "-real" if self.weights_file else ""
        short = self.precision.removeprefix("mixed_")
        return f"{self.work}-{self.variant.name}-{short}-{self.batch}{real}"


def requests(
    variants: str, work: str, precisions: str, batches: str, weights_file: Path | None
) -> list[ProgramRequest]:
    """All combinations; lists are comma-separated.

    Raises:
        UsageError: there is no such thing, or one file of weights is to be for several networks.
    """
    rows = select(variants)
    for flag, given, known in (
        ("--work", listed(work), WORK),
        ("--precision", listed(precisions), tuple(PRECISIONS)),
    ):
        for name in given:
            if name not in known:
                raise UsageError(f"{flag} is a list", name, f"choose from {', '.join(known)}")
    if weights_file and (len(rows) > 1 or listed(work) != ["features"]):
        raise UsageError(
            "--weights is for the features of one variant",
            f"{variants}, {work}",
            "add --work features and one of --variants",
        )
    sizes = numbers("--batch-size", batches, 1, 2**16, "32,128")
    return [
        ProgramRequest(variant, kind, precision, batch, weights_file)
        for kind, variant, precision, batch in product(
            listed(work), rows, listed(precisions), sizes
        )
    ]


def check() -> None:
    """Makes sure that programs can be lowered here.

    Raises:
        DeviceError: what lowers them is not installed.
    """
    lack = ENGINES["xla"].lack("cpu")
    if lack:
        raise DeviceError("programs are lowered with JAX", lack.what, lack.hint)
