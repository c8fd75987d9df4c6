"""A phone that behaves: what is asked of it, in how many calls, and what is believed."""

import time
from collections.abc import Generator

import pytest

from tests.emulated_android import ToolFault, fake_elf
from tests.tflite_bench.phones import (
    CPU,
    GPU,
    PATIENCE,
    QUICK,
    a_run_goes_on,
    all_runs_end,
    meters,
    phones,
    remote_files,
    times,
)
from tests.tflite_bench.taking_turns import waits_for
from tflite_bench.benchmark_output import MEDIAN
from tflite_bench.errors import UserError
from tflite_bench.locking import cache_folder, measuring_lock
from tflite_bench.meters import Meters
from tflite_bench.reference import almost_empty_model, reference_network
from tflite_bench.target import parse_target
from tflite_bench.timing import Job, Pair, Reading


class TestABatch:
    def test_is_one_push_one_session_and_one_look_at_the_phone(self, phone, binary, models):
        with meters(binary) as ways:
            meter = ways.of(parse_target(CPU))
            commands, pushes = len(phone.shell_commands), len(phone.pushes)
            answers = times(meter, models)
            assert all(isinstance(answer, Reading) for answer in answers)
            assert len(phone.shell_commands) - commands == 2
            pushed = [path.rpartition("/")[2] for path, _ in phone.pushes[pushes:]]
            assert len(pushed) == len(models) + 1
            assert "batch.sh" in pushed

    def test_waits_for_whoever_measures_on_the_phone(self, phone, binary, models, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        with meters(binary) as ways:
            meter = ways.of(parse_target(CPU))
            (lock,) = cache_folder().glob("phone-*.lock")
            assert waits_for(measuring_lock(lock), lambda: times(meter, models[:1]))

    def test_pushes_a_model_once(self, phone, binary, models):
        with meters(binary) as ways:
            meter = ways.of(parse_target(CPU))
            times(meter, [models[0]] * 3)
            pushes = len(phone.pushes)
            times(meter, models[:2])
            assert len(phone.pushes) - pushes == 2  # the second model, and the script

    def test_leaves_nothing_on_the_phone(self, phone, binary, models):
        with meters(binary) as ways:
            times(ways.of(parse_target(CPU)), models)
            assert any(name.startswith("netadapt_tf.") for name in remote_files(phone))
        assert remote_files(phone) == []

    def test_is_pinned_to_the_fastest_cores_which_the_fingerprint_says(self, adb_server, binary):
        with phones(adb_server, {"core_khz": [1766400, 2803200, 2419200, 1766400]}) as [phone]:
            for target, mask in ((CPU, "2"), (f"android/cpu:2,{QUICK}", "6"), (f"{CPU},cores=9", "9")):
                with meters(binary) as ways:
                    assert ways.of(parse_target(target)).fingerprint()["pinning"] == f"taskset {mask}"
                assert phone.masks[-1] == mask

    @pytest.mark.parametrize(
        ("cores", "complaint"),
        [("0", "the mask holds 0 cores, for 1 threads"), ("f00", r"has the cores 0, .*, 7 switched on, and not 8")],
    )
    def test_is_not_pinned_to_cores_that_there_are_not(self, phone, binary, cores, complaint):
        with meters(binary) as ways, pytest.raises(UserError, match=complaint):
            ways.of(parse_target(f"{CPU},cores={cores}"))

    def test_that_is_left_half_way_is_ended_on_the_phone(self, phone, binary, models):
        with meters(binary) as ways:
            meter = ways.of(parse_target(CPU))
            phone.fail(ToolFault.HANG, models[1])
            answers = meter.time_all([Job(model, loads=1) for model in models])
            next(answers)
            assert a_run_goes_on(phone), "nothing is left half way"
            assert isinstance(answers, Generator)
            answers.close()
            assert all_runs_end(phone)
            phone.heal()
            runs = len(phone.runs)
            times(meter, models[:1])
            assert len(phone.runs) == runs + 1

    def test_is_not_pinned_where_the_phone_does_not_tell_how_fast_its_cores_are(self, adb_server, binary):
        with phones(adb_server, {"core_khz": []}) as [phone], meters(binary) as ways:
            assert ways.of(parse_target(CPU)).fingerprint()["pinning"] == "none"
            assert phone.masks == []

    def test_compares_two_models_in_turn(self, phone, binary, models):
        with meters(binary) as ways:
            compared = ways.of(parse_target(CPU)).compare(Pair(reference_network(), models[0]))
        assert compared.loads >= 7
        assert 0 < compared.ratio < 1


class TestTheFingerprint:
    def test_says_what_the_phone_is_and_not_whose(self, phone, binary):
        with meters(binary) as ways:
            fingerprint = ways.of(parse_target(f"android:{phone.serial}/cpu:1,{QUICK}")).fingerprint()
        assert fingerprint["model"] == "Emulated Phone 3"
        assert fingerprint["soc"] == "SDM845"
        assert fingerprint["android"] == "12"
        assert fingerprint["core_mhz"] == "1766 1766 1766 1766 2803 2803 2803 2803"
        assert fingerprint["tool"] == "TensorFlow Lite benchmark_model"
        assert phone.serial not in str(fingerprint)
        assert "EMULATED0001" not in str(fingerprint)


class TestChoosingAPhone:
    def test_none_is_connected(self, adb_server, binary):
        with meters(binary) as ways, pytest.raises(UserError, match=r"no Android device is connected.*USB debugging"):
            ways.of(parse_target(CPU))

    def test_several_are_and_none_is_named(self, adb_server, binary):
        with (
            phones(adb_server, {}, {"properties": {"ro.product.model": "Other"}}) as both,
            meters(binary) as ways,
            pytest.raises(UserError, match="several devices are connected") as refused,
        ):
            ways.of(parse_target(CPU))
        assert all(device.serial in str(refused.value) for device in both)
        assert "Other" in str(refused.value)

    def test_one_is_named_that_is_not_there(self, phone, binary):
        with meters(binary) as ways, pytest.raises(UserError, match=f"device X1 is not connected.*{phone.serial}"):
            ways.of(parse_target(f"android:X1/cpu:1,{QUICK}"))

    def test_it_is_unauthorized(self, adb_server, binary):
        with (
            phones(adb_server, {"unauthorized": True}),
            meters(binary) as ways,
            pytest.raises(UserError, match="unauthorized: unlock it"),
        ):
            ways.of(parse_target(CPU))

    def test_it_is_offline(self, phone, adb_server, binary):
        phone.vanish()
        with meters(binary) as ways, pytest.raises(UserError, match="offline: plug it in again"):
            ways.of(parse_target(CPU))

    def test_the_binary_is_for_another_abi(self, phone, tmp_path):
        path = tmp_path / "for_pc"
        path.write_bytes(fake_elf(62))
        with meters(str(path)) as ways, pytest.raises(UserError, match=r"runs arm64-v8a.*for_pc \(x86_64\)"):
            ways.of(parse_target(CPU))

    def test_the_binary_is_named_for_an_abi_that_it_is_not_built_for(self, tmp_path):
        path = tmp_path / "for_pc"
        path.write_bytes(fake_elf(62))
        with pytest.raises(UserError, match="built for x86_64, not for arm64-v8a"):
            meters(f"arm64-v8a:{path}")

    def test_the_binary_of_the_phones_best_abi_is_taken(self, phone, tmp_path, binary):
        path = tmp_path / "for_arm32"
        path.write_bytes(fake_elf(40))
        with Meters([str(path), binary], PATIENCE) as ways:
            ways.of(parse_target(CPU))
        assert phone.runs[-1].exit_status == 0

    def test_the_binary_is_no_such_tool(self, phone, tmp_path):
        path = tmp_path / "tool"
        path.write_text("#!/bin/sh\necho hello\n")
        with (
            meters(f"arm64-v8a:{path}") as ways,
            pytest.raises(UserError, match="does not answer --help as TensorFlow Lite's or LiteRT's"),
        ):
            ways.of(parse_target(CPU))
        assert remote_files(phone) == []


class TestHeat:
    def test_a_warm_phone_is_waited_for(self, phone, binary, models):
        with meters(binary) as ways:
            meter = ways.of(parse_target(CPU))
            phone.set_battery_temperature(412, 399, 301)
            commands = len(phone.shell_commands)
            times(meter, models[:1])
        looks = [command for command in phone.shell_commands[commands:] if "dumpsys battery" in command]
        assert len(looks) == 3

    def test_one_that_throttles_is_waited_for_and_at_last_measured_all_the_same(self, phone, binary, models):
        with meters(binary) as ways:
            meter = ways.of(parse_target(CPU))
            phone.set_thermal_status(2)
            assert isinstance(times(meter, models[:1])[0], Reading)
            begin = time.monotonic()
            times(meter, models[:1])
            assert time.monotonic() - begin < PATIENCE.cool_s, "a warmth that does not pass was waited for again"
            phone.set_thermal_status(3, 0)
            commands = len(phone.shell_commands)
            times(meter, models[:1])
        looks = [command for command in phone.shell_commands[commands:] if "dumpsys battery" in command]
        assert len(looks) == 2


class TestTheGpu:
    def test_its_number_is_believed_when_the_tool_confirms_it(self, adb_server, binary):
        with phones(adb_server, {"gpu": True, "gpu_fixed_ms": 2.0}) as [phone], meters(binary) as ways:
            meter = ways.of(parse_target(GPU))
            empty, reference = times(meter, [almost_empty_model(True), reference_network()])
        assert isinstance(empty, Reading)
        assert isinstance(reference, Reading)
        assert min(empty.latency_ms, reference.latency_ms) > 1.9
        assert "--require_full_delegation=true" in phone.runs[-1].argv
        assert meter.procedure.delegated

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            ({"gpu": False}, "knows no --use_gpu"),
            ({"gpu": "unsupported"}, "GPU acceleration is unsupported on this platform"),
            ({"gpu": True, "gpu_partial": True}, "Disallowed CPU fallback"),
        ],
    )
    def test_never_a_number_of_the_cpu(self, adb_server, binary, options, complaint):
        with phones(adb_server, options), meters(binary) as ways, pytest.raises(UserError, match=complaint):
            ways.of(parse_target(GPU))


