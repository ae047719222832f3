"""A Ray cluster: what a node does with a job, and, with Ray (`make test-ray`), a sweep on three."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support import no_ops, shallow
from support.records import spec
from support.sweeps import outcome, sweep

from effbench.config.sweep_options import LaunchOptions
from effbench.errors import DeviceError, UsageError
from effbench.records.store import Store
from effbench.sweep import worker_process
from effbench.sweep.launchers import ray_cluster, ray_task
from effbench.sweep.launchers.ray_task import Order
from effbench.training.job import JOB, Job


@pytest.fixture
def order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Order:
    """Of a head on random weights, for a node with the same versions."""
    monkeypatch.setattr(worker_process, "work", no_ops.work)
    job = Job((spec(),), tmp_path / "results", None, None, "", "cpu", 0.0)
    return Order(JOB.dump_json(job), "driver", ray_task.versions(), tmp_path / "token", None, None)


def changed(order: Order, **changes: object) -> Order:
    return replace(order, job=JOB.dump_json(replace(JOB.validate_json(order.job), **changes)))


def test_a_node_sends_back_all_that_a_worker_wrote(order, tmp_path):
    steps = []
    done = ray_task.do(order, steps.append)
    assert (done.problem, done.refused) == (None, "")
    assert [message.key for message in done.messages] == [spec().key]
    assert [step.phase for step in steps] == ["train"]
    names = {Path(name).name.partition("-")[0] for name in done.files}
    assert names == {"record.json", "predictions"}
    assert not (tmp_path / "results").exists(), "what no node shares is left alone"


def test_a_node_with_other_versions_is_refused_with_both_named(order):
    other = replace(order, versions={**order.versions, "numpy": "1.0"})
    refused = ray_task.do(other, print).refused
    assert refused.startswith("all nodes need the same numpy: driver has 1.0, ")
    assert order.versions["numpy"] in refused


def test_weights_and_data_that_a_node_does_not_see_are_sent_and_verified(
    order, tmp_path, monkeypatch
):
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path / "cache"))
    weights, photos = tmp_path / "mine.h5", tmp_path / "photos"
    weights.write_bytes(b"weights")
    photos.mkdir()
    (photos / "a.jpg").write_bytes(b"a photo")
    sent = replace(order, weights=weights.read_bytes, data=lambda: ray_task.packed(photos))
    sha256 = "fea6d7b1c3a3e2a7f1"
    lost = changed(sent, weights_file=tmp_path / "lost.h5", weights_sha256=sha256)
    problem = ray_task.do(lost, print).problem
    assert problem.message.startswith("the file of weights is another on this node: ")
    import hashlib

    right = hashlib.sha256(b"weights").hexdigest()
    jobs = []
    monkeypatch.setattr(worker_process, "work", lambda job, *_: jobs.append(job))
    there = changed(
        sent,
        weights_file=tmp_path / "lost.h5",
        weights_sha256=right,
        data_dir=Path("/nowhere/photos"),
    )
    for _ in range(2):
        ray_task.do(there, print)
    for job in jobs:
        assert job.weights_file.read_bytes() == b"weights"
        assert (job.data_dir / "a.jpg").read_bytes() == b"a photo"


def test_what_is_not_there_is_one_line(monkeypatch):
    monkeypatch.setattr(ray_cluster, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"it is not installed; pip install 'effbench\[ray\]'"):
        ray_cluster.check(LaunchOptions("ray"))
    monkeypatch.setattr(ray_cluster, "find_spec", lambda _: "there")
    with pytest.raises(UsageError, match="--ray-address is host:port: somewhere; "):
        ray_cluster.check(LaunchOptions("ray", ray_address="somewhere"))
    with pytest.raises(DeviceError, match=r"nobody answers at 127.0.0.1:9: Connection refused; "):
        ray_cluster.check(LaunchOptions("ray", ray_address="127.0.0.1:9"))


def test_a_small_sweep_on_ray_has_the_records_of_a_local_one(tmp_path):
    """In processes of its own, as Ray leaves much behind in whoever starts it; 10 s of CPU."""
    pytest.importorskip("ray", reason="Ray comes with requirements/dev.txt: make setup")
    env = {**os.environ, "PYTHONPATH": no_ops.path(), "RAY_USAGE_STATS_ENABLED": "0"}
    arguments = "--variants B0,B1 --weights none --data digits --cpu"
    for launcher in ("ray", "local"):
        done = sweep(f"{arguments} --launcher {launcher}", tmp_path / launcher, env)
        assert "2 saved, 0 finished before, 0 failed" in done.stdout, done.stdout + done.stderr
    assert outcome(tmp_path / "ray") == outcome(tmp_path / "local")
    assert len(outcome(tmp_path / "ray")) == 2


# --- on a cluster of this machine -----------------------------------------------------------------

ARGUMENTS = (
    "--variants B0,B1 --weights none --data digits --cpu --image-size 32 --limit 40 "
    "--recipe finetune-adabelief --epochs 2 --batch-size 20 --seeds 0-5"
)


def driver(address: str, results: Path, env: dict[str, str]) -> subprocess.Popen[str]:
    words = ("sweep", *ARGUMENTS.split(), "--launcher", "ray", "--ray-address", address)
    return subprocess.Popen(
        (sys.executable, "-m", "effbench.cli.main", *words, "--results", str(results)),
        env={**env, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(results: Path, count: int, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 900
    while len(list(results.glob("runs/*/record.json"))) < count:
        assert time.monotonic() < until, f"no {count} records came"
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.5)


@pytest.mark.ray
def test_a_node_and_the_driver_die_and_all_runs_are_there_once(tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="Ray is not installed: make test-ray")
    from ray._raylet import GcsClient
    from ray.cluster_utils import Cluster

    env = {
        **os.environ,
        "PYTHONPATH": shallow.path(),
        "EFFBENCH_CACHE": str(tmp_path / "cache"),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    results = tmp_path / "results"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        cluster.wait_for_nodes()
        first = driver(cluster.address, results, env)
        wait_for(results, 2, first)
        jobs = GcsClient(address=cluster.address).get_all_job_info().values()
        drivers = {job.driver_address.node_id.hex() for job in jobs}  # it would die with its own
        victim = next(node for node in nodes if node.node_id not in drivers)
        cluster.remove_node(victim, allow_graceful=False)
        wait_for(results, 4, first)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        before = {path: path.read_bytes() for path in results.glob("runs/*/record.json")}
        second = driver(cluster.address, results, env)
        said, _ = second.communicate(timeout=1800)
        assert second.returncode == 0, said
        assert f"{12 - len(before)} saved, {len(before)} finished before, 0 failed" in said
    finally:
        cluster.shutdown()
    assert all(path.read_bytes() == content for path, content in before.items())
    assert len(Store(results).load().results) == 12
    alone = tmp_path / "alone"
    assert sweep(ARGUMENTS, alone, env).returncode == 0
    assert outcome(alone) == outcome(results)
