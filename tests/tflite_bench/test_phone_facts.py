import dataclasses
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tflite_bench.phone_facts import (
    FACTS_SCRIPT,
    Heat,
    big_cores,
    core_mask,
    read_facts,
    read_free_bytes,
    read_heat,
    state_script,
)
from tflite_bench.target import parse_target

PIXEL_3 = (
    """\
ro.product.manufacturer=Google
ro.product.model=Pixel 3
ro.soc.model=
ro.board.platform=sdm845
ro.hardware=blueline
ro.build.version.release=10
ro.build.id=QP1A.190711.020
ro.build.version.security_patch=2019-09-05
ro.product.cpu.abilist=arm64-v8a,armeabi-v7a,armeabi
ro.product.cpu.abi=arm64-v8a
"""
    + "".join(
        f"/sys/devices/system/cpu/cpu{core}/cpufreq/cpuinfo_max_freq={1766400 if core < 4 else 2803200}\n"
        for core in range(8)
    )
    + "taskset=/system/bin/taskset\n"
)
BATTERY = """\
Current Battery Service state:
  AC powered: false
  USB powered: true
  Max charging current: 500000
  status: 2
  health: 2
  present: true
  level: 87
  scale: 100
  voltage: 4235
  temperature: 279
  technology: Li-ion
"""
THERMAL = """\
IsStatusOverride: false
ThermalEventListeners:
	callbacks: 2
Thermal Status: 1
Cached temperatures:
 Temperature{mValue=44.6, mType=0, mName=CPU0, mStatus=0}
HAL Ready: true
"""
DF = """\
Filesystem      1K-blocks     Used Available Use% Mounted on
/dev/block/dm-5 111613668 60322840  51144368  55% /data
"""
KHZ = {0: 1_700_000, 1: 1_700_000, 2: 2_400_000, 3: 2_400_000, 4: 2_800_000}


def test_a_phone_says_what_it_is():
    facts = read_facts(PIXEL_3)
    assert facts.model == "Google Pixel 3"
    assert facts.soc == "sdm845"
    assert facts.android == "10"
    assert facts.build == "QP1A.190711.020 2019-09-05"
    assert facts.abis == ("arm64-v8a", "armeabi-v7a", "armeabi")
    assert facts.core_khz == {core: 1766400 if core < 4 else 2803200 for core in range(8)}
    assert facts.has_taskset


def test_line_ends_of_old_phones_change_nothing():
    assert read_facts(PIXEL_3.replace("\n", "\r\n")) == read_facts(PIXEL_3)
    assert read_heat((BATTERY + THERMAL).replace("\n", "\r\n")) == read_heat(BATTERY + THERMAL)
    assert read_free_bytes(DF.replace("\n", "\r\n")) == read_free_bytes(DF)


def test_the_fingerprint_holds_what_readings_depend_on():
    assert read_facts(PIXEL_3).fingerprint() == {
        "model": "Google Pixel 3",
        "soc": "sdm845",
        "android": "10",
        "build": "QP1A.190711.020 2019-09-05",
        "core_mhz": "1766 1766 1766 1766 2803 2803 2803 2803",
    }


def test_a_phone_that_says_nothing_is_unknown():
    facts = read_facts("")
    assert {facts.model, facts.soc, facts.android, facts.build} == {"unknown"}
    assert (facts.abis, facts.core_khz, facts.has_taskset) == ((), {}, False)
    assert read_facts("taskset=\n") == facts


def test_the_chip_is_named_as_well_as_the_phone_can():
    newer = PIXEL_3.replace("ro.soc.model=", "ro.soc.model=GS101")
    bare = PIXEL_3.replace("ro.board.platform=sdm845", "ro.board.platform=")
    assert [read_facts(text).soc for text in (newer, bare)] == ["GS101", "blueline"]


def test_an_old_phone_names_one_abi():
    facts = read_facts(PIXEL_3.replace("abilist=arm64-v8a,armeabi-v7a,armeabi", "abilist="))
    assert facts.abis == ("arm64-v8a",)


