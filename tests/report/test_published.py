"""Published numbers: that they are the published ones, and what their own curves show."""

from importlib.metadata import metadata

import pytest

from effbench.config.recipes import RECIPES
from effbench.config.variants import VARIANTS, select
from effbench.report import published
from effbench.report.published import (
    CASE_STUDY,
    CASE_STUDY_DATA,
    CURVES,
    TABLES,
    PublishedEpoch,
    case_study,
    case_study_curves,
    flaws,
)

# The notebook's own table: size; validation, top-5 and test accuracy; weights.
PUBLISHED = {
    "B0": (224, 90.68, 99.76, 89.86, "imagenet"),
    "B1": (240, 90.76, 99.78, 90.07, "imagenet"),
    "B2": (260, 87.08, 99.48, 86.85, "imagenet"),
    "B3": (300, 90.38, 99.80, 89.29, "imagenet"),
    "T": (320, 92.80, 99.86, 92.53, "imagenet"),
    "S": (384, 89.94, 99.74, 89.27, "imagenet"),
    "M": (480, 91.86, 99.70, 90.53, "imagenet"),
    "L": (480, 93.10, 99.80, 92.38, "imagenet"),
    "XL": (512, 93.24, 99.72, 93.41, "imagenet21k-ft1k"),
}
# The paper's: mean and standard deviation, percent.
PAPER_CIFAR10 = {"S": (98.7, 0.04), "M": (99.0, 0.08), "L": (99.1, 0.03)}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_table_is_whole(table):
    assert table.text.splitlines()[0].split(",") == [column.name for column in table.columns]
    assert table.columns[-1].name == "source"
    assert len(table.sources) == 1  # the terminal shows it once
    assert all(row.source and row.variant in VARIANTS for row in table.rows)
    assert len(set(table.rows)) == len(table.rows) == table.text.count("\n") - 1
    assert set(table.recipes) <= set(RECIPES)


def test_the_case_study_stands_beside_both_recipes_that_repeat_it():
    assert {name: table.recipes for name, table in TABLES.items() if table.recipes} == {
        "case-study": ("case-study", "case-study-2021"),
        "case-study-curves": ("case-study", "case-study-2021"),
    }
    assert CASE_STUDY_DATA == "cifar10"


def test_the_case_study_is_the_published_one():
    assert {
        key: (row.val_accuracy, row.val_top5_accuracy, row.test_accuracy)
        for key, row in case_study().items()
    } == {
        (name, size, weights): (validation, top5, test)
        for name, (size, validation, top5, test, weights) in PUBLISHED.items()
    }
    assert case_study()["XL", 512, "imagenet21k-ft1k"].test_accuracy == 93.41


def test_it_is_of_the_default_choice_of_every_variant():
    assert list(case_study()) == [
        (row.name, row.image_size, row.release("auto").name) for row in select("v2")
    ]


def test_every_network_has_25_epochs():
    assert list(case_study_curves()) == [row.name for row in select("v2")]
    for epochs in case_study_curves().values():
        assert [epoch.epoch for epoch in epochs] == list(range(1, 26))
    assert case_study_curves()["XL"][0] == PublishedEpoch(
        "XL", 1, 0.5289, 0.8416, 0.9495, 0.3043, 0.9326, 0.9972, CURVES.sources[0]
    )


def test_the_reported_epoch_is_that_of_the_lowest_validation_loss():
    for row in CASE_STUDY.rows:
        chosen = min(case_study_curves()[row.variant], key=lambda epoch: epoch.val_loss)
        # Evaluated again, it differs by at most two images of 5,000.
        assert 100 * chosen.val_accuracy == pytest.approx(row.val_accuracy, abs=0.041)
        assert 100 * chosen.val_top5_accuracy == pytest.approx(row.val_top5_accuracy, abs=0.041)


def test_figures_keep_every_digit():
    assert TABLES["imagenet"].cells[1][5] == "79.870"
    assert TABLES["imagenet"].rows[1].top1 == 79.87


def readme(width: int) -> list[list[str]]:
    """Rows of so many cells about EfficientNetV2 in the README of the package."""
    lines = metadata("keras-efficientnet-v2").get_payload().splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    return [row for row in rows if len(row) == width and row[0].startswith("EffV2")]


