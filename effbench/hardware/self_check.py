"""What a device is like, asked in a process of its own.

The sweep cannot ask by itself: libtpu lets one process at a time use the chips, so its workers
would find them taken; and a TensorFlow that does not fit its libtpu ends the process. The number of
replicas is asked of TensorFlow, not counted from the chips: it joins the two cores of a v4 or v5p,
and a TPU with a name is somewhere else.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import TypeAdapter

from effbench import subprocesses
from effbench.errors import DeviceError, RelayedError
from effbench.hardware import tpu

# The longest wait for an answer: a pod takes a minute or two to start.
SECONDS = 300
# The longest wait for a connection to a TPU that is up.
CONNECT_SECONDS = 5.0


@dataclass(frozen=True)
class DeviceRequest:
    """A device to be tried.

    Attributes:
        kind: "cpu", "gpu" or "tpu".
        tpu_name: name of the TPU.
    """

    kind: str
    tpu_name: str


@dataclass(frozen=True)
class Found:
    """A device on which a tiny step ran.

    Attributes:
        name: what the machine calls it.
        replicas: copies of a program that share a global batch.
        keras: major version of the Keras that TensorFlow uses.
        versions: versions of packages by name, "" for what is not installed or takes no part.
    """

    name: str
    replicas: int
    keras: int
    versions: dict[str, str]


WANTED = TypeAdapter(DeviceRequest)
FOUND = TypeAdapter(Found)


def ask(kind: str, tpu_name: str = tpu.LOCAL) -> Found:
    """Starts a device of this host, runs a tiny step on it, and lets go of it. Takes some seconds.

    Raises:
        EffbenchError: it cannot be used; the line says why.
    """
    if kind == "tpu" and not tpu.build():
        raise DeviceError(
            "--tpu needs the TPU build",
            "TensorFlow without TPU support",
            "install the tpu set: make setup ACCEL=tpu",
        )
    for address in tpu_name.split(","):
        if address.startswith("grpc://"):
            _reach(address)
    # Without the other hosts, which this process does not wait for.
    environment = tpu.for_child(tpu_name if kind == "tpu" else "")
    environment.pop("TF_CONFIG", None)
    try:
        return subprocesses.ask(
            "effbench.hardware.self_check_worker",
            WANTED.dump_json(DeviceRequest(kind, tpu_name)),
            FOUND,
            environment,
            SECONDS,
        )
    except TimeoutError as error:
        raise DeviceError(
            f"the {kind} must answer", f"nothing in {SECONDS} s", "is another program using it?"
        ) from error
    except subprocesses.NoAnswerError as error:
        if error.code == 1 and error.last:  # of Python, e.g. an import that fails
            raise RelayedError(error.last) from error
        raise DeviceError(
            f"TensorFlow cannot start the {kind}",
            error.last or f"exit code {error.code}",
            f"run 'make setup ACCEL={kind}'",
        ) from error


def _reach(address: str) -> None:
    """Makes sure that something listens there: TensorFlow would wait for it for ever.

    Raises:
        DeviceError: nothing does.
    """
    try:
        url = urlsplit(address)
        # 8470 is where a TPU listens, as TensorFlow's cluster resolver has it.
        socket.create_connection((url.hostname, url.port or 8470), CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        hint = "give the address of a TPU that is up"
        reason = getattr(error, "strerror", None) or str(error)
        raise DeviceError("--tpu-name must answer", f"{address}: {reason}", hint) from error
