"""How adb's words are read, where the real client cannot be made to say them: a script in its place."""

import pytest

from tflite_bench.adb import Adb, AdbError, choose_devices
from tflite_bench.errors import UserError


@pytest.fixture
def saying(tmp_path, monkeypatch):
    """Puts a client first on the path that runs the given shell commands."""

    def put(body: str) -> None:
        (tmp_path / "adb").write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / "adb").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return put


def test_what_the_server_says_before_the_list_is_no_device(saying):
    saying(
        'echo "adb server version (32) doesn\'t match this client (41); killing..."\n'
        "echo '* daemon started successfully'\necho 'List of devices attached'\n"
        "echo 'A1  device product:x model:Pixel_3 device:blueline'"
    )
    assert [adb.serial for adb in choose_devices(())] == ["A1"]


@pytest.mark.parametrize(
    ("state", "cure"),
    [
        ("no permissions (missing udev rules?); see [http://developer.android.com]", "USB port"),
        ("recovery", "start Android"),
        ("authorizing", "wait"),
        ("host", "see `adb devices`"),
    ],
)
def test_every_state_that_is_not_ready_has_its_cure(saying, state, cure):
    saying(f"echo 'List of devices attached'; echo 'A1 {state}'")
    with pytest.raises(UserError, match=cure):
        choose_devices(())


def test_the_client_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="adb client, which is not installed"):
        choose_devices(())


def test_a_server_that_cannot_start_is_no_traceback(saying):
    saying("echo 'cannot bind listener' >&2; exit 1")
    with pytest.raises(UserError, match="cannot bind listener"):
        choose_devices(())


def test_a_client_that_hangs_is_given_up(saying):
    saying("exec sleep 60")
    with pytest.raises(AdbError, match=r"no answer within 0\.3 s"):
        Adb("A1", timeout_s=0.3).shell("true")


def test_output_that_is_no_text_is_read_all_the_same(saying):
    saying("printf '\\377\\n'; eval \"$(printf '%s' \"$4\" | tail -n 1)\"")
    assert Adb("A1").shell("anything") == "\ufffd\n"


@pytest.mark.parametrize(
    ("words", "lost"), [("error: closed", True), ("adb: error: failed to copy: Permission denied", False)]
)
def test_a_push_that_fails_is_the_phones_fault_or_not(saying, tmp_path, words, lost):
    listing = "printf 'List of devices attached\\nA1 device\\n'"
    saying(f"case $1 in devices) {listing};; *) echo '{words}' >&2; exit 1;; esac")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(AdbError) as failed:
        Adb("A1").push([tmp_path / "file"], "/data/")
    assert failed.value.lost == lost
