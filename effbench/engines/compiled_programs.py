"""Compiled programs, kept on disk: the next process, and the next seed, begin at once."""

from __future__ import annotations

import hashlib
import os

import jax

from effbench import cache
from effbench.engines import pjrt
from effbench.files import write_atomically

_DIGEST = hashlib.sha256().digest_size


def get(text: str, replicas: pjrt.Replicas) -> pjrt.Executable:
    """A program for some devices: compiled, or read if it was compiled before.

    What is damaged, or what the device's driver does not take, is compiled again.

    Args:
        text: a StableHLO module.
        replicas: where it is to run.

    Raises:
        jax.errors.JaxRuntimeError: the compiler refuses it.
        DiskError: it cannot be kept.
    """
    path = cache.programs() / f"{_key(text, replicas)}.xla"
    content = path.read_bytes() if path.exists() else b""
    digest, program = content[:_DIGEST], content[_DIGEST:]
    # A driver that is handed half a program may end the process.
    if program and digest == hashlib.sha256(program).digest():
        try:
            return pjrt.deserialized(program, replicas)
        except jax.errors.JaxRuntimeError:
            pass  # its versions are the same, its device is not quite
    executable = pjrt.compiled(text, replicas)
    program = pjrt.serialized(executable)
    write_atomically(path, hashlib.sha256(program).digest() + program)
    return executable


def _key(text: str, replicas: pjrt.Replicas) -> str:
    """A short hash of all that the compiled program follows from."""
    device = replicas.devices[0]
    about = (
        device.device_kind,
        pjrt.driver(device),
        str(len(replicas.devices)),
        os.environ.get("XLA_FLAGS", ""),
        text,
    )
    return hashlib.sha256("\n".join(about).encode()).hexdigest()[:24]
