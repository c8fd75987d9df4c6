"""Starting the tool `benchmark_model` on an Android phone, over adb: a batch of models in one push and one session."""

import contextlib
import hashlib
import queue
import secrets
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from absl import logging

from tflite_bench.adb import Adb, AdbError
from tflite_bench.benchmark_model import ToolBinary, ToolRun, read_help
from tflite_bench.benchmark_output import ToolOutput
from tflite_bench.errors import MeasurementError, UserError
from tflite_bench.locking import cache_folder, measuring_lock
from tflite_bench.phone_facts import (
    FACTS_SCRIPT,
    Facts,
    big_cores,
    core_mask,
    cores_of,
    read_facts,
    read_free_bytes,
    read_heat,
    state_script,
)
from tflite_bench.phone_script import KILL, BatchStream, batch_script
from tflite_bench.target import Target

_PARENT = "/data/local/tmp"
_TOOL = "benchmark_model"
_MAX_KEPT_BYTES = 256 << 20
_ROOM_BYTES = 1 << 20  # to be left free
_MAX_BLAMED = 2
_MAX_FRUITLESS = 3


@dataclass(frozen=True)
class Patience:
    """How long a phone is waited for.

    Attributes:
        run_s: after which a run of the tool is taken for hung.
        return_s: for a phone that went away to come back.
        cool_s: for a warm one to cool down, at most.
        poll_s: between looks at it.
        max_battery_c: a warmer battery is waited for.
        max_thermal_status: a higher thermal status of Android is waited for; 0 is none, 1 light.
    """

    run_s: float = 120.0
    return_s: float = 300.0
    cool_s: float = 1800.0
    poll_s: float = 5.0
    max_battery_c: float = 38.0
    max_thermal_status: int = 0


