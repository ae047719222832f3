"""What `effbench predict` says of images, and of what is none."""

import csv
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.classifiers import NAMES, SIDE, image, tiny
from support.commandline import one_line
from support.pictures import encoded, put

from effbench.cli import export
from effbench.cpu import cores
from effbench.data.image_folders import files
from effbench.export import formats, images
from effbench.export import predict as module
from effbench.export.explain import of, write
from effbench.export.formats import ANY_SIZE, FORMATS
from effbench.export.images import BATCH, pixels
from effbench.export.opened import OpenModel
from effbench.export.predict import predict
from effbench.export.standard_layers import build
from effbench.hardware.tensorflow_setup import keras3

CLASSIFIER = tiny()
MODEL = CLASSIFIER.model


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.keras"
    FORMATS["keras2"].write(CLASSIFIER, path, ANY_SIZE)
    return path


@pytest.fixture
def png(tmp_path) -> Path:
    Image.fromarray(image(40, 30)).save(tmp_path / "a photo.png")
    return tmp_path / "a photo.png"


def expected(path: Path) -> list[tuple[str, float]]:
    scores = MODEL(pixels(path)[None]).numpy()[0]
    return sorted(zip(NAMES, scores, strict=True), key=lambda each: -each[1])[:5]


# --- what is printed ------------------------------------------------------------------------------


def test_plain_lines_where_nobody_reads_along(run, model, png):
    done = run("predict", model, png)
    assert (done.code, done.err) == (0, "")
    rows = [line.split("\t") for line in done.out.splitlines()]
    assert rows == [[str(png), name, f"{value:.4f}"] for name, value in expected(png)]


def test_json_has_every_digit(run, model, png):
    done = run("predict", "--json", model, png, png, "--batch-size", "1")
    assert (done.code, done.err) == (0, "")
    first, second = json.loads(done.out)
    assert first == second
    assert first["image"] == str(png)
    found = [(row["class"], row["probability"]) for row in first["classes"]]
    assert [name for name, _ in found] == [name for name, _ in expected(png)]
    np.testing.assert_allclose(
        [value for _, value in found], [value for _, value in expected(png)], rtol=1e-5
    )
    for row in json.loads(run("predict", "--json", model, png, png).out):
        for alone, together in zip(first["classes"], row["classes"], strict=True):
            assert together["class"] == alone["class"]
            assert together["probability"] == pytest.approx(alone["probability"], rel=1e-6)


def test_a_table_on_a_terminal(run, model, png, monkeypatch):
    monkeypatch.setattr(export.out, "_force_terminal", True)
    monkeypatch.chdir(png.parent)
    done = run("predict", model, png.name)
    assert done.code == 0
    assert "Probability" in done.out
    assert done.out.count("a photo.png") == 1
    for name, value in expected(png):
        (line,) = (line for line in done.out.splitlines() if f" {name} " in line)
        assert f"{value:.2%}" in line


# --- images ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK", "YCbCr"])
def test_every_mode_becomes_rgb(mode, tmp_path):
    path = tmp_path / f"image.{'tif' if mode in ('CMYK', 'YCbCr') else 'png'}"
    made = Image.fromarray(image(6, 9)).convert(mode)
    made.save(path)
    found = pixels(path)
    assert (found.shape, found.dtype) == ((6, 9, 3), np.uint8)
    np.testing.assert_array_equal(found, np.asarray(made.convert("RGB")))


def test_a_photograph_stands_as_its_camera_was_held(tmp_path):
    stored = Image.fromarray(image(6, 9))
    exif = stored.getexif()
    exif[0x0112] = 6  # turn it clockwise to see it upright
    stored.save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(pixels(tmp_path / "turned.png"), np.rot90(image(6, 9), -1))


def test_an_image_with_more_than_8_bits_is_scaled_rather_than_clipped(tmp_path):
    Image.fromarray(np.full((4, 4), 30_000, np.uint16)).save(tmp_path / "deep.png")
    assert (pixels(tmp_path / "deep.png") == round(30_000 * 255 / 65_535)).all()


def test_white_is_behind_what_is_transparent_as_where_models_train(tmp_path):
    seen = Image.fromarray(image(6, 9)).convert("RGBA")
    seen.putalpha(Image.fromarray(np.eye(6, 9, dtype=np.uint8) * 255))
    seen.save(tmp_path / "holes.png")
    expected = np.where(np.eye(6, 9, dtype=bool)[..., None], image(6, 9), 255)
    np.testing.assert_array_equal(pixels(tmp_path / "holes.png"), expected)


