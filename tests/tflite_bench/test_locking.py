import logging
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tflite_bench import locking
from tflite_bench.locking import Lock, measuring_lock

WAITING = "Waiting: %s is measuring."


class Holder:
    """Another process that holds a lock until it is told to let go, or is killed."""

    def __init__(self, path: Path) -> None:
        code = (
            "import sys, pathlib\n"
            "from tflite_bench.locking import measuring_lock\n"
            "with measuring_lock(pathlib.Path(sys.argv[1])).held():\n"
            "    print('held', flush=True)\n"
            "    sys.stdin.read()\n"
        )
        command = [sys.executable, "-c", code, str(path)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"

    def end_in(self, delay_s: float) -> None:
        assert self.process.stdin is not None
        threading.Timer(delay_s, self.process.stdin.close).start()


def wait_for(lock: Lock, holder: Holder) -> None:
    holder.end_in(0.3)
    with lock.held():
        assert holder.process.wait() == 0


def test_the_second_waits_and_is_told_who_measures(tmp_path, caplog):
    path = tmp_path / "lock"
    holder = Holder(path)
    wait_for(Lock(path, WAITING, patience_s=0.0), holder)
    assert f"Waiting: process {holder.process.pid} ({sys.executable} -c " in caplog.text
    assert caplog.text.rstrip().endswith("is measuring.")


def test_a_holder_is_named_once_however_often_it_is_waited_for(tmp_path, caplog):
    lock = Lock(tmp_path / "lock", WAITING, patience_s=0.0)
    for _ in range(3):
        waiting = threading.Thread(target=enter, args=[lock])
        with measuring_lock(tmp_path / "lock").held():
            waiting.start()
            time.sleep(0.1)
        waiting.join()
    assert caplog.text.count("Waiting: ") == 1


@pytest.mark.parametrize(("pause_s", "named"), [(locking._SAID_AGAIN_S, 1), (0.0, 2)])
def test_another_holder_is_named_when_the_last_one_was_half_a_minute_ago(tmp_path, caplog, monkeypatch, pause_s, named):
    monkeypatch.setattr(locking, "_SAID_AGAIN_S", pause_s)
    lock = Lock(tmp_path / "lock", WAITING, patience_s=0.0)
    for _ in range(2):
        wait_for(lock, Holder(tmp_path / "lock"))
    assert caplog.text.count("Waiting: process ") == named


def enter(lock: Lock) -> None:
    with lock.held():
        pass


def test_those_that_take_turns_say_nothing(tmp_path, caplog):
    with measuring_lock(tmp_path / "lock").held():
        waiting = threading.Thread(target=enter, args=[measuring_lock(tmp_path / "lock")])
        waiting.start()
        time.sleep(0.1)
    waiting.join()
    assert "Waiting" not in caplog.text


@pytest.mark.parametrize("patience_s", [0.0, 60.0])
def test_first_come_first_served(tmp_path, caplog, patience_s):
    caplog.set_level(logging.ERROR)
    order: list[int] = []

    def come(number: int) -> None:
        with Lock(tmp_path / "lock", WAITING, patience_s).held():
            order.append(number)

    numbers = range(6)
    with measuring_lock(tmp_path / "lock").held():
        threads = [threading.Thread(target=come, args=[number]) for number in numbers]
        for thread in threads:
            thread.start()
            time.sleep(0.05)
    come(len(numbers))  # whoever lets go and comes back is the last
    for thread in threads:
        thread.join()
    assert order == [*numbers, len(numbers)]


def test_free_again_after_use_and_nothing_is_left(tmp_path):
    for _ in range(2):
        enter(measuring_lock(tmp_path / "lock"))
    wait_for(measuring_lock(tmp_path / "lock"), Holder(tmp_path / "lock"))
    assert [file.name for file in tmp_path.iterdir()] == ["lock"]


def test_the_ticket_of_a_process_that_was_killed_holds_nobody_up(tmp_path):
    for number in (3, 7):
        (tmp_path / f"lock.ticket-{number}").touch()
    wait_for(measuring_lock(tmp_path / "lock"), Holder(tmp_path / "lock"))
    assert [file.name for file in tmp_path.iterdir()] == ["lock"]


def test_where_files_cannot_be_linked_there_is_no_order_and_one_holds_it_all_the_same(tmp_path, monkeypatch):
    def link(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(locking.os, "link", link)
    wait_for(measuring_lock(tmp_path / "lock"), Holder(tmp_path / "lock"))