def test_imagenet_results_are_those_of_the_packages_readme():
    releases = {"ft1k": "imagenet21k-ft1k", "": "imagenet"}
    tested = [row for row in readme(7) if row[2] in ("torch", "tf")]
    expected = []
    for network, size, rescale, crop, *accuracies in tested:
        name, _, release = network.removeprefix("EffV2").partition(" ")
        percent = [round(100 * float(each.split()[0]), 3) for each in accuracies]
        expected.append((name, releases[release], int(size), rescale, float(crop), *percent))
    assert [
        (
            row.variant,
            row.weights,
            row.image_size,
            row.rescale_mode,
            row.central_crop,
            row.top1,
            row.top5,
            row.reported_top1,
        )
        for row in TABLES["imagenet"].rows
    ] == expected


def test_v1_is_of_every_release_and_noisy_student_as_in_the_packages_readme():
    rows = TABLES["imagenet-v1"].rows
    assert {(row.variant, row.weights, row.image_size) for row in rows} == {
        (row.name, release, row.image_size) for row in select("v1") for release in row.releases
    }
    lines = metadata("keras-efficientnet-v2").get_payload().splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert [(row.variant, row.top1) for row in rows if row.weights == "noisy_student"] == [
        (f"V1-{row[0].removeprefix('EffV1')}", float(row[2]))
        for row in cells
        if row and row[0].startswith("EffV1")
    ]
    # Of the same network, those of more images are better.
    top1 = {(row.variant, row.weights): row.top1 for row in rows}
    assert all(
        top1[name, "noisy_student"] > top1[name, "imagenet"] for name, _ in top1 if "L2" not in name
    )


def test_training_settings_are_those_of_the_packages_readme():
    assert [
        (
            f"EffV2{row.variant}",
            row.train_size,
            row.eval_size,
            row.dropout,
            row.randaug_magnitude,
            row.mixup_alpha,
        )
        for row in TABLES["training-settings"].rows
    ] == [(name, *map(float, rest)) for name, *rest in readme(6)]
    for row in TABLES["training-settings"].rows:
        assert row.eval_size == VARIANTS[row.variant].image_size


def test_the_papers_results_are_the_published_ones():
    assert {
        row.variant: (row.accuracy_mean, row.accuracy_std)
        for row in TABLES["paper"].rows
        if row.dataset == "cifar10"
    } == PAPER_CIFAR10


def test_flaws_are_those_that_the_curves_show():
    assert {name: [flaw.kind for flaw in found] for name, found in flaws().items()} == {
        "B0": [],
        "B1": ["shared optimizer"],
        "B2": ["shared optimizer"],
        "B3": ["shared optimizer"],
        "T": [],
        "S": ["shared optimizer"],
        "M": ["shared optimizer"],
        "L": ["shared optimizer"],
        "XL": ["selection"],
    }
    texts = [flaw.text for found in flaws().values() for flaw in found]
    assert all(text.isascii() and "\n" not in text for text in texts)
    assert "epoch 1 of 25" in flaws()["XL"][0].text
    assert "93.26; epoch 4 has 96.84" in flaws()["XL"][0].text
    assert "from epoch 2 to 3 (0.3318 to 0.3093)" in flaws()["B1"][0].text


def epochs(
    losses: list[float], val_losses: list[float], accuracies: list[float]
) -> list[PublishedEpoch]:
    rows = enumerate(zip(losses, val_losses, accuracies, strict=True), 1)
    return [PublishedEpoch("B0", i, a, 0.9, 0.9, b, c, 0.9, "a test") for i, (a, b, c) in rows]


@pytest.mark.parametrize(
    ("losses", "val_losses", "accuracies", "kinds"),
    [
        ([3, 1, 2, 1], [4, 3, 2, 1], [0.6, 0.7, 0.8, 0.9], []),
        ([3, 1, 2, 1], [1, 2, 3, 4], [0.80, 0.801, 0.809, 0.80], []),  # less than the gap
        ([3, 1, 2, 1], [1, 2, 3, 4], [0.80, 0.801, 0.811, 0.80], ["selection"]),
        ([4, 3, 2, 3], [4, 3, 2, 1], [0.6, 0.7, 0.8, 0.9], ["shared optimizer"]),
        ([4, 3, 2, 3], [1, 2, 3, 4], [0.6, 0.7, 0.8, 0.9], ["selection", "shared optimizer"]),
    ],
)
def test_flaws_come_from_the_curves(losses, val_losses, accuracies, kinds, monkeypatch):
    curves = {"B0": epochs(losses, val_losses, accuracies)}
    monkeypatch.setattr(published, "case_study_curves", lambda: curves)
    assert [flaw.kind for flaw in flaws()["B0"]] == kinds
