import pytest
from support import children

from effbench import provenance
from effbench.hardware import checkup, self_check, tpu
from effbench.hardware.self_check import Found


def test_a_sound_machine() -> None:
    checks = {check.name: check for check in checkup.examine()}
    assert checks["python"].good
    assert checks["tensorflow on cpu"].good, checks["tensorflow on cpu"].text
    assert "Keras 2," in checks["tensorflow on cpu"].text
    assert checks["memory"].good


def test_a_broken_tensorflow_is_one_line_and_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    children.play(monkeypatch, "raise SystemExit('libtpu is too new')")
    check = checkup._tensorflow("cpu")
    assert not check.good
    assert check.text == "libtpu is too new"
    assert "make setup ACCEL=cpu" in check.hint


def test_missing_addons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "version", lambda package: "")
    assert not checkup._python().good


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path / "file"))
    check = checkup._cache()
    assert not check.good
    assert "cannot write" in check.text


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (True, "TPU build of TensorFlow, no TPU chip found"),
        (False, "TensorFlow without TPU support; install the tpu set on a machine with a TPU"),
    ],
)
def test_no_tpu_is_no_mistake(build, text, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tpu, "chips", lambda: None)
    monkeypatch.setattr(tpu, "build", lambda: build)
    check = checkup._tpu()
    assert check.good
    assert check.text == text


def test_a_tpu_says_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    generation = next(row for row in tpu.GENERATIONS if row.name == "v3")
    chips = tpu.Chips(4, generation)
    monkeypatch.setattr(tpu, "chips", lambda: chips)
    monkeypatch.setattr(tpu, "build", lambda: True)
    versions = {"TensorFlow": "2.19.1", "Addons": "0.23.0", "libtpu": "0.0.10"}
    monkeypatch.setattr(self_check, "ask", lambda kind: Found(str(chips), 8, 2, versions))
    text = f"{checkup._tensorflow('tpu').text} {checkup._tpu().text}"
    for words in (
        "v3",
        "4 chips",
        "8 cores",
        "8 replicas",
        "16 GiB of HBM",
        "libtpu 0.0.10",
        "TensorFlow 2.19.1",
        "a tiny step ran",
    ):
        assert words in text
    monkeypatch.setattr(tpu, "build", lambda: False)
    assert not checkup._tpu().good
    assert "make setup ACCEL=tpu" in checkup._tpu().hint