class TestTheNewerTool:
    def test_its_median_comes_from_the_protobuf(self, phone, tmp_path, models):
        path = tmp_path / "litert"
        path.write_bytes(fake_elf(flavour="litert"))
        with meters(str(path)) as ways:
            meter = ways.of(parse_target(CPU))
            assert meter.fingerprint()["tool"] == "LiteRT benchmark_model"
            assert MEDIAN in meter.procedure.statistic
            assert all(isinstance(answer, Reading) for answer in times(meter, models))
            phone.fail(ToolFault.NO_PROTOBUF, models[0])
            answers = times(meter, models[:2])
        assert "reports a mean here; readings of this target are a median" in str(answers[0])
        assert isinstance(answers[1], Reading)

    def test_without_protobufs_all_readings_are_means(self, phone, tmp_path, models):
        path = tmp_path / "litert"
        path.write_bytes(fake_elf(flavour="litert"))
        phone.fail(ToolFault.NO_PROTOBUF)
        with meters(str(path)) as ways:
            meter = ways.of(parse_target(CPU))
            assert "the mean of one start" in meter.procedure.statistic
            assert all(isinstance(answer, Reading) for answer in times(meter, models))


class TestNothingRunsAsCode:
    @pytest.mark.parametrize(
        "value", ["a b", "$(touch pwned)", "`touch pwned`", ";touch pwned", "'\";touch pwned;'", "&& touch pwned", "|x"]
    )
    def test_option_values_are_plain_text_to_both_shells(
        self, adb_server, binary, models, value, tmp_path, monkeypatch
    ):
        monkeypatch.chdir(tmp_path)
        with phones(adb_server, {}) as [phone], meters(binary) as ways:
            times(ways.of(parse_target(f"{CPU},external_delegate_options={value}")), models[:1])
            assert f"--external_delegate_options={value}" in phone.runs[-1].argv
            assert not list(phone.files.root.rglob("pwned"))
        assert not (tmp_path / "pwned").exists()

    @pytest.mark.parametrize("serial", ["$(touch pwned)", ";touch pwned", "`touch pwned`", "-P", "'x'"])
    def test_serials_are(self, phone, binary, serial, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(UserError), meters(binary) as ways:
            ways.of(parse_target(f"android:{serial}/cpu:1"))
        assert not (tmp_path / "pwned").exists()

    def test_paths_are(self, phone, tmp_path, models, monkeypatch):
        monkeypatch.chdir(tmp_path)
        folder = tmp_path / "a b;touch pwned $(touch pwned) `touch pwned`\n'\""
        folder.mkdir()
        (folder / "-tool").write_bytes(fake_elf())
        with meters(str(folder / "-tool")) as ways:
            assert isinstance(times(ways.of(parse_target(CPU)), models[:1])[0], Reading)
        assert not list(phone.files.root.rglob("pwned"))
        assert not (tmp_path / "pwned").exists()
