"""A stand-in for `tflite_bench.host_worker` whose runtime crashes on one model and hangs on another."""

import os
import sys
import time
from multiprocessing.connection import Connection

from tflite_bench.timing import Reading


def main() -> None:
    connection = Connection(int(sys.argv[1]))
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        if job.tflite == b"crash":
            os.abort()
        if job.tflite == b"hang":
            time.sleep(60)
        connection.send(Reading(1.0, 1.0, 1.0, os.getpid()))


if __name__ == "__main__":
    main()
