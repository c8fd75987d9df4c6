"""What native code writes to standard error, caught where it can be read."""

import os

_STANDARD_ERROR = 2


class NativeLog:
    """Standard error of this process, from now on; what was read is passed on to where it went before."""

    def __init__(self) -> None:
        """Begins to catch."""
        self._before = os.dup(_STANDARD_ERROR)
        self._file = os.memfd_create("native_log")
        os.dup2(self._file, _STANDARD_ERROR)

    def taken(self) -> str:
        """What was written since it was last asked for."""
        written = os.pread(self._file, os.fstat(self._file).st_size, 0)
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        os.write(self._before, written)
        return written.decode(errors="replace")
