"""Downloads from a server on this machine that does all that servers do wrong."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from effbench.data.named import download
from effbench.errors import DataError, DiskError, WeightsError
from effbench.progress import Step, silent

CONTENT = bytes(range(256)) * 10_000  # more than two pieces of a download
MD5 = hashlib.md5(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Misbehaves as the path says."""

    over = threading.Event()
    asked: list[str] = []  # noqa: RUF012  of the class, on purpose

    def do_GET(self) -> None:
        self.asked.append(self.path)
        kind = self.path.strip("/")
        if kind == "missing":
            self.send_error(404)
            return
        if kind == "refused":
            self.send_error(503)
            return
        if kind == "slow":
            self.over.wait(20)
            return
        content = {"wrong": CONTENT[:-1] + b"x", "empty": b"", "page": b"<html>"}.get(kind, CONTENT)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if kind in ("cut", "stalled"):
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            if kind == "stalled":
                self.over.wait(20)
            return
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch) -> Iterator[str]:
    monkeypatch.setattr(download, "READ_SECONDS", 0.4)
    Handler.over.clear()
    Handler.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        Handler.over.set()
        serving.shutdown()
        thread.join()


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def get(url: str, path: Path, error=DataError, report=silent) -> Path:
    return download.download(url, path, MD5, error, "carry it by hand", report)


def left(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_good_file_arrives_whole_and_progress_is_told(server, tmp_path):
    steps: list[Step] = []
    path = tmp_path / "new" / "folder" / "file.bin"
    assert get(f"{server}/good", path, report=steps.append) == path
    assert path.read_bytes() == CONTENT
    assert left(tmp_path) == [path]
    assert {(step.phase, step.unit, step.total) for step in steps} == {
        ("download", "bytes", len(CONTENT))
    }
    done = [step.done for step in steps]
    assert done == sorted(done)
    assert 0 < done[0] < done[-1] == len(CONTENT)


def test_a_file_that_is_there_is_not_asked_for_again(server, tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(CONTENT)
    get(f"{server}/good", path)
    assert Handler.asked == []


def test_a_wrong_file_that_is_there_is_replaced(server, tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    get(f"{server}/good", path)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("error", [DataError, WeightsError])
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing", "the server answered 404 Not Found"),
        ("refused", "the server answered 503 Service Unavailable"),
        ("slow", "no data for 0.4 s"),
        ("stalled", "no data in time"),
        ("cut", "the server cut the file off"),
        ("wrong", "the file that came has another md5 than the published one"),
        ("empty", "the file that came has another md5 than the published one"),
        ("page", "the file that came has another md5 than the published one"),
    ],
)
def test_what_goes_wrong_is_one_line_and_no_file(server, tmp_path, kind, reason, error):
    with pytest.raises(error) as caught:
        get(f"{server}/{kind}", tmp_path / "file.bin", error)
    assert str(caught.value) == f"cannot download {server}/{kind}: {reason}; carry it by hand"
    assert left(tmp_path) == []


def test_a_server_that_is_down_is_one_line_and_no_file(tmp_path):
    url = f"http://127.0.0.1:{closed_port()}/file.bin"
    with pytest.raises(DataError) as caught:
        get(url, tmp_path / "file.bin")
    expected = f"cannot download {url}: the server cannot be reached; carry it by hand"
    assert str(caught.value) == expected
    assert left(tmp_path) == []


@pytest.mark.parametrize("url", ["htp://nowhere/file.bin", "nowhere", "http://", "http://[/x"])
def test_an_impossible_address_is_not_blamed_on_the_file(url, tmp_path):
    """`EFFBENCH_CIFAR10_URL` and `EFFBENCH_WEIGHTS_URL` may hold anything."""
    with pytest.raises(DataError) as caught:
        get(url, tmp_path / "file.bin")
    assert str(caught.value).startswith(f"cannot download {url}: ")
    assert "md5" not in str(caught.value)


def test_an_interrupted_download_leaves_no_file(server, tmp_path):
    def interrupt(_: Step) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(f"{server}/good", tmp_path / "file.bin", report=interrupt)
    assert left(tmp_path) == []


def test_a_file_in_place_of_the_folder_is_one_line(server, tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(DiskError, match="name a directory, not a file"):
        get(f"{server}/good", tmp_path / "cache" / "file.bin")


def test_a_read_only_folder_is_one_line(server, tmp_path, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.makedirs", fail)
    monkeypatch.setattr("pathlib.Path.mkdir", fail)
    with pytest.raises(DiskError, match="name a directory that can be written"):
        get(f"{server}/good", tmp_path / "cache" / "file.bin")
