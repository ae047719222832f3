"""The whole path on a made set: a network's own answers are its labels, so it is always right.

A shallow network has a random classifier, in a file that is named like a release.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import imagenet, shallow
from support.pictures import encoded, put

from effbench.config.variants import VARIANTS
from effbench.errors import DataError, UsageError, WeightsError
from effbench.hardware.tensorflow_setup import keras, tf
from effbench.imagenet import (
    ground_truth,
    imagenet_records,
    scoring_request,
    synsets,
    validation_sets,
)
from effbench.imagenet.squares import SQUARES
from effbench.models import backbone, weights

COUNT, SIZE = 130, 32
FLAGS = ("--variants", "B0", "--image-size", SIZE, "--cpu")


def picture(seed: int) -> Image.Image:
    """Coarse coloured noise of another shape than a square."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (4, 6, 3), np.uint8)
    return Image.fromarray(coarse).resize((60, 40), Image.Resampling.NEAREST)


def content(seed: int) -> bytes:
    """Most files are JPEG; ImageNet has some of CMYK and one PNG that is named JPEG, too."""
    if seed % 10 == 1:
        return encoded(picture(seed).convert("CMYK"), "JPEG", quality=95)
    return encoded(picture(seed), "PNG" if seed % 10 == 2 else "JPEG")


