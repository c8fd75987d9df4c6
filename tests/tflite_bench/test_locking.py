import subprocess
import sys
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
    with measuring_lock(path):
        waited_s = time.monotonic() - begin
    holder.wait()
    assert waited_s > 0.3
    assert f"process {holder.pid} is measuring" in caplog.text


def test_free_again_after_use(tmp_path):
    for _ in range(2):
        with measuring_lock(tmp_path / "lock"):
            pass
