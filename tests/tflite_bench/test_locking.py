import subprocess
import sys
import threading
import time

from tflite_bench.locking import measuring_lock


def test_the_second_waits_and_is_told_who_measures(tmp_path, caplog):
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time, pathlib\n"
            "from tflite_bench.locking import measuring_lock\n"
            "with measuring_lock(pathlib.Path(sys.argv[1])):\n"
            "    print('held', flush=True)\n"
            "    time.sleep(1.0)\n",
            str(path),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    begin = time.monotonic()
    with measuring_lock(path, patience_s=0.0):
        waited_s = time.monotonic() - begin
    holder.wait()
    assert waited_s > 0.3
    assert f"Waiting: process {holder.pid} ({sys.executable} -c " in caplog.text
    assert caplog.text.rstrip().endswith("is measuring on this machine.")


def test_those_that_take_turns_say_nothing(tmp_path, caplog):
    with measuring_lock(tmp_path / "lock"):
        waiting = threading.Thread(target=lambda: measuring_lock(tmp_path / "lock").__enter__())
        waiting.start()
        time.sleep(0.1)
    waiting.join()
    assert "Waiting" not in caplog.text


def test_free_again_after_use(tmp_path):
    for _ in range(2):
        with measuring_lock(tmp_path / "lock"):
            pass
