"""Does ImageNet accuracy predict transfer? How far networks keep their order of ImageNet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from effbench.report import kendall, published
from effbench.report.kendall import Tau
from effbench.report.sections import Section
from effbench.report.statistics import CONFIDENCE

QUESTION = "Does ImageNet accuracy predict transfer?"
# Three networks are in perfect order, or in its reverse, once in three times by chance.
LEAST = 4


@dataclass(frozen=True)
class Transfer:
    """The networks of a section that were trained by one recipe.

    A network is a variant from one release of weights. Those without an ImageNet accuracy are left
    out: random weights, releases that were not tested on it, files of another name.

    Attributes:
        recipe: the recipe's name.
        top1: the ImageNet top-1 of each network's release at its native size, percent, by the index
            of the network's row in the section. Of several rows of a network it is the one with the
            fewest marks and then the largest images.
        measured: whether all of these were measured here. Published figures of different protocols
            and measured ones are never in one order: they are all of one kind.
        tau: Kendall's tau of these and the accuracies by which rows are told apart; None for fewer
            than `LEAST` networks, or where all are equal.
        compared: how many pairs of networks were compared in the section.
        apart: how many of these were told apart.
        kept: how many of these are in the order of ImageNet.
    """

    recipe: str
    top1: dict[int, float]
    measured: bool
    tau: Tau | None
    compared: int
    apart: int
    kept: int

    @property
    def answer(self) -> str:
        """The answer to `QUESTION`, in a sentence or two."""
        count = len(self.top1)
        if count < LEAST:
            say = "1 network says" if count == 1 else f"{count} networks say"
            return f"{say} nothing of whether one predicts the other: it takes {LEAST} at least."
        if self.tau is None:
            return f"All {count} networks are equally good here, so there is no order to predict."
        verdict = "no connection is shown"
        if self.tau.low > 0:
            verdict = "by and large, the better on ImageNet, the better here"
        elif self.tau.high < 0:
            verdict = "by and large, the better on ImageNet, the worse here"
        interval = f"{self.tau.low:.2f} to {self.tau.high:.2f}"
        kind = "by ImageNet top-1 as measured here, " if self.measured else ""
        said = (
            f"Kendall's tau of {count} networks is {self.tau.value:.2f} ({kind}1 is the order of "
            f"ImageNet, 0 is none; {100 * CONFIDENCE:.0f} % interval over networks: {interval}): "
            f"{verdict}."
        )
        if not self.compared:
            return said
        pairs = f"{said} Of {self.compared} pairs, {self.apart or 'none'} can be told apart here"
        reverse = self.apart - self.kept
        order = f": {self.kept} in that order, {reverse} in the reverse"
        return f"{pairs}{order if self.apart else ''}."


def of(section: Section) -> tuple[Transfer, ...]:
    """The networks of each recipe, in the order of the section; without recipes that have none."""
    rows = section.rows
    recipes: dict[str, dict[tuple[str, str], int]] = {row.spec.recipe.name: {} for row in rows}
    plainest = sorted(
        range(len(rows)), key=lambda index: (len(rows[index].marks), -rows[index].spec.image_size)
    )
    for index in plainest:
        spec = rows[index].spec
        release = (spec.variant, spec.weights.name)
        if release in published.imagenet() or rows[index].imagenet_top1 is not None:
            recipes[spec.recipe.name].setdefault(release, index)
    return tuple(
        _transfer(section, recipe, indices) for recipe, indices in recipes.items() if indices
    )


def _transfer(section: Section, recipe: str, indices: dict[tuple[str, str], int]) -> Transfer:
    networks = sorted(indices.items(), key=lambda item: item[1])
    measured = {
        index: percent
        for _, index in networks
        if (percent := section.rows[index].imagenet_top1) is not None
    }
    known = published.imagenet()
    complete = len(measured) == len(networks)
    others = {index: known[release].top1 for release, index in networks if release in known}
    top1 = measured if complete else others
    accuracies = [section.rows[index].accuracy.mean for index in top1]
    pairs = [pair for pair in section.pairs if {pair.first, pair.second} <= top1.keys()]
    apart = [pair for pair in pairs if pair.real]
    return Transfer(
        recipe,
        top1,
        complete,
        kendall.tau([*top1.values()], accuracies) if len(top1) >= LEAST else None,
        compared=len(pairs),
        apart=len(apart),
        kept=sum(top1[pair.first] > top1[pair.second] for pair in apart),
    )


def answers(section: Section) -> Iterator[str]:
    """The answer for each recipe; none where there is one network only, since nobody asks then."""
    transfers = of(section)
    for transfer in transfers:
        if len(transfer.top1) > 1:
            by = f"{transfer.recipe}: " if len(transfers) > 1 else ""
            yield f"{by}{transfer.answer}"
