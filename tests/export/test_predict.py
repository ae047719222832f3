"""What `effbench predict` says of images, and of what is none."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.classifiers import NAMES, image, tiny
from support.commandline import one_line

from effbench.cli import export
from effbench.errors import DataError
from effbench.export.formats import FORMATS
from effbench.export.predict import pixels

MODEL = tiny()


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.keras"
    FORMATS["keras"].write(MODEL, NAMES, path)
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
    done = run("predict", "--json", model, png, png)
    assert (done.code, done.err) == (0, "")
    first, second = json.loads(done.out)
    assert first == second
    assert first["image"] == str(png)
    found = [(row["class"], row["probability"]) for row in first["classes"]]
    assert [name for name, _ in found] == [name for name, _ in expected(png)]
    np.testing.assert_allclose(
        [value for _, value in found], [value for _, value in expected(png)], rtol=1e-5
    )


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


def test_an_image_with_more_than_8_bits_is_refused_rather_than_clipped(tmp_path):
    Image.fromarray(np.full((4, 4), 30_000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(DataError, match="mode I;16; save it with 8 bits a channel"):
        pixels(tmp_path / "deep.png")


@pytest.mark.parametrize("limit", [800, 400])
def test_an_image_that_is_too_large_is_one_line(limit, run, model, png, monkeypatch):
    """Pillow warns above its limit, and refuses above twice that."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    done = run("predict", model, png)
    one_line(done, 1, "Image size (1200 pixels) exceeds limit")
    assert done.err.endswith("make the image smaller\n")


def test_what_is_no_image_is_named_and_the_others_are_predicted(run, model, png, tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("no image")
    cut = tmp_path / "cut.png"
    cut.write_bytes(png.read_bytes()[:2000])
    done = run("predict", model, text, png, cut, tmp_path, tmp_path / "none.png")
    assert done.code == 1
    assert [line.split("\t")[1] for line in done.out.splitlines()] == [
        name for name, _ in expected(png)
    ]
    lines = done.err.splitlines()
    assert len(lines) == 4
    for line, (path, why) in zip(
        lines,
        (
            (text, "cannot identify image file"),
            (cut, "truncated"),
            (tmp_path, "Is a directory"),
            (tmp_path / "none.png", "No such file"),
        ),
        strict=True,
    ):
        assert line.startswith(f"effbench: cannot read {path}: ")
        assert why in line
        assert line.endswith("give the file of an image, such as PNG or JPEG")
    alone = run("predict", model, text, "--json")
    assert (alone.code, json.loads(alone.out)) == (1, [])


# --- models ---------------------------------------------------------------------------------------


def test_what_is_no_model_is_one_line(run, png, tmp_path):
    one_line(run("predict", tmp_path / "x.keras", png), 1, "x.keras: nothing is there; give what")
    one_line(
        run("predict", png, png), 1, "a photo.png: something else; give what 'effbench export'"
    )
    one_line(run("predict", png), 2, "Missing argument 'IMAGE...'")
