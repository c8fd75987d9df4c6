"""Clusters of two machines, both of which are this one."""

import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from typing import IO


def both(command: Sequence[str], timeout_s: float = 600) -> list[subprocess.CompletedProcess[str]]:
    """Runs a command as the chief and as its follower, until both have ended."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(2)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        addresses = ["{}:{}".format(*probe.getsockname()) for probe in probes]
    with ExitStack() as stack:
        outputs = [[stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(2)] for _ in addresses]
        processes = [
            subprocess.Popen(
                command, stdout=out, stderr=err, env={**os.environ, "TF_CONFIG": json.dumps(_told(addresses, own))}
            )
            for own, (out, err) in enumerate(outputs)
        ]
        for process in processes:
            stack.callback(process.kill)
        for process in processes:
            process.wait(timeout_s)
        said = [[_read(file) for file in files] for files in outputs]
    return [
        subprocess.CompletedProcess(command, process.returncode, out, err)
        for process, (out, err) in zip(processes, said, strict=True)
    ]


def _read(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


def _told(addresses: Sequence[str], own: int) -> dict[str, object]:
    return {"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": own}}
