"""Runs the tool in forks of a process that has imported the runtime already: `python -m … SOCKET`.

A run costs a fork instead of the second that the imports take. The server ends when its standard input does.
"""

import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import sys
import traceback

from tests.emulated_android import benchmark_litert, benchmark_model
from tests.emulated_android.executor import Executor, quiet_runtime
from tests.emulated_android.tool_log import ToolSetup
from tflite_bench.reference import almost_empty_model

_MAINS = {"tflite": benchmark_model.main, "litert": benchmark_litert.main}


def main() -> None:
    """Serves until standard input closes."""
    with quiet_runtime():  # the runtime prepares itself once, not in every fork
        Executor(almost_empty_model(), num_threads=1, xnnpack=True)
    gc.freeze()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen(64)
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
    selector.register(listener, selectors.EVENT_READ)
    runs: dict[int, tuple[int, socket.socket]] = {}  # pidfd -> process, connection
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        for key, _ in selector.select():
            if key.fd == 0:
                for process, _ in runs.values():
                    _kill(process)
                return
            if key.fileobj is listener:
                connection, _ = listener.accept()
                process = _start(connection)
                ended = os.pidfd_open(process)
                runs[ended] = (process, connection)
                selector.register(ended, selectors.EVENT_READ)
                selector.register(connection, selectors.EVENT_READ, ended)
            elif key.fd in runs:
                process, connection = runs.pop(key.fd)
                status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
                _kill(process)  # what it may have left in its group
                with contextlib.suppress(OSError):
                    connection.sendall(status.to_bytes(4, "little", signed=True))
                with contextlib.suppress(KeyError):
                    selector.unregister(connection)
                connection.close()
                selector.unregister(key.fd)
                os.close(key.fd)
            elif key.data in runs:  # the device closed the connection: its program was killed
                _kill(runs[key.data][0])
                selector.unregister(key.fileobj)


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)


def _start(connection: socket.socket) -> int:
    data, outputs, _, _ = socket.recv_fds(connection, 1 << 20, 2)
    length = int.from_bytes(data[:4], "little")
    while len(data) < 4 + length:
        data += connection.recv(4 + length - len(data))
    process = os.fork()
    if process == 0:
        _run(json.loads(data[4:]), outputs)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.setpgid(process, process)
    for output in outputs:
        os.close(output)
    return process


def _run(request: dict, outputs: list[int]) -> None:
    status = 1
    try:
        with contextlib.suppress(PermissionError):
            os.setpgid(0, 0)
        null = os.open(os.devnull, os.O_RDWR)
        for number, source in enumerate((null, *outputs)):
            os.dup2(source, number)
        os.closerange(3, 1024)
        os.chdir(request["folder"])
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        names = ("root", "fault", "time_factor", "gpu", "gpu_partial", "gpu_fixed_ms")
        setup = ToolSetup(**{name: request[name] for name in names})
        status = _MAINS[request["flavour"]](request["argv"], setup)
    except BaseException:
        traceback.print_exc()
        status = 70
    finally:
        os._exit(status)


if __name__ == "__main__":
    main()
