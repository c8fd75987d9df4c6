"""Starting the tool `benchmark_model` on an Android phone, over adb: a batch of models in one push and one session."""

import contextlib
import hashlib
import queue
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from absl import logging

from tflite_bench.adb import READY, Adb, AdbError
from tflite_bench.benchmark_model import ToolBinary, ToolRun, read_help
from tflite_bench.benchmark_output import ToolOutput
from tflite_bench.errors import MeasurementError, UserError
from tflite_bench.locking import cache_folder, measuring_lock
from tflite_bench.phone_facts import FACTS_SCRIPT, Heat, core_mask, read_facts, read_heat
from tflite_bench.phone_folder import MAX_BYTES, PhoneFolder, model_file
from tflite_bench.phone_script import KILL, BatchStream, batch_script
from tflite_bench.phone_setup import fitting_binary, pinned_cores
from tflite_bench.target import Target

_TOOL = "benchmark_model"
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
    cool_s: float = 900.0
    poll_s: float = 5.0
    max_battery_c: float = 38.0
    max_thermal_status: int = 0


class Phone:
    """A phone, the tool on it, and a folder that is removed at the end.

    Attributes:
        name: for messages.
        identity: of this very phone, whatever its serial is.
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
        self._folder = PhoneFolder(adb, self.name)
        self._bearable: Heat | None = None
        try:
            self._facts = read_facts(adb.shell(FACTS_SCRIPT))
            self.identity = self._facts.identity or adb.serial
            digest = hashlib.sha256(self.identity.encode()).hexdigest()
            self._lock = measuring_lock(cache_folder() / f"phone-{digest[:16]}.lock")
            self.binary = fitting_binary(self.name, self._facts, binaries)
            self._cores = pinned_cores(self.name, self._facts, target)
            with self._lock.held():
                self._folder.make()
                self._folder.put({_TOOL: self.binary.path.read_bytes()})
                answer = self._folder.shell(f"chmod 755 {_TOOL}\n./{_TOOL} --help 2>&1\n:")
            self.tool = read_help(answer, self.binary.path)
        except AdbError as error:
            self.close()
            raise UserError(f"{self.name}: {error}") from error
        except BaseException:
            self.close()
            raise

    def run_all(self, runs: Sequence[ToolRun]) -> Iterator[tuple[int, ToolOutput | MeasurementError]]:
        """Starts the tool for every run in one session; goes on after a broken connection or a hang.

        A run during which the phone went away is tried once more; then it counts as failed. The phone is held while
        the iterator is: one at a time.

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
                with self._lock.held():
                    self._bring(_first_that_fit(waiting), stream.token)
                    for number, output in self._streamed(stream):
                        del waiting[number]
                        yield number, output
            except TimeoutError as error:
                yield self._given_up(waiting, stream.running, str(error))
            except AdbError as error:
                fruitless = fruitless + 1 if len(waiting) == left else 0
                if fruitless == _MAX_FRUITLESS or not error.lost:
                    raise UserError(f"{self.name}: {error}") from error
                self._wait_for_return(error)
                if stream.running is not None:
                    blamed[stream.running] += 1
                    if blamed[stream.running] == _MAX_BLAMED:
                        why = f"{self.name} went away each time it ran this model: {error}"
                        yield self._given_up(waiting, stream.running, why)
                        fruitless = 0

    def fingerprint(self) -> Mapping[str, str | int]:
        """The kind of phone, and the cores that the tool is pinned to."""
        pinning = f"taskset {core_mask(self._cores)}" if self._cores else "none"
        return {**self._facts.fingerprint(), "pinning": pinning}

    def close(self) -> None:
        """Removes everything of ours from the phone, if that is still there."""
        self._folder.remove()

    def _bring(self, runs: Mapping[int, ToolRun], token: str) -> None:
        """Brings what is missing of the runs' models, and the batch's script, in one push; cools down before."""
        files = {number: model_file(run.model) for number, run in runs.items()}
        models = {files[number]: run.model for number, run in runs.items()}
        self._wait_until_cool(models)
        command = ["taskset", core_mask(self._cores)] if self._cores else []
        self._folder.bring(models, batch_script(runs, files, [*command, f"./{_TOOL}"], token))

    def _wait_until_cool(self, models: Mapping[str, bytes]) -> None:
        """Waits while the phone is warm, so that batches are alike; not again for a warmth that does not pass."""
        until = time.monotonic() + self._patience.cool_s
        said = False
        while True:
            heat = read_heat(self._folder.look(models))
            too_warm = heat.is_above(self._patience.max_battery_c, self._patience.max_thermal_status)
            if not too_warm or (self._bearable and not heat.is_above(*self._bearable.limits())):
                return
            if time.monotonic() >= until:
                logging.warning("On %s it stays warm (%s); measuring all the same.", self.name, heat)
                self._bearable = heat
                return
            if not said:
                logging.info("Letting %s cool down (%s).", self.name, heat)
                said = True
            time.sleep(self._patience.poll_s)

    def _streamed(self, stream: BatchStream) -> Iterator[tuple[int, ToolOutput]]:
        """Runs the batch's script; ends it on the phone where it is not through.

        Raises:
            TimeoutError: a run takes too long, though the phone is there.
            AdbError: the session ended before the batch did.
        """
        process = self._adb.start(f"sh {self._folder.path}/batch.sh")
        lines: queue.Queue[bytes | None] = queue.Queue()
        words: queue.Queue[bytes | None] = queue.Queue()
        for source, place in ((process.stdout, lines), (process.stderr, words)):
            threading.Thread(target=_read_lines, args=(source, place.put), daemon=True).start()
        try:
            while not stream.done:
                line = lines.get(timeout=self._patience.run_s)
                if line is None:
                    said = [word.decode(errors="replace").strip() for word in iter(words.get, None)]
                    raise AdbError(said[-1] if said else "the session ended early", lost=True)
                yield from stream.feed(line.decode(errors="replace"))
        except queue.Empty:
            process.kill()
            self._folder.shell(KILL)
            raise TimeoutError(
                f"no answer within {self._patience.run_s:g} s: the tool hangs on this model on {self.name}"
            ) from None
        finally:
            process.kill()
            process.wait()
            if not stream.done:
                with contextlib.suppress(AdbError):
                    self._folder.shell(KILL)

    def _wait_for_return(self, error: AdbError) -> None:
        logging.warning("Waiting for %s to come back: %s.", self.name, error)
        until = time.monotonic() + self._patience.return_s
        while self._adb.state() != READY:
            self._adb.reconnect()
            if self._adb.state() == READY:
                break
            if time.monotonic() >= until:
                raise UserError(
                    f"{self.name} went away and did not come back within {self._patience.return_s:g} s: {error}; what "
                    "was measured is kept"
                ) from error
            time.sleep(self._patience.poll_s)
        with contextlib.suppress(AdbError):
            self._folder.shell(KILL)

    def _given_up(self, waiting: dict[int, ToolRun], number: int | None, why: str) -> tuple[int, MeasurementError]:
        if number is None:
            raise UserError(f"{self.name}: {why}")
        del waiting[number]
        return number, MeasurementError(why)


def check_different(phones: Sequence[Phone]) -> None:
    """Sees that no phone is named twice, by USB and by network for example: it would measure beside itself.

    Raises:
        UserError: one is.
    """
    names: dict[str, str] = {}
    for phone in phones:
        if phone.identity in names:
            raise UserError(f"{names[phone.identity]} and {phone.name} are one and the same; name it once")
        names[phone.identity] = phone.name


def _first_that_fit(runs: Mapping[int, ToolRun]) -> dict[int, ToolRun]:
    """The first runs whose models a batch may bring, at least one."""
    chosen: dict[int, ToolRun] = {}
    models: set[bytes] = set()
    for number, run in runs.items():
        models.add(run.model)
        if chosen and sum(map(len, models)) > MAX_BYTES:
            break
        chosen[number] = run
    return chosen


def _read_lines(source: IO[bytes], put: Callable[[bytes | None], None]) -> None:
    for line in source:
        put(line)
    put(None)
