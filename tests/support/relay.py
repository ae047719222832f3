"""Stands where a child of effbench would: a fork of `zygote.py` does its work.

It passes signals on, ends as the fork does, and takes it along where it is killed.
"""

import json
import os
import signal
import socket
import sys

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def main(address: str, served: str, *words: str) -> None:
    if words[0] not in served.split(","):
        os.execv(sys.executable, (sys.executable, "-P", "-m", *words))
    zygote = socket.socket(socket.AF_UNIX)
    zygote.connect(address)
    folder = os.getcwd()  # noqa: PTH109 (to load pathlib takes as long as all this)
    asked = {"words": words, "environment": dict(os.environ), "folder": folder}
    text = json.dumps(asked).encode()
    socket.send_fds(zygote, [len(text).to_bytes(8, "big")], [0, 1, 2])
    zygote.sendall(text)
    for number in SIGNALS:
        signal.signal(number, lambda number, _: zygote.sendall(bytes((number,))))
    # Who reads what the fork prints hears of its end at once.
    os.closerange(0, 3)
    code = int(zygote.recv(16) or -signal.SIGKILL)
    if -code in SIGNALS:
        signal.signal(-code, signal.SIG_DFL)
    if code < 0:
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
