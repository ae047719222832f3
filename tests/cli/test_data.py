import csv
import json
from pathlib import Path

import pytest
from PIL import Image
from support.commandline import one_line
from support.pictures import fill, put

from effbench.data.inspecting import montage


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path) -> Path:
    return fill(tmp_path / "photos", {"ants": 10, "bees": 20})


def test_what_it_says(root, run):
    done = run("data", root)
    assert done.code == 0, done.err
    words = " ".join(done.out.split())
    assert "2 classes, 30 images" in words
    assert "ants 10 7 1 2 bees 20 14 2 4" in words
    assert "The splits made here: train, validation, test; stratified" in words
    assert "Formats, by content: PNG 30." in words


def test_json_has_every_name(root, run):
    for number in range(60):
        put(root / "ants" / f"broken {number}.jpg", b"")
    done = run("data", root, "--json")
    assert done.code == 1
    found = json.loads(done.out)
    assert len(found["unreadable"]) == 60
    assert len(found["problems"]) == 1
    assert found["classes"][0] == {
        "name": "ants",
        "images": 10,
        "train": 7,
        "validation": 1,
        "test": 2,
    }
    assert run("data", root, "--skip-unreadable").code == 0


def test_what_a_sweep_would_refuse_is_exit_code_1(root, run):
    put(root / "bees" / "x[red].jpg", b"")
    done = run("data", root)
    assert done.code == 1
    assert "wrong 1 of 31 images cannot be read: bees/x[red].jpg (0 bytes); " in done.out


def test_a_label_that_contradicts_another_is_wrong_but_refused_by_no_sweep(root, run):
    put(root / "bees" / "twin.png", (root / "ants" / "0000.png").read_bytes())
    done = run("data", root)
    assert done.code == 0
    assert "wrong the same pixels have two labels: ants/0000.png and bees/twin.png; " in " ".join(
        done.out.split()
    )


def test_a_source_that_is_nothing_is_one_line(tmp_path, run):
    done = run("data", tmp_path / "x")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"effbench: no such folder or CSV: {tmp_path}/x; ")
    assert len(done.err.splitlines()) == 1


def test_a_dataset_with_a_name_needs_no_look(run):
    done = run("data", "flowers102")
    assert done.code == 2
    assert "'effbench sweep --data flowers102' trains on it" in done.err


def test_the_written_split_is_the_one_that_was_made(root, run):
    first = run("data", root, "--json", "--write-split", root / "split.csv")
    assert "put it there to use it as --data" in " ".join(first.err.split())
    rows = list(csv.DictReader((root / "split.csv").open()))
    assert set(rows[0]) == {"file_name", "label", "split"}
    assert len(rows) == 30
    again = json.loads(run("data", root / "split.csv", "--json").out)
    assert again["made"] == []
    assert again["split_sha256"] == json.loads(first.out)["split_sha256"]


def test_a_label_with_a_line_break_is_refused_before_anything_is_trained(root, run, tmp_path):
    (root / "ants").rename(root / "big\nants")
    names = [str(path.relative_to(root)) for path in root.rglob("*.png")]
    rows = "".join(f'"{name}","{Path(name).parent}"\n' for name in names)
    put(root / "t.csv", f"file_name,label\n{rows}".encode())
    said = "names of classes must be a line each: big\\nants; rename them without line breaks"
    for source in (root, root / "t.csv"):
        one_line(run("data", source), 1, said)
        flags = ("--variants", "B0", "--weights", "none", "--cpu", "--results", tmp_path / "r")
        one_line(run("sweep", "--data", source, *flags), 1, said)
        assert not (tmp_path / "r/runs").exists()


def test_a_written_split_keeps_groups(root, run, tmp_path):
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*.png"))
    lines = (f"{name},{name[:4]},g{number // 2}\n" for number, name in enumerate(names))
    put(root / "t.csv", ("file_name,label,group\n" + "".join(lines)).encode())
    done = run("data", root / "t.csv", "--write-split", root / "split.csv")
    assert done.code == 0
    assert "- Images come in 15 groups: each stays in one split, and " in done.out
    rows = list(csv.DictReader((root / "split.csv").open()))
    assert [row["group"] for row in rows] == [f"g{number // 2}" for number in range(30)]


def test_there_is_no_split_to_write_where_none_can_be_made(tmp_path, run):
    root = fill(tmp_path / "photos", {"a": 2, "b": 3})
    done = run("data", root, "--write-split", tmp_path / "split.csv")
    assert done.code == 1
    assert "there is no split to write: too few images" in done.err
    assert not (tmp_path / "split.csv").exists()


def test_the_montage_is_an_image(root, run, tmp_path, monkeypatch):
    assert run("data", root, "--montage", tmp_path / "m.png").code == 0
    assert Image.open(tmp_path / "m.png").format == "PNG"
    monkeypatch.setattr(montage, "MOST_CLASSES", 1)
    assert (
        "shows the first 1 of 2 classes" in run("data", root, "--montage", tmp_path / "n.png").err
    )


@pytest.mark.parametrize(("name", "style"), [("m.JPG", "JPEG"), ("m.webp", "WEBP")])
def test_the_montage_is_what_its_name_says(name, style, root, run, tmp_path):
    assert run("data", root, "--montage", tmp_path / name).code == 0
    assert Image.open(tmp_path / name).format == style


@pytest.mark.parametrize("flag", ["--montage", "--write-split"])
def test_what_is_there_is_not_replaced(flag, root, run):
    photo = next((root / "ants").iterdir())
    before = photo.read_bytes()
    done = run("data", root, flag, photo)
    one_line(done, 2, f"what is there is not replaced: {photo}; name another file, or delete")
    assert photo.read_bytes() == before


def test_a_montage_of_another_name_is_refused_before_any_image_is_read(root, run, tmp_path):
    done = run("data", root, "--montage", tmp_path / "m.pdf")
    one_line(done, 2, "m.pdf; end it in .png, .jpg, .jpeg or .webp")
    assert not (tmp_path / "m.pdf").exists()


@pytest.mark.parametrize("width", [80, 160])
def test_it_fits_the_terminal(width, tmp_path, run, terminal):
    label = "a class with a long name " * 4
    root = fill(tmp_path / "photos", {label: 10, "b": 10})
    put(root / "b" / "copy of it.png", (root / label / "0000.png").read_bytes())
    put(root / "b" / ("broken-" * 20 + ".png"), b"\x89PNG")
    terminal(width)
    done = run("data", root, "--near")
    assert max(map(len, done.out.splitlines())) <= width
    assert "…" not in done.out
