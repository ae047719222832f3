"""What a table of scored releases keeps at every width, and that it says what was scored."""

from dataclasses import replace

import numpy as np
import pytest
from support.imagenet import record

from effbench.config.variants import RELEASES, VARIANTS
from effbench.imagenet.imagenet_records import ImagenetRecord, packed
from effbench.records.scores import Scores
from effbench.report.render import imagenet_table
from effbench.tables import fitted


def limited(row: ImagenetRecord) -> ImagenetRecord:
    return replace(row, scores=Scores(7_500, 9_000, 10_000, 1.0))


def fewer(row: ImagenetRecord) -> ImagenetRecord:
    spec = replace(row.spec, data="imagenet-r", classes=200, image_size=160)
    return replace(row, spec=spec, whole=50_000)


def longest(row: ImagenetRecord) -> ImagenetRecord:
    """The longest name of a release, and of a protocol that is not its own."""
    weights = replace(row.spec.weights, name=max(RELEASES, key=len))
    return replace(row, spec=replace(row.spec, weights=weights), own_protocol=False)


RECORDS = [record(39_370), limited(record(39_000, variant="B1")), longest(record(39_000))]


def test_80_columns_keep_marks_and_the_interval():
    table, lines = imagenet_table.on_terminal(RECORDS)
    shown = fitted(table, 80)
    titles = [column.title for column in shown.columns]
    assert titles[:6] == ["Model", "Weights", "Size", "Protocol", "top-1", "95 %"]
    assert "same?" in titles
    assert [row[0] for row in shown.rows] == ["B0", "B1 ¹", "B0 ²"]
    assert shown.rows[0][2:6] == ("224", "crop-bicubic", "78.74", "78.38–79.10")
    assert lines[0] == "¹ limited (10,000 of 50,000): a part of the images was scored"


def test_columns_without_a_figure_are_left_out():
    table, _ = imagenet_table.on_terminal([fewer(record(39_370))])
    assert [column.title for column in table.columns] == [
        *("Model", "Weights", "Size", "Protocol", "top-1", "95 %", "top-5")
    ]


def test_the_title_says_which_images_were_scored():
    whole = imagenet_table.title([record(39_370)])
    assert whole == "ImageNet's validation images (ILSVRC 2012): 50,000 images, 1,000 classes"
    part = fewer(record(39_370))
    assert imagenet_table.title([part]) == "the folder imagenet-r: 50,000 images, 200 classes"
    assert {"another set": "imagenet-r", "fewer classes": "200 of 1,000"}.items() <= (
        part.marks.items()
    )
    assert "another protocol" not in part.marks
    assert part.marks["another size"] == "160, not 224 pixels"
    text = imagenet_table.markdown([part])
    assert text.startswith("**the folder imagenet-r: 50,000 images, 200 classes**")
    assert "| another set, fewer classes, another size |" in text
    assert "crop-bicubic: crop 0.833, bicubic of TensorFlow 1" in text


@pytest.mark.parametrize(("names", "words"), [(("B0",), "0.875"), (("B0", "B3"), "0.875 to 0.904")])
def test_a_crop_is_that_of_the_sizes_that_were_scored(names, words):
    _, lines = imagenet_table.on_terminal([record(39_370, variant=name) for name in names])
    sizes = ", ".join(str(VARIANTS[name].image_size) for name in names)
    assert f"crop {words}, bicubic of TensorFlow 1, not antialiased (at {sizes} pixels)" in lines[0]


def test_a_figure_that_may_be_of_another_checkpoint_is_no_plain_judgement():
    """AdvProp was measured with values from -1 to 1, and V1's files are rescaled otherwise."""
    for name, doubted in (("V1-B0", True), ("B0", False)):
        _, lines = imagenet_table.on_terminal([record(39_370, variant=name)])
        assert any("AdvProp's checkpoints" in line for line in lines) == doubted


def test_what_another_protocol_costs_is_said_with_whether_it_is_real():
    """It was right on 100 images that its own protocol gets wrong, and wrong on 300."""
    right = np.arange(50_000) < 39_370
    other = right.copy()
    other[:300], other[-100:] = False, True
    own = replace(record(39_370), hits=packed(right))
    squash = replace(
        own,
        spec=replace(own.spec, protocol="squash"),
        own_protocol=False,
        scores=Scores(39_170, 39_170, 50_000, 1.0),
        hits=packed(other),
    )
    _, lines = imagenet_table.on_terminal([squash, own])
    (line,) = (line for line in lines if "instead of" in line)
    start = (
        "B0 imagenet: squash instead of crop-bicubic is -0.40 points [-0.48, -0.33], a real diff"
    )
    assert line.startswith(start)
    assert line.endswith("McNemar's exact test over the same 50,000 images)")
    wrong = np.zeros(50_000, bool)
    lost = replace(squash, scores=Scores(0, 0, 50_000, 1.0), hits=packed(wrong))
    _, lines = imagenet_table.on_terminal([own, lost])
    assert any("a real difference (p < 1e-300, McNemar" in line for line in lines)
    _, older = imagenet_table.on_terminal([own, replace(squash, hits="")])
    assert any(line.endswith("no answers by image to test it by (--force)") for line in older)
    _, apart = imagenet_table.on_terminal([own, replace(squash, spec=record(1, data="x").spec)])
    assert not any("instead of" in line for line in apart)