@pytest.fixture(scope="module", autouse=True)
def network():
    with pytest.MonkeyPatch.context() as patch:
        shallow.at_most(patch, "B0", 1)
        patch.setattr(ground_truth, "IMAGES", COUNT)
        yield
    keras.mixed_precision.set_global_policy("float32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("imagenet")


@pytest.fixture(scope="module")
def release(folder) -> Path:
    """The weights, with a classifier that tells images apart."""
    model = backbone.classifier(VARIANTS["B0"], SIZE, "float32", 1000)
    images = np.stack([np.asarray(picture(seed).resize((SIZE, SIZE))) for seed in range(16)])
    backbone.calibrate(model, SIZE, "torch", images)
    maps = keras.Model(model.input, model.get_layer("avg_pool").output)
    features = maps((images - 128) / 60.0).numpy()
    kernel = np.random.default_rng(0).normal(size=(features.shape[1], 1000))
    kernel -= (
        features.mean(axis=0)[:, None]
        * (features.mean(axis=0) @ kernel)
        / (features.mean(axis=0) @ features.mean(axis=0))
    )
    model.get_layer("predictions").set_weights([kernel, np.zeros(1000)])
    path = folder / "efficientnetv2-b0-imagenet.h5"
    model.save_weights(str(path))
    return path


@pytest.fixture(scope="module")
def answers(release) -> np.ndarray:
    """What the network sees in each image, by the protocol of its release."""
    model = backbone.classifier(VARIANTS["B0"], SIZE, "float32", 1000)
    weights.load(model, release)
    decoded = [validation_decoded(seed) for seed in range(1, COUNT + 1)]
    squares = np.stack([SQUARES["crop-bicubic"](image, SIZE) for image in decoded])
    mean = np.array([0.485, 0.456, 0.406]) * 255
    std = np.array([0.229, 0.224, 0.225]) * 255
    logits = model(tf.constant((squares - mean) / std, tf.float32), training=False)
    found = logits.numpy().argmax(axis=1)
    assert len(set(found.tolist())) > 20
    return found


def validation_decoded(seed: int) -> Image.Image:
    import io

    return Image.open(io.BytesIO(content(seed))).convert("RGB")


@pytest.fixture(scope="module")
def flat(folder, answers) -> Path:
    for seed in range(1, COUNT + 1):
        put(folder / "flat/val" / imagenet.file_name(seed), content(seed))
    imagenet.devkit(folder / "flat", answers)
    return folder / "flat"


@pytest.fixture(scope="module")
def folders(folder, flat, answers) -> Path:
    for seed, answer in enumerate(answers, 1):
        place = folder / "ids/val" / synsets.synsets()[answer] / imagenet.file_name(seed)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(flat / "val" / imagenet.file_name(seed), place)
    return folder / "ids"


def scored(run, data: Path, release: Path, results: Path, *more: object) -> dict[str, object]:
    done = run(
        *("imagenet", "--data-dir", data, "--weights", release, "--results", results),
        *(*FLAGS, *more, "--json"),
    )
    assert done.code == 0, done.err
    (row,) = json.loads(done.out)
    return row


def test_every_image_counts_once_in_every_layout(run, flat, folders, release, tmp_path):
    for data in (flat, folders):
        row = scored(run, data, release, tmp_path / data.name)
        assert row["scores"]["correct"] == row["scores"]["total"] == COUNT
        assert row["own_protocol"]
        assert list(row["marks"]) == ["another size", "not a release"]
        assert row["scored_on"] == {
            "name": "imagenet",
            "images": COUNT,
            "of": COUNT,
            "classes": 1000,
        }
        assert row["spec"]["protocol"] == "crop-bicubic"
        assert row["published"] == 78.7
        assert row["reproduced"] == ""  # of weights that are no release
    assert row["spec"]["classes"] == 1000


def test_a_record_is_kept_checked_and_not_made_twice(run, folders, release, tmp_path, monkeypatch):
    first = scored(run, folders, release, tmp_path, "--limit", 20)
    assert first["scores"]["total"] == 20
    assert first["marks"]["limited"] == f"20 of {COUNT}"
    (path,) = (tmp_path / "imagenet").glob("B0-imagenet-32-crop-bicubic-imagenet-limit20-*.json")
    record = imagenet_records.read(path)
    assert imagenet_records.load(tmp_path) == ([record], [])
    assert record.provenance.weights_file == release.name
    assert record.provenance.features_computed == 20

    def fail(*_: object) -> None:
        raise AssertionError("it was scored again")

    monkeypatch.setattr("effbench.imagenet.scoring.score", fail)
    assert scored(run, folders, release, tmp_path, "--limit", 20) == first
    assert run("validate", tmp_path).out.splitlines()[-1] == "1 record, 0 problems"
    assert imagenet_records.join([tmp_path], tmp_path / "other") == 1
    assert imagenet_records.join([tmp_path], tmp_path / "other") == 0
    assert imagenet_records.load(tmp_path / "other") == ([record], [])
    path.write_text(path.read_text().replace('"correct": 20', '"correct": 19'))
    assert run("validate", tmp_path).code == 1
    with pytest.raises(ValueError, match="changed since it was written"):
        imagenet_records.read(path)


def test_another_protocol_is_another_figure_and_marked(run, folders, release, tmp_path):
    row = scored(run, folders, release, tmp_path, "--protocol", "squash")
    assert row["marks"]["another protocol"] == "squash, not crop-bicubic"
    assert row["scores"]["correct"] < COUNT


def test_several_protocols_are_compared_image_by_image(run, folders, release, tmp_path):
    """Its own stands once, though it is named twice; the same images are right or wrong by both."""
    protocols = ("--protocol", "squash,published,crop-bicubic")
    done = run(
        *("imagenet", "--data-dir", folders, "--weights", release, "--results", tmp_path),
        *(*FLAGS, *protocols, "--json"),
    )
    assert done.code == 0, done.err
    squash, own = json.loads(done.out)
    assert (squash["spec"]["protocol"], own["spec"]["protocol"]) == ("squash", "crop-bicubic")
    lost = COUNT - squash["scores"]["correct"]
    beside = squash["instead_of"]
    assert (beside["protocol"], own["instead_of"]) == ("crop-bicubic", None)
    assert beside["points"] == pytest.approx(-100 * lost / COUNT)
    # By its own protocol every image is right, so that all that is lost is on one side.
    assert beside["p"] == pytest.approx(2 * 0.5**lost)
    assert "hits" not in squash
    (kept,) = (row for row in imagenet_records.load(tmp_path)[0] if not row.own_protocol)
    assert int(kept.right.sum()) == squash["scores"]["correct"]


def test_labels_in_the_devkits_order_are_found(run, flat, folder, release, answers, tmp_path):
    """As if its numbers, from 1 on, were the outputs of a network."""
    wrong = tmp_path / "wrong"
    shutil.copytree(flat / "val", wrong / "val")
    imagenet.devkit(wrong, (answers + 1) % 1000)
    row = scored(run, wrong, release, tmp_path)
    assert row["scores"]["correct"] == 0
    assert row["doubt"].startswith("labels are shifted: 100 % are right if each is one too high")


def test_a_table_says_what_was_scored_and_how(run, folders, release, tmp_path):
    done = run(
        *("imagenet", "--data-dir", folders, "--weights", release, "--results", tmp_path),
        *(*FLAGS, "--limit", 20),
    )
    assert done.code == 0
    assert "100.00" in done.out
    assert "crop-bicubic: crop 0.500, bicubic of TensorFlow 1" in done.out
    assert "(at 32 pixels)" in done.out


def test_weights_without_a_classifier_are_refused_before_images_are_looked_for(
    run, folder, tmp_path
):
    model = backbone.build(VARIANTS["B0"], SIZE, "float32")
    path = folder / "efficientnetv2-b0-imagenet-notop.h5"
    model.save_weights(str(path))
    done = run(
        *("imagenet", "--data-dir", tmp_path, "--weights", path, "--results", tmp_path, *FLAGS),
    )
    assert done.code == 1
    assert "the weights are without a classifier: efficientnetv2-b0-imagenet-notop.h5" in done.err
    with pytest.raises(WeightsError, match="without a classifier"):
        weights.load(backbone.classifier(VARIANTS["B0"], SIZE, "float32", 1000), path)


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--weights", "imagenet21k"], "a release without the 1,000 classes of ImageNet"),
        (["--weights", "noisy_student"], "none of these weights is of B0: noisy_student"),
        (["--weights", "imagenet", "--protocol", "pad"], "unknown protocol: pad"),
    ],
)
def test_what_cannot_be_scored_is_refused(run, folders, tmp_path, flags, line):
    done = run("imagenet", "--data-dir", folders, "--results", tmp_path, *FLAGS, *flags)
    assert done.code == 2
    assert line in done.err


