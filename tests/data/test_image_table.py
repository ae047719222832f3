import time
from pathlib import Path

import pytest
from support.pictures import put

from effbench.data.image_table import read
from effbench.errors import DataError

SIMPLE = "file_name,label\n1.jpg,b\nsub/2.jpg,a\n"


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ("1.jpg", "sub/2.jpg", "3.jpg"):
        put(tmp_path / name, b"x")
    return tmp_path


def table(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    return put(folder / "table.csv", text.encode(encoding))


def rows(path: Path) -> list[tuple[str, str, str, str]]:
    return [(image.name, image.label, image.split, image.group) for image in read(path).images]


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_files_and_labels(folder):
    listing = read(table(folder, SIMPLE))
    assert rows(table(folder, SIMPLE)) == [("1.jpg", "b", "", ""), ("sub/2.jpg", "a", "", "")]
    assert listing.root == folder
    assert listing.classes == ("a", "b")
    assert listing.certain


def test_splits_groups_and_columns_of_others_in_any_order(folder):
    text = "Group,split,note, Label ,FILE_NAME\np1,train,x,a,1.jpg\n,Valid,y,b,sub/2.jpg\n"
    assert rows(table(folder, text)) == [
        ("1.jpg", "a", "train", "p1"),
        ("sub/2.jpg", "b", "validation", ""),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_what_programs_write(encoding, end, folder):
    text = SIMPLE.replace("b\n", "ä\n").replace("\n", end)
    assert [row[:2] for row in rows(table(folder, text, encoding))] == [
        ("1.jpg", "ä"),
        ("sub/2.jpg", "a"),
    ]


def test_utf_16_the_other_way_round(folder):
    path = put(folder / "table.csv", b"\xfe\xff" + SIMPLE.encode("utf-16-be"))
    assert len(rows(path)) == 2


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters(delimiter, folder):
    assert len(rows(table(folder, SIMPLE.replace(",", delimiter)))) == 2


def test_names_with_everything_in_them(folder):
    names = [
        "a b.jpg",
        "it's.jpg",
        'say "x".jpg',
        "new\nline.jpg",
        "日本\u2028😀.jpg",
        " x.jpg",
        "a,b",
    ]
    for name in names:
        put(folder / name, b"x")
    quoted = ('"' + name.replace('"', '""') + '"' for name in names)
    text = "file_name,label\n" + "".join(f"{name},a\n" for name in quoted)
    assert [row[0] for row in rows(table(folder, text))] == sorted(names)


def test_labels_that_are_numbers_go_by_their_value(folder):
    text = "file_name,label\n1.jpg,10\nsub/2.jpg,9\n"
    assert read(table(folder, text)).classes == ("9", "10")


def test_names_may_lead_out_of_the_folder(folder):
    text = f"file_name,label\n../1.jpg,a\n{folder}/3.jpg,b\n"
    assert len(rows(table(folder / "sub", text))) == 2


def test_200_000_rows(tmp_path):
    missing = "".join(f"images/{number:06d}.jpg,{number % 1000}\n" for number in range(200_000))
    began = time.monotonic()
    line = refused(table(tmp_path, "file_name,label\n" + missing))
    assert time.monotonic() - began < 60
    assert line.startswith("the CSV names 200,000 files that are not there: images/000000.jpg, ")
    assert "and 199,995 more; " in line


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "the CSV has no column file_name and no column label: "),
        ("file_name,class\n1.jpg,a\n", "the CSV has no column label: its first line is "),
        ("1.jpg,a\nsub/2.jpg,b\n", "the CSV has no column file_name and no column label: "),
        ("file_name,label,label\n1.jpg,a,b\n", "the CSV has a column twice: label; "),
        ("file_name,label\n", "the CSV names no files: "),
        ("file_name,label\n1.jpg,\n", "the CSV lacks a label: line 2; "),
        ("file_name,label\n1.jpg, \n", "the CSV lacks a label: line 2; "),
        (
            "file_name,label\n1.jpg,a\nsub/2.jpg,a \n",
            "labels of one class are spelled in two ways: 'a' and 'a '; ",
        ),
        (
            "file_name,label\n1.jpg,e\u0301\nsub/2.jpg,\u00e9\n",
            r"labels of one class are spelled in two ways: 'e\u0301' and '\xe9'; ",
        ),
        ("file_name,label\n1.jpg,a\n\n,b\n", "the CSV lacks a file_name: line 4; "),
        ("file_name,label\n1.jpg\n", "the CSV lacks a label: line 2; "),
        ("file_name,label\n1.jpg,a\n1.jpg,b\n", "the CSV names a file twice: 1.jpg in lines 2 and"),
        (
            "file_name,label,split\n1.jpg,a,train\n3.jpg,b,\n",
            "the column split is filled in some lines only: not for 3.jpg; ",
        ),
        (
            "file_name,label,split\n1.jpg,a,holdout\n",
            "the CSV names an unknown split: holdout in line 2; choose from train, val, ",
        ),
        (
            "file_name,label\n1.jpg,a\nx.jpg,b\n",
            "the CSV names a file that is not there: x.jpg; names are relative to ",
        ),
        (
            "file_name,label\n1.jpg,a\nx\0.jpg,b\n",
            "the CSV names a file that is not there: x\\x00",
        ),
        ("file_name,label\n" + "x" * 300 + ",b\n", "the CSV names a file that is not there: xxx"),
        ("file_name,label\n" + "x" * 200_000 + ",b\n", "the CSV cannot be read: line 2 (field "),
    ],
)
def test_a_csv_that_says_too_little_or_too_much(text, expected, folder):
    assert refused(table(folder, text)).startswith(expected)


def test_an_encoding_that_is_none_of_them(folder):
    path = put(folder / "table.csv", SIMPLE.replace("b\n", "ä\n").encode("latin-1"))
    assert refused(path).startswith("the CSV is not UTF-8, nor UTF-16 with a byte-order mark: ")
    assert "no column" in refused(put(folder / "table.csv", SIMPLE.encode("utf-16-le")))


def test_an_image_instead_of_a_csv(folder):
    put(folder / "table.csv", b"\xff\xd8\xff\xe0\0\x10JFIF")
    assert refused(folder / "table.csv").startswith("the CSV is not UTF-8")


def test_a_csv_that_may_not_be_read(folder, monkeypatch):
    def forbidden(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    path = table(folder, SIMPLE)
    monkeypatch.setattr(Path, "read_bytes", forbidden)
    assert refused(path).startswith(f"the CSV cannot be read: {path} (Permission denied); ")
