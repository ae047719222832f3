"""A process that has loaded TensorFlow and run nothing: workers are its forks, and start at once.

To load TensorFlow takes four seconds of CPU, which is as much as the worker of a small sweep takes
for all else. The threads of TensorFlow begin with the first op, so that it may be forked before.

As a program it serves `relay.py` at the address that it is told, until its standard input ends.
"""

import contextlib
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

# Tells processes with `at_start` on their path what stands for their children.
RELAY = "EFFBENCH_TEST_RELAY"
# What a relay has run in a fork; it starts all else as ever.
SERVED = ("effbench.sweep.worker", "effbench.bench.step_worker", "effbench.cli.main")
# What these import when they come to it.
LATER = ("effbench.cli.sweep", "effbench.sweep.scheduler", "sklearn.utils")


@contextmanager
def serving() -> Iterator[tuple[str, ...]]:
    """What `effbench.subprocesses.COMMAND` may be: forks of a zygote with today's environment."""
    with (
        tempfile.TemporaryDirectory(prefix="zygote-") as folder,
        subprocess.Popen(
            # -P as in the true command.
            (sys.executable, "-P", __file__, address := str(Path(folder) / "socket")),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process,
    ):
        assert process.stdout.readline() == b"ready\n"
        relay = str(Path(__file__).with_name("relay.py"))
        # Without `site`, which would take as long as all else that a relay does.
        yield sys.executable, "-I", "-S", relay, address, ",".join(SERVED)
        process.stdin.close()


def serve(address: str) -> list[str]:
    """Forks for each relay; returns in those forks alone, with the words of their command line."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        print("ready", flush=True)
        while True:
            ready = select.select([listener, 0], [], [])[0]
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            if listener not in ready:
                os._exit(0)
            connection, _ = listener.accept()
            with connection:
                if not os.fork():
                    return _attend(connection)


def _attend(connection: socket.socket) -> list[str]:
    """Forks once more for a relay, passes signals on, and tells how the fork ended."""
    size, files, _, _ = socket.recv_fds(connection, 8, 3)
    asked = json.loads(connection.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL))
    pid = os.fork()
    if not pid:
        _become(asked, files)
        return asked["words"]
    for file in files:
        os.close(file)
    end = os.pidfd_open(pid)
    while connection in select.select([connection, end], [], [])[0]:
        number = connection.recv(1)
        if not number:  # the relay was killed
            break
        os.kill(pid, number[0])
    # Until it is waited for, no other process has its number.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with contextlib.suppress(BrokenPipeError):
        connection.sendall(str(code).encode())
    os._exit(0)


def _become(asked: dict, files: list[int]) -> None:
    """Makes this fork what the relay is."""
    os.setsid()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    tempfile.tempdir = None
    if relay := os.environ.get(RELAY):
        sys.modules["effbench.subprocesses"].COMMAND = tuple(json.loads(relay))


def main() -> None:
    for name in SERVED:
        import_module(name)
    from effbench import lean_imports

    with lean_imports.scikit_learn():
        for name in LATER:
            import_module(name)
    gc.freeze()
    sys.argv = serve(sys.argv[1])
    del sys.modules[sys.argv[0]]  # it is yet to run
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
