"""Kinds of failures: what stands in records stays, and what each leads to."""

import json
from dataclasses import replace

import pytest
from support.records import failure

from effbench import errors
from effbench.errors import EffbenchError
from effbench.failures import FailureKind, handling
from effbench.records.schema import to_json
from effbench.records.store import Store


def test_the_values_are_those_of_all_records():
    assert set(FailureKind) == {
        *("error", "usage", "data", "weights", "device", "disk", "checkpoint", "interrupted"),
        *("non-finite", "out-of-memory", "killed", "crash", "workers-died", "engine"),
        "device-lost",
    }


def test_what_each_leads_to():
    def those(name: str) -> set[str]:
        return {kind.value for kind in FailureKind if getattr(kind.handling, name)}

    again = {"weights", "data", "checkpoint", "engine", "device-lost", "interrupted"}
    assert those("retried") == again
    assert those("unexpected") == {"crash", "killed", "out-of-memory"}
    assert those("fatal") == {"device", "disk"}
    assert {kind for kind in FailureKind if kind.handling.exit_code != 1} == {"usage"}
    assert all(kind.handling.told for kind in FailureKind)


def test_every_error_has_one():
    known = [each for each in vars(errors).values() if isinstance(each, type)]
    kinds = {each.kind for each in known if issubclass(each, EffbenchError)}
    assert kinds == set(FailureKind) - {"out-of-memory", "killed", "crash", "workers-died"}
    assert errors.UsageError("a", "b", "c").exit_code == 2
    assert errors.DataError("a", "b", "c").exit_code == 1


@pytest.mark.parametrize("kind", [*FailureKind, "of a later effbench"])
def test_a_record_of_any_kind_is_read(kind, tmp_path):
    store = Store(tmp_path)
    saved = failure(kind=kind)
    store.save(saved)
    assert json.loads(store.path(saved).read_text())["kind"] == str(kind)
    found = store.failure(saved.spec.key)
    assert found == saved
    assert isinstance(found.kind, FailureKind) == isinstance(kind, FailureKind)
    assert to_json(found) == to_json(replace(saved, kind=str(kind)))
    assert handling(found.kind).told
