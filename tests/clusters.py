"""Clusters of two machines, both of which are this one."""

import json
import os
import socket
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack


def both(command: Sequence[str], timeout_s: float = 600) -> list[subprocess.CompletedProcess[str]]:
    """Runs a command as the chief and as its follower, until both have ended."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(2)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        addresses = ["{}:{}".format(*probe.getsockname()) for probe in probes]
    processes = [
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TF_CONFIG": json.dumps(_told(addresses, own))},
        )
        for own in range(2)
    ]
    try:
        ends = []
        for process in processes:
            out, err = process.communicate(timeout=timeout_s)
            ends.append(subprocess.CompletedProcess(command, process.returncode, out, err))
        return ends
    finally:
        for process in processes:
            process.kill()


def _told(addresses: Sequence[str], own: int) -> dict[str, object]:
    return {"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": own}}