class Phone:
    """A phone, the tool on it, and a folder that is removed at the end.

    Attributes:
        name: for messages.
        tool: as it answers there.
        binary: the one of the given that the phone runs.
    """

    def __init__(
        self, adb: Adb, target: Target, binaries: Sequence[ToolBinary], patience: Patience | None = None
    ) -> None:
        """Asks the phone what it is, and brings the tool there.

        Args:
            adb: the client for it.
            target: an `android` target.
            binaries: the user's, one of them for the phone's ABI.
            patience: how long to wait for it.

        Raises:
            UserError: no binary runs there, cores cannot be had, or the phone goes away or is full.
        """
        self.name = f"phone {adb.serial}"
        self._adb = adb
        self._patience = patience or Patience()
        self._folder = f"{_PARENT}/netadapt_tf.{secrets.token_hex(8)}"
        self._kept: dict[str, int] = {}  # names of the models that are there -> bytes
        self._lock_file = cache_folder() / f"phone-{hashlib.sha256(adb.serial.encode()).hexdigest()[:16]}.lock"
        with self._user_errors():
            self._facts = read_facts(adb.shell(FACTS_SCRIPT))
            self.binary = _fitting(self.name, self._facts, binaries)
            self._cores = _pinned(self.name, self._facts, target)
            self._prepare_folder()
            answer = adb.shell(f"cd {self._folder} && chmod 755 {_TOOL} && ./{_TOOL} --help 2>&1; :")
        self.tool = read_help(answer, self.binary.path)

    def run_all(self, runs: Sequence[ToolRun]) -> Iterator[tuple[int, ToolOutput | MeasurementError]]:
        """Starts the tool for every run in one session; goes on after a broken connection or a hang.

        A run during which the phone went away is tried once more; then it counts as failed.

        Raises:
            UserError: the phone does not come back, is full, or refuses.
        """
        waiting = dict(enumerate(runs))
        blamed: Counter[int] = Counter()
        fruitless = 0
        while waiting:
            left = len(waiting)
            stream = BatchStream(secrets.token_hex(8))
            try:
                with measuring_lock(self._lock_file):
                    models = self._bring(waiting, stream.token)
                    for number, output in self._streamed(stream):
                        del waiting[number], models[number]
                        yield number, output
            except TimeoutError:
                yield from self._given_up(waiting, stream.running, self._hung())
                with contextlib.suppress(AdbError):
                    self._adb.shell(f"cd {self._folder} && {KILL}")
            except AdbError as error:
                fruitless = fruitless + 1 if len(waiting) == left else 0
                if fruitless == _MAX_FRUITLESS or not error.lost:
                    raise UserError(f"{self.name}: {error}") from error
                self._wait_for_return(error)
                if stream.running is not None:
                    blamed[stream.running] += 1
                    if blamed[stream.running] == _MAX_BLAMED:
                        gone = f"{self.name} went away each time it ran this model: {error}"
                        yield from self._given_up(waiting, stream.running, gone)

    def fingerprint(self) -> Mapping[str, str | int]:
        """The kind of phone, and the cores that the tool is pinned to."""
        pinning = f"taskset {core_mask(self._cores)}" if self._cores else "none"
        return {**self._facts.fingerprint(), "pinning": pinning}

    def close(self) -> None:
        """Removes the folder from the phone, if that is still there."""
        with contextlib.suppress(AdbError):
            self._adb.shell(f"cd {self._folder} && {KILL}; rm -rf {self._folder}")

    def _prepare_folder(self) -> None:
        old = f"find {_PARENT} -maxdepth 1 -name 'netadapt_tf.*' -mtime +0 -exec rm -rf {{}} +"  # of killed processes
        self._adb.shell(f"{old}\nmkdir -p {self._folder}")
        with tempfile.TemporaryDirectory() as name:
            (Path(name) / _TOOL).write_bytes(self.binary.path.read_bytes())
            self._push([Path(name) / _TOOL])

    def _bring(self, runs: Mapping[int, ToolRun], token: str) -> dict[int, str]:
        """Brings what is missing of the runs' models, and the batch's script, in one push; cools down before."""
        models = {number: f"{hashlib.sha256(run.model).hexdigest()[:32]}.tflite" for number, run in runs.items()}
        missing = {models[number]: run.model for number, run in runs.items() if models[number] not in self._kept}
        self._wait_until_cool(sum(map(len, missing.values())), set(models.values()))
        command = [f"./{_TOOL}"]
        if self._cores:
            command = ["taskset", core_mask(self._cores), *command]
        script = batch_script(runs, models, command, token)
        with tempfile.TemporaryDirectory() as name:
            files = {**missing, "batch.sh": script.encode()}
            for file, content in files.items():
                (Path(name) / file).write_bytes(content)
            self._push([Path(name) / file for file in files])
        self._kept.update({file: len(model) for file, model in missing.items()})
        return models

    def _push(self, files: Sequence[Path]) -> None:
        try:
            self._adb.push(files, f"{self._folder}/")
        except AdbError as error:
            if error.lost:
                raise
            raise UserError(
                f"{self.name}: {sum(f.stat().st_size for f in files)} bytes cannot be pushed: {error}"
            ) from error

    def _wait_until_cool(self, needed_bytes: int, needed: set[str]) -> None:
        """Makes room for models, and waits while the phone is warm, so that batches are alike."""
        useless = [name for name in self._kept if name not in needed]
        if sum(self._kept.values()) + needed_bytes <= _MAX_KEPT_BYTES:
            useless = []
        for name in useless:
            del self._kept[name]
        tidy = f"cd {self._folder} && rm -f {' '.join(useless)}\n"
        until = time.monotonic() + self._patience.cool_s
        said = False
        while True:
            state = self._adb.shell(tidy + state_script(self._folder))
            free_bytes, heat = read_free_bytes(state), read_heat(state)
            if free_bytes is not None and free_bytes < needed_bytes + _ROOM_BYTES:
                raise UserError(
                    f"{self.name} is full: {needed_bytes + _ROOM_BYTES:,} bytes are needed in {_PARENT}, "
                    f"{free_bytes:,} are free"
                )
            if not heat.is_above(self._patience.max_battery_c, self._patience.max_thermal_status):
                return
            if time.monotonic() >= until:
                logging.warning("%s stays warm (%s); measuring all the same.", self.name.capitalize(), heat)
                return
            if not said:
                logging.info("%s is warm (%s); letting it cool down.", self.name.capitalize(), heat)
                said = True
            time.sleep(self._patience.poll_s)

    def _streamed(self, stream: BatchStream) -> Iterator[tuple[int, ToolOutput]]:
        """Runs the batch's script.

        Raises:
            TimeoutError: a run takes too long.
            AdbError: the session ended before the batch did.
        """
        process = self._adb.start(f"sh {self._folder}/batch.sh")
        lines: queue.Queue[bytes | None] = queue.Queue()
        words: queue.Queue[bytes | None] = queue.Queue()
        for source, place in ((process.stdout, lines), (process.stderr, words)):
            threading.Thread(target=_read_lines, args=(source, place.put), daemon=True).start()
        try:
            while not stream.done:
                try:
                    line = lines.get(timeout=self._patience.run_s)
                except queue.Empty as error:
                    raise TimeoutError from error
                if line is None:
                    said = [word.decode(errors="replace").strip() for word in iter(words.get, None)]
                    raise AdbError(said[-1] if said else "the session ended early", lost=True)
                yield from stream.feed(line.decode(errors="replace"))
        finally:
            process.kill()
            process.wait()

    def _wait_for_return(self, error: AdbError) -> None:
        logging.warning("%s: %s; waiting for it to come back.", self.name.capitalize(), error)
        until = time.monotonic() + self._patience.return_s
        while self._adb.state() != "device":
            self._adb.reconnect()
            if self._adb.state() == "device":
                break
            if time.monotonic() >= until:
                raise UserError(
                    f"{self.name} went away and did not come back within {self._patience.return_s:g} s: {error}; what "
                    "was measured is kept"
                ) from error
            time.sleep(self._patience.poll_s)
        with contextlib.suppress(AdbError):
            self._adb.shell(f"cd {self._folder} && {KILL}")

    def _given_up(
        self, waiting: dict[int, ToolRun], number: int | None, why: str
    ) -> Iterator[tuple[int, MeasurementError]]:
        if number is None:
            raise UserError(f"{self.name}: {why}")
        del waiting[number]
        yield number, MeasurementError(why)

    def _hung(self) -> str:
        return f"no answer within {self._patience.run_s:g} s: the tool hangs on this model on {self.name}"

    @contextlib.contextmanager
    def _user_errors(self) -> Iterator[None]:
        try:
            yield
        except AdbError as error:
            raise UserError(f"{self.name}: {error}") from error


