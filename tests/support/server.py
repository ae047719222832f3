"""Servers on this machine: one has some files, another answers what is posted to it."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Quiet(BaseHTTPRequestHandler):
    def reply(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(files: Mapping[str, bytes]) -> Iterator[str]:
    """Serves files by their names, and says where; another name is not found."""

    class Handler(_Quiet):
        def do_GET(self) -> None:
            content = files.get(self.path.rpartition("/")[2])
            if content is None:
                self.send_error(404)
                return
            self.reply(content)

    with _listening(Handler) as url:
        yield url


@contextmanager
def answering(answer: Callable[[str, dict], dict]) -> Iterator[str]:
    """Answers JSON by JSON, from the path and the body of what is posted, and says where."""

    class Handler(_Quiet):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.reply(json.dumps(answer(self.path, body)).encode())

    with _listening(Handler) as url:
        yield url


@contextmanager
def _listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
