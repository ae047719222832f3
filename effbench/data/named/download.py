"""Downloads, checked against a published hash, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pooch
import requests

from effbench.errors import EffbenchError
from effbench.files import writing
from effbench.progress import Report, Step

CONNECT_SECONDS = 10
# The longest wait between two pieces of data, not for the whole file.
READ_SECONDS = float(os.environ.get("EFFBENCH_READ_TIMEOUT") or 30)


def download(
    url: str, path: Path, md5: str, error: type[EffbenchError], hint: str, report: Report
) -> Path:
    """Brings a file to `path`; what arrives broken, short or wrong leaves no file behind.

    Args:
        url: where it is published.
        path: where it is to lie.
        md5: of the published file.
        error: the kind of error to raise.
        hint: what a user without network can do instead.
        report: told of the bytes as they come.

    Raises:
        EffbenchError: of the kind `error`.
    """
    with writing(path.parent):
        try:
            pooch.retrieve(
                url,
                known_hash=f"md5:{md5}",
                fname=path.name,
                path=path.parent,
                downloader=pooch.HTTPDownloader(
                    chunk_size=1 << 20,
                    progressbar=_Bar(path.name, report),
                    timeout=(CONNECT_SECONDS, READ_SECONDS),
                ),
            )
        except (requests.RequestException, ValueError) as problem:
            raise error(f"cannot download {url}", _reason(problem), hint) from problem
    return path


# pooch announces each download, and so would make two lines of one error.
pooch.get_logger().setLevel("WARNING")


class _Bar:
    """What pooch wants of a progress bar."""

    def __init__(self, name: str, report: Report) -> None:
        self.total = 0
        self._done = 0
        self._name = name
        self._report = report

    def update(self, size: int) -> None:
        self._done += size
        # The last piece counts as a whole one.
        done = min(self._done, self.total) if self.total else self._done
        self._report(Step("download", done, self.total, "bytes", self._name))

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        pass


def _reason(problem: Exception) -> str:
    if isinstance(problem, requests.HTTPError) and problem.response is not None:
        return f"the server answered {problem.response.status_code} {problem.response.reason}"
    if isinstance(problem, requests.Timeout):
        return f"no data for {READ_SECONDS:g} s"
    if isinstance(problem, requests.exceptions.ChunkedEncodingError):
        return "the server cut the file off"
    if isinstance(problem, requests.ConnectionError):
        return "no data in time" if "timed out" in str(problem) else "the server cannot be reached"
    if "hash" in str(problem):
        return "the file that came has another md5 than the published one"
    return str(problem)
