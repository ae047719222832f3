import pytest

from effbench import doctor, provenance


def test_a_sound_machine() -> None:
    checks = {check.name: check for check in doctor.examine()}
    assert checks["python"].good
    assert checks["tensorflow on cpu"].good, checks["tensorflow on cpu"].text
    assert "Keras 2," in checks["tensorflow on cpu"].text
    assert checks["memory"].good


def test_a_broken_tensorflow_is_one_line_and_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_PROBE", "raise SystemExit('libtpu is too new')  # {kind}")
    check = doctor._tensorflow("cpu")
    assert not check.good
    assert check.text == "libtpu is too new"
    assert "make setup ACCEL=cpu" in check.hint


def test_missing_addons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "version", lambda package: "")
    assert not doctor._python().good


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path / "file"))
    check = doctor._cache()
    assert not check.good
    assert "cannot write" in check.text