def test_of_a_family_those_without_such_weights_are_left_out():
    """L2 has neither of the two releases that were asked for, and nobody named it."""
    options = scoring_request.ScoringOptions("all", "imagenet,imagenet21k-ft1k")
    asked = scoring_request.candidates(options)
    assert scoring_request.without(options, asked) == ["V1-L2"]
    assert len({candidate.variant.name for candidate in asked}) == len(VARIANTS) - 1
    with pytest.raises(UsageError, match="none of these weights is of V1-L2: imagenet"):
        scoring_request.candidates(replace(options, variants="v2,v1-l2", weights="imagenet"))


def test_an_unreadable_image_is_named(run, folders, release, tmp_path):
    bad = tmp_path / "bad"
    shutil.copytree(folders / "val", bad)
    victim = sorted(bad.rglob("*.JPEG"))[0]
    victim.write_bytes(b"no image")
    done = run(
        *("imagenet", "--data-dir", bad, "--weights", release, "--results", tmp_path, *FLAGS),
    )
    assert done.code == 1
    assert victim.name in done.err
    assert not list(tmp_path.glob("imagenet/*"))


def test_random_weights_need_no_file(run, folders, tmp_path):
    row = scored(run, folders, Path("none"), tmp_path, "--protocol", "crop", "--limit", 40)
    assert row["marks"].keys() == {"random weights", "limited", "another size"}
    assert row["doubt"] == ""


def test_a_part_of_imagenet_is_refused_without_a_limit(run, folders, release, tmp_path):
    part = tmp_path / "part"
    shutil.copytree(folders / "val", part)
    sorted(part.rglob("*.JPEG"))[0].unlink()
    with pytest.raises(DataError, match=f"the validation images are {COUNT}: {COUNT - 1}; ILSVRC"):
        validation_sets.read(part)
    assert len(validation_sets.read(part, partial=True).names) == COUNT - 1
    limited = run(
        *("imagenet", "--data-dir", part, "--weights", release, "--results", tmp_path),
        *(*FLAGS, "--limit", 20),
    )
    assert limited.code == 0
    assert f"are {COUNT}, and here are {COUNT - 1}; ILSVRC2012_val_000" in limited.err


def test_a_key_is_of_everything():
    spec = imagenet_records.ScoringSpec(
        *("B0", weights.WeightsId("imagenet", "md5:1", "torch"), 224, "float32", "crop"),
        *("imagenet", "sha", None, 1000),
    )
    others = [
        replace(spec, precision="mixed_bfloat16"),
        replace(spec, data_sha256="other"),
        replace(spec, limit=10),
        replace(spec, protocol="squash"),
    ]
    assert len({spec.key, *(other.key for other in others)}) == 5