def test_cores_that_keep_their_frequency_to_themselves_are_left_out():
    lines = [line for line in PIXEL_3.splitlines() if "cpu3" not in line and "cpu7" not in line]
    assert sorted(read_facts("\n".join(lines)).core_khz) == [0, 1, 2, 4, 5, 6]


def test_the_script_for_facts_runs_where_nothing_is_android():
    result = subprocess.run(["/bin/sh", "-c", FACTS_SCRIPT], capture_output=True, text=True, timeout=10)
    facts = read_facts(result.stdout)
    assert result.returncode == 0
    assert facts.model == "unknown"


def test_the_script_for_the_state_ends_well_whatever_fails(tmp_path):
    result = subprocess.run(["/bin/sh", "-c", state_script(str(tmp_path))], capture_output=True, text=True, timeout=10)
    assert result.returncode == 0
    assert read_heat(result.stdout) == Heat(None, None)
    assert read_free_bytes(result.stdout) is not None


def test_heat_is_read_from_battery_and_thermal_service():
    assert read_heat(BATTERY + THERMAL) == Heat(27.9, 1)
    assert str(read_heat(BATTERY + THERMAL)) == "battery 27.9 degrees, thermal status 1"


@pytest.mark.parametrize(
    ("text", "heat"),
    [
        ("", Heat(None, None)),
        (BATTERY, Heat(27.9, None)),
        (THERMAL, Heat(None, 1)),
        ("Can't find service: thermalservice\n" + BATTERY.replace("279", "-35"), Heat(-3.5, None)),
        ("/system/bin/sh: dumpsys: not found\n", Heat(None, None)),
        ("  temperature: unknown\n", Heat(None, None)),
    ],
)
def test_heat_that_is_not_told_is_none(text, heat):
    assert read_heat(text) == heat


@pytest.mark.parametrize(
    ("heat", "above"),
    [
        (Heat(38.0, 0), False),
        (Heat(38.1, 0), True),
        (Heat(20.0, 1), True),
        (Heat(None, None), False),
        (Heat(None, 2), True),
        (Heat(45.0, None), True),
    ],
)
def test_what_is_not_told_is_not_waited_for(heat, above):
    assert heat.is_above(38.0, 0) == above


def test_room_is_what_is_available():
    assert read_free_bytes(BATTERY + THERMAL + DF) == 51144368 * 1024


@pytest.mark.parametrize(
    "text",
    [
        "",
        "df: /data/local/tmp: Permission denied\n",
        "Filesystem         Size     Used     Free   Blksize\n/data             25.3G    12.1G    13.2G   4096\n",
        DF.splitlines()[0] + "\n",
    ],
)
def test_room_that_is_not_told_is_none(text):
    assert read_free_bytes(text) is None


@pytest.mark.parametrize(
    ("threads", "cores"), [(1, (4,)), (2, (3, 4)), (3, (2, 3, 4)), (4, (1, 2, 3, 4)), (5, (0, 1, 2, 3, 4))]
)
def test_the_fastest_cores_are_taken(threads, cores):
    assert big_cores(KHZ, threads) == cores


def test_the_fastest_cores_need_not_have_the_highest_numbers():
    assert big_cores({0: 3_000_000, 1: 2_000_000, 2: 2_000_000, 3: 3_000_000}, 2) == (0, 3)


def test_masks_are_hexadecimal():
    assert core_mask((4, 5, 6, 7)) == "f0"
    assert parse_target("android/cpu:1,cores=f0").cores == (4, 5, 6, 7)
    assert parse_target("android/cpu:1").cores is None


@given(st.sets(st.integers(0, 63), min_size=1))
def test_a_mask_names_its_cores(cores):
    assert parse_target(f"android/cpu:1,cores={core_mask(sorted(cores))}").cores == tuple(sorted(cores))


@given(st.text(), st.text())
def test_no_text_is_a_defect(text, more):
    for garbled in (text, PIXEL_3[: len(text) * 7] + more, BATTERY + text + THERMAL + DF + more):
        assert dataclasses.asdict(read_facts(garbled))
        read_heat(garbled)
        read_free_bytes(garbled)
