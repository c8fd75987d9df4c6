"""The main function of a worker process; TensorFlow is loaded here, after the process has started quietly."""

import os
import pickle
import signal
import threading
import traceback
from functools import partial
from multiprocessing import connection, parent_process
from typing import Any

from tflite_bench.binary import quiet_native_code
from tflite_bench.errors import UserError


def serve(pipe: connection.Connection) -> None:
    """Answers until the pipe closes or the parent process ends.

    Messages are (what it is, pickled): first the number of threads and the pickled `bench`; then a `stage` whenever an
    iteration begins, and a `portion` for each fine-tune. Only portions are answered, with (result, None) or (None, the
    first exception that was raised since the start).

    Args:
        pipe: to the process that the search runs in.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with quiet_native_code():
        from netadapt_tf.search.executors.worker import Worker
    worker: Worker | None = None
    failure: Exception | None = None
    while True:
        try:
            what, content = pipe.recv()
        except EOFError:
            return
        result = None
        try:
            if failure is None:
                given = _read(content)
                if worker is None:
                    threads, bench = given
                    worker = Worker(threads, partial(_read, bench))
                elif what == "stage":
                    worker.begin(given)
                else:
                    result = worker.fine_tune(given)
        except Exception as error:
            failure = _sendable(error)
        if what == "portion":
            pipe.send((result, failure))


def cannot_read(error: Exception) -> UserError:
    """What to say where a class or a function that was sent by its name is not found."""
    return UserError(
        f"a worker cannot read what it was sent ({type(error).__name__}: {error}); functions and classes should stand "
        "in modules that workers can import, too"
    )


def _read(content: bytes) -> Any:
    """What was sent.

    Raises:
        UserError: a module that it needs is not here.
    """
    try:
        return pickle.loads(content)
    except (AttributeError, ImportError) as error:
        raise cannot_read(error) from error


def _sendable(error: Exception) -> Exception:
    """The exception, or its words where it cannot be sent; with its traceback as a note."""
    note = "In a worker:\n" + "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(note)
    return error


def _end_with_parent() -> None:
    """Even in the middle of a fine-tune, which may take hours."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