def _read_lines(source: IO[bytes], put: Callable[[bytes | None], None]) -> None:
    for line in source:
        put(line)
    put(None)


def _fitting(name: str, facts: Facts, binaries: Sequence[ToolBinary]) -> ToolBinary:
    for abi in facts.abis:
        for binary in binaries:
            if binary.abi == abi:
                return binary
    given = ", ".join(f"{binary.path} ({binary.abi or 'ABI unknown'})" for binary in binaries) or "none"
    runs = ", ".join(facts.abis) or "no ABI that it names"
    raise UserError(f"{name} ({facts.model}) runs {runs}; --benchmark_model names {given}")


def _pinned(name: str, facts: Facts, target: Target) -> tuple[int, ...]:
    """The cores that the tool is pinned to: the fastest, or for a GPU all but the slowest; none if it cannot be."""
    mask = target.option("cores")
    if mask and not facts.has_taskset:
        raise UserError(f"{name} has no taskset; leave out cores={mask}")
    if mask:
        return cores_of(mask)
    if not facts.has_taskset or not facts.core_khz:
        logging.warning("%s does not tell how fast its cores are, or has no taskset; nothing is pinned.", name)
        return ()
    if target.delegate != "cpu":
        return tuple(core for core, khz in facts.core_khz.items() if khz > min(facts.core_khz.values()))
    if len(facts.core_khz) < target.threads:
        raise UserError(f"{target} asks for {target.threads} threads; {name} has {len(facts.core_khz)} cores")
    return big_cores(facts.core_khz, target.threads)
