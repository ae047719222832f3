"""A measured table is saved, or refused before it is measured."""

import json

import pytest

from effbench import table_files
from effbench.errors import UsageError


def test_a_folder_that_is_not_there_yet_is_made(tmp_path):
    path = tmp_path / "new" / "speed.md"
    table_files.check(path)
    assert not path.parent.exists()
    table_files.save(path, "| a |", [{"a": 1.5}])
    assert path.read_text("utf-8") == "| a |\n"
    assert json.loads(path.with_suffix(".json").read_text("utf-8")) == [{"a": 1.5}]


@pytest.mark.parametrize("name", [".", "speed.json"])
def test_what_is_no_name_of_a_table_is_refused(name, tmp_path):
    with pytest.raises(UsageError, match="--output names"):
        table_files.check(tmp_path / name)
