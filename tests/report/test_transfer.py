"""Which networks are set against their ImageNet accuracy, and what is said of their order."""

import json
from dataclasses import replace

import numpy as np
import pytest
from support import imagenet
from support.outcomes import finished, group
from support.records import FILE, RANDOM, complete, released

from effbench.config.recipes import RECIPES
from effbench.config.variants import VARIANTS
from effbench.imagenet import imagenet_records
from effbench.records.store import Store
from effbench.report import build, transfer
from effbench.report.charts import against_imagenet
from effbench.report.render import terminal
from effbench.report.render.document import render
from effbench.report.sections import Section
from effbench.report.select import Selection

# In the order of ImageNet, but for B1 and B2, and M and L.
RATES = {"B0": 0.70, "B1": 0.78, "B2": 0.74, "B3": 0.82, "T": 0.84, "S": 0.86, "M": 0.92, "L": 0.90}


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path)


def section(store: Store, **selection: str) -> Section:
    (only,) = build.read(store, Selection(**selection)).sections
    return only


def right(store: Store, rate: float, **changes: object) -> None:
    """A run that gets the first images right, so that networks of other rates are told apart."""
    finished(store, np.arange(2000) < 2000 * rate, **changes)


def test_networks_in_the_order_of_imagenet_say_so_with_figures(store):
    for variant, rate in (RATES | {"XL": 0.96}).items():
        right(store, rate, variant=variant)
    (networks,) = transfer.of(section(store))
    assert list(networks.top1.values()) == sorted(networks.top1.values())
    assert networks.tau.value == pytest.approx((34 - 2) / 36)
    assert 0 < networks.tau.low < networks.tau.value < networks.tau.high <= 1
    assert (networks.compared, networks.apart, networks.kept) == (36, 36, 34)
    low, high = networks.tau.low, networks.tau.high
    assert networks.answer == (
        "Kendall's tau of 9 networks is 0.89 (1 is the order of ImageNet, 0 is none; 95 % interval "
        f"over networks: {low:.2f} to {high:.2f}): by and large, the better on ImageNet, the "
        "better here. Of 36 pairs, 36 can be told apart here: 34 in that order, 2 in the reverse."
    )
    found = build.read(store, Selection())
    assert f"**{transfer.QUESTION}**\n\n{networks.answer}\n\n- " in render(found, "markdown")
    assert networks.answer in " ".join(map(str, terminal.render(found, 1000)))
    (figures,) = json.loads(render(found, "json"))["transfer"]
    assert (figures["tau"], figures["tau_low"], figures["tau_high"]) == (
        *(networks.tau.value, low, high),
    )
    assert list(figures["imagenet_top1"].values()) == [*networks.top1.values()]
    assert (figures["recipe"], figures["pairs_in_order"]) == ("case-study", 34)


def test_the_reverse_of_that_order_and_no_order_are_said_to_be(store):
    for variant, rate in RATES.items():
        right(store, 1 - rate, variant=variant)
        right(store, 0.5, variant=variant, recipe=RECIPES["case-study-2021"])
    reverse, none = (
        next(iter(transfer.of(section))).answer
        for section in build.read(store, Selection()).sections
    )
    assert "the better on ImageNet, the worse here" in reverse
    assert none == "All 8 networks are equally good here, so there is no order to predict."


def test_four_networks_in_order_are_no_evidence_and_fewer_say_nothing(store):
    for variant in ("B0", "B1", "B3", "T"):
        right(store, RATES[variant], variant=variant)
    (four,) = transfer.of(section(store))
    assert four.tau.value == 1
    assert "): no connection is shown." in four.answer
    for names, words in (("B0,B1,T", "3 networks say"), ("B0", "1 network says")):
        (few,) = transfer.of(section(store, variants=names))
        assert few.tau is None
        assert few.answer == (
            f"{words} nothing of whether one predicts the other: it takes 4 at least."
        )
    assert not list(transfer.answers(section(store, variants="B0")))  # nobody asks


def test_random_weights_and_those_without_a_published_figure_are_left_out(store):
    group(store, [0.9], variant="S")
    group(store, [0.9], variant="S", weights=released("S", "imagenet21k-ft1k"))
    group(store, [0.9], variant="S", weights=released("S", "imagenet21k"))
    group(store, [0.9], variant="S", weights=replace(FILE, name="file"))
    group(store, [0.5], variant="S", weights=RANDOM)
    found = section(store)
    (networks,) = transfer.of(found)
    weights = {found.rows[index].spec.weights.name: top1 for index, top1 in networks.top1.items()}
    assert weights == {"imagenet": 83.86, "imagenet21k-ft1k": 84.328}
    group(store, [0.5], variant="B0", weights=RANDOM, recipe=RECIPES["case-study-2021"])
    assert not transfer.of(section(store, recipes="case-study-2021"))


def test_what_was_measured_counts_where_all_networks_were(store):
    """Of M only a part was scored at first, which is no figure."""
    for variant in ("B0", "T", "S", "M"):
        right(store, RATES[variant], variant=variant)
        imagenet_records.save(store.directory, imagenet.record(40_000, variant=variant))
    imagenet_records.save(store.directory, replace(imagenet.record(1, variant="M"), whole=50_001))
    found = section(store)
    (networks,) = transfer.of(found)
    assert not networks.measured
    assert max(networks.top1.values()) == 85.09
    (figure,) = against_imagenet.figures(found)
    assert figure.note.endswith("native size; 3 of 4 were measured here, too.")
    assert [record["measured"] for record in figure.records] == [80, 80, 80, None]

    imagenet_records.save(store.directory, imagenet.record(42_000, variant="M"))
    found = section(store)
    (networks,) = transfer.of(found)
    assert networks.measured
    assert list(networks.top1.values()) == [80, 80, 80, 84]
    assert "(by ImageNet top-1 as measured here, 1 is the order of ImageNet" in networks.answer
    (figure,) = against_imagenet.figures(found)
    assert figure.columns["top1"] == "Measured ImageNet top-1, %"
    assert [record["protocol"] for record in figure.records] == [
        *("crop-bicubic", "timm", "squash", "squash")
    ]


def test_of_several_rows_of_a_network_the_one_with_the_fewest_marks_counts(store):
    for size in (96, 224, 300):
        group(store, [0.9], variant="B0", image_size=size)
    for size in (96, 160):
        group(store, [0.9], variant="B1", image_size=size)
    found = section(store)
    (networks,) = transfer.of(found)
    assert {found.labels[index] for index in networks.top1} == {"B0 224", "B1 160"}


def test_recipes_of_one_table_have_answers_of_their_own(store):
    for variant in ("B0", "B1"):
        complete(store, variant=variant)
        complete(store, variant=variant, recipe=replace(RECIPES["case-study-2021"], epochs=3))
    answers = list(transfer.answers(section(store, group_by="data")))
    assert [answer.partition(":")[0] for answer in answers] == ["case-study", "case-study-2021"]


def test_every_variant_has_a_published_figure_of_its_usual_weights():
    assert all(
        (name, variant.release("auto").name) in transfer.published.imagenet()
        for name, variant in VARIANTS.items()
    )
