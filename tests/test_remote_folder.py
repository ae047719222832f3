"""Results at a URL: what is brought and sent, and what commands make of it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from support import no_ops
from support.records import complete, failure, spec

from effbench.errors import EffbenchError, Interrupted, UsageError
from effbench.records.store import Store
from effbench.remote_folder import RemoteFolder, shown
from effbench.sweep import worker_process
from effbench.training.job import Job


@pytest.fixture(params=["memory", "file", pytest.param("s3", marks=pytest.mark.s3)])
def url(request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty folder: of an object store, in memory or of S3 on this machine, or of files."""
    if request.param == "file":
        yield f"file://{tmp_path}/there"
        return
    if request.param == "memory":
        fsspec.filesystem("memory").store.clear()
        yield f"memory://{tmp_path.name}"
        return
    for package in ("moto.server", "s3fs"):
        pytest.importorskip(package, reason=f"{package} is not installed: make test-s3")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    files = fsspec.filesystem("s3", skip_instance_cache=True)
    type(files).clear_instance_cache()
    files.makedirs("bucket", exist_ok=True)
    yield f"s3://bucket/{tmp_path.name}"
    server.stop()


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Makes this process one of several machines, each with a cache of its own."""

    def be(name: str) -> None:
        monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path / name))

    be("one")
    return be


def names(url: str) -> set[str]:
    files, root = fsspec.core.url_to_fs(url)
    files.invalidate_cache()
    found = files.find(root)
    return {path[len(root) :].lstrip("/") for path in found}


def test_what_one_machine_sends_another_has(url, machine):
    here = RemoteFolder(url)
    record = complete(Store(here.directory))
    checkpoint = Store(here.directory).checkpoints(spec().key) / "step-000000001-a.npz"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"state")
    (here.directory / ".locks").mkdir()
    (here.directory / ".locks/a.lease").touch()
    run = f"runs/{record.spec.key}"
    assert here.unsent()[-1] == f"{run}/record.json", "what it names comes first"
    assert here.push() == 3
    assert here.push() == 0
    assert names(url) == {
        *(f"{run}/record.json", f"{run}/{record.predictions.file}"),
        f".checkpoints/{spec().key}/step-000000001-a.npz",
    }
    machine("two")
    there = RemoteFolder(url)
    assert there.directory != here.directory
    there.pull(later=(".checkpoints",))
    assert Store(there.directory).load().results == (record,)
    assert not Store(there.directory).checkpoints(spec().key).exists()
    there.pull()
    (checkpoint,) = Store(there.directory).checkpoints(spec().key).iterdir()
    assert checkpoint.read_bytes() == b"state"
    assert there.push() == 0, "what was brought is not new"
    checkpoint.unlink()
    there.push()
    here.pull()
    assert not list(Store(here.directory).checkpoints(spec().key).iterdir())


def test_what_passes_goes_at_both_sides_but_no_record_does(url, machine):
    here = RemoteFolder(url)
    store = Store(here.directory)
    store.save(failure(spec=spec()))
    here.push()
    complete(store, recipe=spec().recipe, limit=None)
    here.push()
    run = f"runs/{spec().key}"
    assert f"{run}/failure.json" not in names(url)
    (here.directory / run / "record.json").unlink()
    here.push()
    assert f"{run}/record.json" in names(url)


def test_a_record_that_was_removed_here_is_brought_again(url, machine):
    here = RemoteFolder(url)
    record = complete(Store(here.directory))
    here.push()
    Store(here.directory).path(record).unlink()
    here.pull()
    assert Store(here.directory).load().results == (record,)


def test_files_of_a_working_copy_are_called_what_they_are_at_the_url(url, machine):
    here = RemoteFolder(f"{url}/")
    assert shown(here.directory) == url
    assert shown(here.directory / "runs" / "B0") == f"{url}/runs/B0"
    assert shown(Path("runs/B0")) == "runs/B0"


def test_a_file_is_no_folder_at_a_url_either(machine, tmp_path):
    (tmp_path / "file").write_text("text")
    with pytest.raises(EffbenchError, match=r"results are in a folder: the file file:///.*/file; "):
        RemoteFolder(f"file://{tmp_path}/file").pull()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("s3:/bucket/b0", "'s3:/bucket/b0' is no URL; write s3://bucket/b0"),
        ("s3://", "the URL 's3://' names no folder; write s3://results"),
    ],
)
def test_what_is_nearly_a_url_is_no_folder(text, words, run, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    done = run("sweep", "--weights", "none", "--data", "digits", "--results", text)
    assert done.code == 2
    assert words in " ".join(done.err.split())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(28, "No space left\non device"), "OSError: .* No space left on"),
        # What s3fs raises; a file that was removed here raises it, too, and is no error.
        (FileNotFoundError("The bucket does not exist"), "FileNotFoundError: The bucket does not"),
    ],
)
def test_what_cannot_be_sent_waits_and_is_one_line(error, line, url, machine, monkeypatch):
    here = RemoteFolder(url)
    complete(Store(here.directory))

    def refused(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(here._files, "put_file", refused)
        with pytest.raises(EffbenchError, match=f"^cannot write {url}: {line}"):
            here.push()
    assert len(here.unsent()) == 2
    assert here.push() == 2


def refuse(url: str, monkeypatch: pytest.MonkeyPatch, method: str, part: str = "") -> None:
    """Makes the file system of a URL refuse what has `part` in its address."""
    files, _ = fsspec.core.url_to_fs(url)  # of which there is one for all that ask
    real = getattr(files, method)

    def refused(*arguments: str, **options: object) -> None:
        if part in arguments[-1]:
            raise PermissionError("Access\nDenied")
        real(*arguments, **options)

    monkeypatch.setattr(files, method, refused)


@pytest.fixture
def sweep(run, monkeypatch):
    """Sweeps B0 into a URL, by workers that need no time."""
    monkeypatch.setattr(worker_process, "work", no_ops.work)
    words = ("--variants", "B0", "--weights", "none", "--data", "digits", "--cpu")
    return lambda url, *more: run("sweep", *words, *more, "--results", url)


def no_work(*_: object) -> None:
    raise AssertionError("a run was begun")


@pytest.mark.parametrize("method", ["put_file", "rm_file"])
def test_a_url_that_cannot_be_written_is_refused_before_any_training(
    method, url, machine, sweep, monkeypatch
):
    refuse(url, monkeypatch, method)
    monkeypatch.setattr(worker_process, "work", no_work)
    done = sweep(url)
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        f"effbench: cannot write {url}: PermissionError: Access Denied; "
        "look at the address, the network and the credentials\n"
    )
    assert sweep(url, "--dry-run").code == 0, "which writes nothing"


def test_a_folder_below_a_file_is_refused_before_any_training(
    machine, sweep, monkeypatch, tmp_path
):
    (tmp_path / "file").touch()
    monkeypatch.setattr(worker_process, "work", no_work)
    url = f"file://{tmp_path}/file/there"
    done = sweep(url)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"effbench: cannot write {url}: ")
    assert done.err.count("\n") == 1


@pytest.mark.s3
@pytest.mark.parametrize("url", ["s3"], indirect=True)
def test_a_bucket_that_is_not_there_is_refused_before_any_training(
    url, machine, sweep, monkeypatch
):
    monkeypatch.setattr(worker_process, "work", no_work)
    other = url.replace("//bucket", "//no-such-bucket")
    done = sweep(other)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"effbench: cannot write {other}: FileNotFoundError: ")
    assert done.err.count("\n") == 1


def test_nothing_is_left_of_the_look_whether_a_url_can_be_written(url, machine):
    RemoteFolder(url).check()
    assert names(url) == set()


def test_what_did_not_reach_its_url_is_not_called_saved(url, machine, sweep, monkeypatch):
    with monkeypatch.context() as patch:
        refuse(url, patch, "put_file", "record.json")
        done = sweep(url)
    assert done.code == 1
    assert " kept: here, and sent next\n" in done.out
    assert "saved" not in done.out + done.err
    assert done.err.count("Access Denied") == 1
    assert done.err.endswith(", and sent the next time\n")
    done = sweep(url)
    assert "\n0 saved, 1 finished before, 0 failed" in done.out
    assert sum(name.endswith("/record.json") for name in names(url)) == 1


def test_an_interrupted_sweep_does_not_call_saved_what_did_not_reach_its_url(
    url, machine, sweep, monkeypatch
):
    def interrupted(job: Job, *arguments: object) -> None:
        no_ops.work(job, *arguments)
        raise Interrupted

    with monkeypatch.context() as patch:
        refuse(url, patch, "put_file", "record.json")
        patch.setattr(worker_process, "work", interrupted)
        done = sweep(url)
    assert done.code == 1
    assert "saved" not in done.out + done.err
    assert done.err.startswith(f"effbench: interrupted: cannot write {url}: PermissionError: ")


def test_a_merge_writes_nothing_at_its_sources(url, machine, run, monkeypatch, tmp_path):
    source = RemoteFolder(url)
    complete(Store(source.directory))
    source.push()
    before = names(url)
    refuse(url, monkeypatch, "put_file")
    done = run("merge", url, "--results", tmp_path / "folder")
    assert done.code == 0
    assert done.out.startswith(f"1 new, 0 equal, 0 superseded in {tmp_path}/folder\n")
    assert names(url) == before


def test_unknown_urls_and_missing_packages_are_one_line(monkeypatch):
    with pytest.raises(
        UsageError, match=r"results are in a folder, or a URL like gs://b.*: no://w"
    ):
        RemoteFolder("no://where").pull()
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(UsageError, match=r"s3:// needs a package: Install s3fs to access S3; "):
        RemoteFolder("s3://bucket/results").pull()


def test_commands_take_urls(url, machine, run, monkeypatch, tmp_path):
    monkeypatch.setattr(worker_process, "work", no_ops.work)
    words = ("--weights", "none", "--data", "digits", "--cpu", "--results", url)
    done = run("sweep", "--variants", "B0", *words)
    assert done.code == 0, done.err
    assert f"see: effbench report --results {url}" in done.out
    assert sum(name.endswith("/record.json") for name in names(url)) == 1
    machine("two")
    done = run("sweep", "--variants", "B0,B1", *words)
    assert "\n1 saved, 1 finished before, 0 failed" in done.out
    machine("three")
    assert run("status", "--results", url).out == "2 done, 0 running, 0 waiting, 0 failed\n"
    assert run("show", "B1", "--results", url, "--rerun").code == 0
    source = complete(Store(tmp_path / "folder"), seed=7)
    other = f"{url}-merged"
    done = run("merge", tmp_path / "folder", "--results", other)
    assert done.out.startswith(f"1 new, 0 equal, 0 superseded in {other}")
    machine("four")
    assert source.spec.key in run("show", source.spec.key, "--results", other).out
    assert run("validate", other).out.endswith("1 record, 0 problems\n")
    assert run("compare", other, other).code == 0
    assert run("report", "--results", f"{url}-empty").err == (
        f"effbench: no runs to report: {url}-empty; run 'effbench sweep' first\n"
    )
    for words in (("work",), ("sweep", "--launcher", "queue", "--weights", "none")):
        refused = run(*words, "--results", url)
        assert refused.code == 2
        assert "needs a folder that all its machines share" in refused.err
    words = ("--launcher", "queue", "--weights", "none", "--data", "digits")
    assert run("sweep", *words, "--results", f"{url}-refused").code == 2
    files, root = fsspec.core.url_to_fs(f"{url}-refused")
    files.invalidate_cache()
    # Object stores have no folders; the stand-in of one in memory keeps an empty one.
    assert not files.find(root)
    assert not (url.startswith("file:") and files.exists(root))
