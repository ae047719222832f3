import json

import pytest

from effbench.errors import UsageError
from effbench.hardware import hosts
from effbench.hardware.hosts import Cluster


def config(jobs: dict, kind: str = "worker", index: object = 0) -> str:
    return json.dumps({"cluster": jobs, "task": {"type": kind, "index": index}})


TWO = {"worker": ["a:1", "b:1"]}
LED = {"chief": ["a:1"], "worker": ["b:1"]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, Cluster(1, True)),
        ("", Cluster(1, True)),
        ("{}", Cluster(1, True)),
        ('{"environment": "cloud"}', Cluster(1, True)),
        (config({"worker": ["a:1"]}), Cluster(1, True)),
        (config(TWO), Cluster(2, True)),
        (config(TWO, index=1), Cluster(2, False)),
        (config(TWO, index="1"), Cluster(2, False)),
        (config(LED, "chief"), Cluster(2, True)),
        (config(LED), Cluster(2, False)),
        (config({**TWO, "evaluator": ["c:1"]}), Cluster(2, True)),
    ],
)
def test_hosts_and_their_chief(text, expected, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if text is not None:
        monkeypatch.setenv("TF_CONFIG", text)
    assert hosts.read() == expected


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "3",
        '{"cluster": 3}',
        json.dumps({"cluster": TWO}),
        config(TWO, index="first"),
        config(TWO, index=2),
        config(TWO, index=-1),
        config(TWO, "chief"),
    ],
)
def test_what_makes_no_sense_is_one_line(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UsageError, match="TF_CONFIG") as caught:
        hosts.read()
    assert "\n" not in str(caught.value)
