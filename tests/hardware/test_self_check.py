"""Asking a device in a process of its own; the real TPU's answers are played."""

import socket
import time

import pytest
from support import children

from effbench.errors import DeviceError, EffbenchError
from effbench.hardware import self_check, tpu


def play(monkeypatch, code: str) -> None:
    children.play(monkeypatch, code)
    monkeypatch.setattr(tpu, "build", lambda: True)


def test_the_cpu_answers_after_a_tiny_step():
    found = self_check.ask("cpu")
    assert found.replicas == 1
    assert found.keras == 2
    assert found.versions["TensorFlow"].startswith("2.")
    assert found.versions["libtpu"] == ""


def test_what_it_finds_and_what_it_is_told(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "for the runs")
    answer = (
        "wanted = json.loads(asked); assert 'TF_CONFIG' not in os.environ;"
        "assert os.environ['EFFBENCH_TPU'] == wanted['tpu_name']; print('noise');"
        "print(json.dumps(dict(name=wanted['kind'], replicas=8, keras=2, versions={})))"
    )
    play(monkeypatch, answer)
    found = self_check.ask("tpu", "local")
    assert (found.name, found.replicas) == ("tpu", 8)


def test_the_wrong_build_is_told_at_once(monkeypatch):
    monkeypatch.setattr(tpu, "build", lambda: False)
    began = time.monotonic()
    with pytest.raises(DeviceError) as caught:
        self_check.ask("tpu")
    assert time.monotonic() - began < 1
    line = "TensorFlow without TPU support; install the tpu set: make setup ACCEL=tpu"
    assert str(caught.value).endswith(line)


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("print('noise\\nwhy', file=sys.stderr); sys.exit(4)", "why"),
        ("os.abort()", "TensorFlow cannot start the tpu: exit code -6; run 'make setup"),
        ("sys.exit(3)", "TensorFlow cannot start the tpu: exit code 3; run 'make "),
    ],
)
def test_what_goes_wrong_is_one_line(code, line, monkeypatch):
    play(monkeypatch, code)
    with pytest.raises(EffbenchError) as caught:
        self_check.ask("tpu", "some")
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


def test_no_answer_is_an_answer(monkeypatch):
    play(monkeypatch, "time.sleep(60)")
    monkeypatch.setattr(self_check, "SECONDS", 0.5)
    with pytest.raises(DeviceError, match=r"the tpu must answer: nothing in 0\.5 s"):
        self_check.ask("tpu")


def test_an_address_where_nothing_listens_is_told_before_tensorflow_waits(monkeypatch):
    answer = 'print(\'{"name":"x","replicas":8,"keras":2,"versions":{}}\')'
    play(monkeypatch, answer)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"grpc://127.0.0.1:{server.getsockname()[1]}"
        assert self_check.ask("tpu", address).replicas == 8
    line = f"--tpu-name must answer: {address}: Connection refused; give the address of a TPU"
    with pytest.raises(DeviceError) as caught:
        self_check.ask("tpu", address)
    assert str(caught.value).startswith(line)
    with pytest.raises(DeviceError, match=r"^--tpu-name must answer: grpc://nowhere:port: "):
        self_check.ask("tpu", "grpc://nowhere:port")
