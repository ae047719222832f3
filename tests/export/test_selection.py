"""Where models of runs are written."""

from pathlib import Path

from support.records import result, spec

from effbench.export.selection import destinations


def test_a_folder_that_is_there_gets_the_model_by_its_own_name(tmp_path):
    run = result(spec())
    default = f"{run.spec.key}.keras"

    def one(output: Path | None, ending: str = ".keras") -> Path:
        (path,) = destinations([run], ending, output, None, named=True)
        return path

    assert one(None) == Path(default)
    assert one(tmp_path) == tmp_path / default
    assert one(tmp_path / "model.keras") == tmp_path / "model.keras"
    assert one(tmp_path / "new") == tmp_path / "new", "which is refused, as no .keras"
    folder = tmp_path / "model"
    folder.mkdir()
    assert one(folder, "") == folder, "a SavedModel is a folder itself, which --force replaces"
