"""A folder of ours on a phone: files are pushed once, kept while there is room, and all removed at the end."""

import contextlib
import hashlib
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tflite_bench.adb import Adb, AdbError
from tflite_bench.errors import UserError
from tflite_bench.phone_facts import read_free_bytes, state_script
from tflite_bench.phone_script import KILL

MAX_BYTES = 256 << 20
"""Models that are kept at a time, and that one batch may bring."""

_PARENT = "/data/local/tmp"
_ROOM_BYTES = 1 << 20  # to be left free


class PhoneFolder:
    """The folder of one meter on one phone.

    Attributes:
        path: on the phone; nothing in it needs to be quoted.
    """

    def __init__(self, adb: Adb, name: str) -> None:
        """Chooses a name that nobody else has.

        Args:
            adb: the client for the phone.
            name: of the phone, for messages.
        """
        self.path = f"{_PARENT}/netadapt_tf.{secrets.token_hex(8)}"
        self._adb = adb
        self._name = name
        self._kept: dict[str, int] = {}  # bytes of the models that are there, by file

    def make(self) -> None:
        """Makes the folder; ends what an earlier session could not end, and removes folders of a day ago and earlier.

        Nobody else may be measuring on the phone.

        Raises:
            AdbError: it cannot be made.
        """
        old = f"find {_PARENT} -maxdepth 1 -name 'netadapt_tf.*' -mtime +0 -exec rm -rf {{}} + 2>/dev/null"
        left = f"for folder in {_PARENT}/netadapt_tf.*; do if cd $folder 2>/dev/null; then {KILL}fi; done"
        self._adb.shell(f"{old}\n{left}\nmkdir -p {self.path}")

    def remove(self) -> None:
        """Ends what runs in the folder, and removes it, if the phone is still there."""
        with contextlib.suppress(AdbError):
            self.shell(f"{KILL}cd /\nrm -rf {self.path}")

    def shell(self, script: str) -> str:
        """Runs a script in the folder; see `Adb.shell`."""
        return self._adb.shell(f"cd {self.path} || exit 1\n{script}")

    def put(self, files: Mapping[str, bytes]) -> None:
        """Writes files, by name, in one push.

        Raises:
            AdbError: the phone went away.
            UserError: it refuses them, for want of room above all.
        """
        with tempfile.TemporaryDirectory() as name:
            paths = [Path(name) / file for file in files]
            for path, content in zip(paths, files.values(), strict=True):
                path.write_bytes(content)
            try:
                self._adb.push(paths, f"{self.path}/")
            except AdbError as error:
                if error.lost:
                    raise
                size = sum(map(len, files.values()))
                raise UserError(f"{self._name}: {size:,} bytes cannot be pushed: {error}") from error

    def look(self, models: Mapping[str, bytes]) -> str:
        """Makes room for models, and returns the phone's state, as `phone_facts` reads it.

        Raises:
            AdbError: the phone went away.
            UserError: there is no room for them.
        """
        new_bytes = sum(len(model) for file, model in models.items() if file not in self._kept)
        useless = [file for file in self._kept if file not in models]
        if sum(self._kept.values()) + new_bytes <= MAX_BYTES:
            useless = []
        for file in useless:
            del self._kept[file]
        tidy = f"rm -f {' '.join(useless)}\n" if useless else ""
        state = self.shell(tidy + state_script(self.path))
        free_bytes = read_free_bytes(state)
        if free_bytes is not None and free_bytes < new_bytes + _ROOM_BYTES:
            raise UserError(
                f"{self._name} is full: {new_bytes + _ROOM_BYTES:,} bytes are needed in {_PARENT}, {free_bytes:,} are "
                "free"
            )
        return state

    def bring(self, models: Mapping[str, bytes], script: str) -> None:
        """Pushes the models that are not there yet, and a batch's script, `batch.sh`.

        Raises:
            AdbError: the phone went away.
            UserError: it refuses them.
        """
        missing = {file: model for file, model in models.items() if file not in self._kept}
        self.put({**missing, "batch.sh": script.encode()})
        self._kept.update({file: len(model) for file, model in missing.items()})


def model_file(model: bytes) -> str:
    """The file of a model in the folder, named by its checksum."""
    return f"{hashlib.sha256(model).hexdigest()[:32]}.tflite"