def test_an_image_that_is_too_large_is_one_line(run, model, png, monkeypatch):
    """Pillow refuses above twice its limit, as it does where models train."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 600)
    assert run("predict", model, png).code == 0
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 599)
    done = run("predict", model, png)
    one_line(done, 1, "Image size (1200 pixels) exceeds limit")


def test_what_is_no_image_is_named_and_the_others_are_predicted(run, model, png, tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("no image")
    cut = tmp_path / "cut.png"
    cut.write_bytes(png.read_bytes()[:2000])
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    done = run("predict", model, text, png, cut, pipe, tmp_path / "none.png")
    assert done.code == 1
    assert [line.split("\t")[1] for line in done.out.splitlines()] == [
        name for name, _ in expected(png)
    ]
    lines = done.err.splitlines()
    assert len(lines) == 4
    for line, (path, why) in zip(
        lines,
        (
            (text, "not a JPEG, PNG"),
            (cut, "truncated"),
            (pipe, "not a file"),
            (tmp_path / "none.png", "No such file"),
        ),
        strict=True,
    ):
        assert line.startswith(f"effbench: cannot read {path}: ")
        assert why in line
        assert line.endswith("give the file of an image, such as PNG or JPEG")
    alone = run("predict", model, text, "--json")
    assert (alone.code, json.loads(alone.out)) == (1, [])


# --- folders --------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path) -> Path:
    """Photos in folders, and what else there is in folders."""
    root = tmp_path / "new photos"
    sizes = [(30, 20)] * 40 + [(20, 30)] * 3 + [(30, 20)] * 2
    for number, size in enumerate(sizes):
        content = encoded(Image.fromarray(image(*size, number)))
        put(root / ("b" if number % 2 else "a/deeper") / f"{number:03d}.png", content)
    for hidden in (".hidden/x.png", "a/.y.png", "Thumbs.db", "a/notes.txt"):
        put(root / hidden, b"none of these is meant to be an image")
    put(
        root / 'a/line\nbreak, "quoted" é.png', image_bytes := encoded(Image.fromarray(image(9, 9)))
    )
    put(root / "b/an image.dat", image_bytes)
    return root


def table(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def test_a_folder_is_predicted_to_its_depth_in_the_order_of_its_names(run, model, folder):
    done = run("predict", "--csv", model, folder)
    passed_over = f"files that are no images were passed over: 1 ({folder}/a/notes.txt)"
    assert (done.code, done.err) == (0, f"effbench: {passed_over}\n")
    titles, *rows = table(done.out)
    assert titles[:5] == ["file_name", "class", "probability", "class_2", "probability_2"]
    assert titles[9:] == ["class_5", "probability_5"]
    paths = [Path(row[0]) for row in rows]
    assert paths == [folder / name for name in files(folder) if not name.endswith("notes.txt")]
    assert len(paths) == 45 + 2
    for path, row in zip(paths, rows, strict=True):
        (names, values) = zip(*expected(path), strict=True)
        assert tuple(row[1::2]) == names
        np.testing.assert_allclose([float(value) for value in row[2::2]], values, rtol=1e-4)


def test_a_csv_is_written_whole_and_what_is_no_image_is_not_in_it(run, model, folder, tmp_path):
    put(folder / "b/000.png", b"\x89PNG")
    put(folder / "a/empty.JPG", b"")
    path = tmp_path / "out.csv"
    done = run("predict", model, folder, "--output", path)
    assert (done.code, done.out) == (1, f"{path}: 47 images\n")
    assert [line.split(": ", 2)[1:] for line in done.err.splitlines()] == [
        [
            f"cannot read {folder}/a/empty.JPG",
            "0 bytes; give the file of an image, such as PNG or JPEG",
        ],
        [
            f"cannot read {folder}/b/000.png",
            "not a JPEG, PNG, GIF, BMP or WebP; give the file of an image, such as PNG or JPEG",
        ],
        ["files that are no images were passed over", f"1 ({folder}/a/notes.txt)"],
    ]
    assert len(table(path.read_text("utf-8"))) == 1 + 47
    before = path.read_bytes()
    one_line(run("predict", folder, folder, "--output", path), 1, "a folder of something else")
    assert path.read_bytes() == before
    assert not list(tmp_path.glob(".*.tmp"))


def test_few_images_are_in_memory(model, folder, monkeypatch):
    """However many there are: what is read ahead is counted when the first answer is there."""
    read = []
    monkeypatch.setattr(module, "pixels", lambda path: read.append(path) or image(30, 20))
    outcomes = predict(model, [folder] * 50)
    next(outcomes)
    assert len(read) <= BATCH + 2 * cores() + 2 < 50 * 47 // 4


def test_images_of_one_shape_are_asked_together_and_answer_as_if_alone(folder, monkeypatch):
    put(folder / "b/001.png", b"\x89PNG")
    asked = []

    def scores(images):
        asked.append(images.shape)
        return np.stack([image[0, :2].mean(axis=1, dtype=np.float32) for image in images])

    monkeypatch.setattr(formats, "read", lambda _: OpenModel(("left", "right"), scores, ""))
    alone = [*map(repr, predict(folder, [folder], batch_size=1))]
    assert asked == [(1, *shape[1:]) for shape in asked]
    together = [*map(repr, predict(folder, [folder], batch_size=40))]
    assert together == alone
    assert len(alone) == 45 + 3
    asked = asked[45 + 1 :]
    assert sum(shape[0] for shape in asked) == 45 + 1
    assert len(asked) < 8
    monkeypatch.setattr(module, "MOST_BYTES", 3000)  # of one of them and part of another
    asked.clear()
    assert [*map(repr, predict(folder, [folder], batch_size=40))] == alone
    assert max(shape[0] for shape in asked) == 2


def test_batches_of_a_split_are_of_one_shape_and_of_few_bytes(monkeypatch):
    photos = [image(6, 9)] * 3 + [image(9, 6)] + [image(6, 9)] * 2
    assert [len(batch) for batch in images.batches(photos)] == [3, 1, 2]
    monkeypatch.setattr(images, "MOST_BYTES", 2 * 6 * 9 * 3)
    assert [len(batch) for batch in images.batches(photos)] == [2, 1, 1, 2]
    monkeypatch.setattr(images, "MOST_BYTES", 1)
    assert [len(batch) for batch in images.batches(photos)] == [1] * 6


def test_what_cannot_be_predicted_or_written_is_one_line(run, model, folder, tmp_path):
    (tmp_path / "empty").mkdir()
    one_line(run("predict", model, tmp_path / "empty"), 1, "a folder without files: ")
    one_line(run("predict", model, folder, "--output", "x.txt"), 2, "--output must end in .csv")
    one_line(run("predict", model, folder, "--csv", "--json"), 2, "--json --csv")
    (folder / "b/loop").symlink_to(folder)
    one_line(run("predict", model, folder), 1, "a link leads back to a folder around it")


def test_a_heat_map_is_written_beside_an_image_and_is_none_itself(run, model, png):
    done = run("predict", "--explain", "--top", "1", model, png.parent)
    assert (done.code, done.err) == (0, "")
    assert done.out.count("\n") == 1
    with Image.open(f"{png}.explained.png") as heat:
        times = 224 // SIDE
        assert (heat.mode, heat.size) == ("RGB", (times * SIDE, times * SIDE))
        red, _, blue = np.asarray(heat).astype(int).transpose(2, 0, 1)
    assert (red - blue).max() > 100
    again = run("predict", "--top", "1", model, png.parent)
    assert again.out == done.out


@pytest.mark.filterwarnings("error:The structure of")
def test_keras_3_explains_images_of_any_size_without_a_warning():
    explain = of(keras3(), build(CLASSIFIER))
    for size in ((SIDE, SIDE), (20, 30)):
        seen, heat = explain(image(*size), 0)
        assert (seen.shape, heat.ndim) == ((SIDE, SIDE, 3), 2)


@pytest.mark.parametrize(
    ("seen", "size"), [((64, 64), (256, 256)), ((100, 150), (450, 300)), ((300, 300), (300, 300))]
)
def test_heat_maps_of_small_networks_are_enlarged_by_a_whole_factor(seen, size, tmp_path):
    def explain(given: np.ndarray, _: int) -> tuple[np.ndarray, np.ndarray]:
        return given.astype(np.float32), np.zeros((2, 2), np.float32)

    given = image(*seen)
    write(explain, given, 0, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png.explained.png") as heat:
        assert heat.size == size
        times = size[1] // seen[0]
        np.testing.assert_array_equal(np.asarray(heat)[::times, ::times], given)


def test_a_model_is_made_ready_to_explain_when_it_is_asked():
    explain = of(None, None)
    with pytest.raises(AttributeError, match="get_layer"):
        explain(image(4, 4), 0)


def test_a_pattern_stands_for_the_files_that_match(run, model, folder):
    done = run("predict", "--top", "1", model, folder / "b" / "00*.png")
    assert [Path(line.split("\t")[0]).name for line in done.out.splitlines()] == [
        f"{number:03d}.png" for number in range(1, 10, 2)
    ]


def test_speed_is_measured_on_single_images_and_batches(run, model, tmp_path):
    path = tmp_path / "speed.md"
    options = ("--image-size", "20", "--seconds", "0", "--output", path)
    done = run("bench", "predict", model, *options)
    assert (done.code, done.err) == (0, "")
    assert "tiny.keras" in done.out
    (row,) = json.loads(path.with_suffix(".json").read_bytes())
    assert (row["model"], row["side"]) == ("tiny.keras", 20)
    assert [pace["batch"] for pace in row["paces"]] == [1, 32]
    for pace in row["paces"]:
        assert f" {pace['per_second']:.1f} |" in path.read_text("utf-8")
    one_line(run("bench", "predict", model, "--output", tmp_path), 2, "--output names a file")


# --- models ---------------------------------------------------------------------------------------


def test_what_is_no_model_is_one_line(run, png, tmp_path):
    one_line(run("predict", tmp_path / "x.keras", png), 1, "x.keras: nothing is there; give what")
    one_line(
        run("predict", png, png), 1, "a photo.png: something else; give what 'effbench export'"
    )
    one_line(run("predict", png), 2, "Missing argument 'IMAGE...'")
