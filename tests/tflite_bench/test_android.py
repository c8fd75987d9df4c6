import hashlib
import re
import threading
import time
from collections.abc import Generator

import pytest

from tests.emulated_android import EmulatedDevice, ToolFault, fake_elf
from tests.tflite_bench.phones import PATIENCE, QUICK, meters, phones
from tflite_bench.benchmark_output import MEDIAN
from tflite_bench.errors import MeasurementError, UserError
from tflite_bench.graph import Graph, sized
from tflite_bench.layer_models import one_layer_model
from tflite_bench.meters import Meters
from tflite_bench.reference import almost_empty_model, reference_network
from tflite_bench.target import parse_target
from tflite_bench.timing import Job, Pair, Reading

CPU = f"android/cpu:1,{QUICK}"
GPU = f"android/gpu,{QUICK}"


@pytest.fixture
def models(cnn_tflite) -> list[bytes]:
    """Five small models, each another."""
    graph = Graph(cnn_tflite)
    return [one_layer_model(graph, layer) for layer in sized(graph, {})[:5]]


def times(meter, models) -> list[Reading | MeasurementError]:
    jobs = [Job(model, loads=1, place=number) for number, model in enumerate(models)]
    answers: dict[int, Reading | MeasurementError] = dict(meter.time_all(jobs))
    return [answers[position] for position in range(len(models))]


def sha256(model: bytes) -> str:
    return hashlib.sha256(model).hexdigest()


def remote_files(phone: EmulatedDevice) -> list[str]:
    return [entry.name for entry in phone.files.local("/data/local/tmp").iterdir()]


def layer_runs(phone: EmulatedDevice) -> list[str]:
    """Models of the finished runs, but for the reference network's and those that failed."""
    others = ("", sha256(reference_network()))
    return [run.model_sha256 for run in phone.runs if run.exit_status == 0 and run.model_sha256 not in others]


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
            assert isinstance(answers, Generator)
            answers.close()
            assert all(run.end is not None for run in phone.runs)
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


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "complaint"),
        [
            (ToolFault.CRASH, "signal 11"),
            (ToolFault.GARBAGE, "printed no timings"),
            (ToolFault.TRUNCATED, "printed no timings"),
            (ToolFault.GARBAGE_PROTOBUF, "no BenchmarkResult|no latency"),
        ],
    )
    def test_the_tool_fails_on_one_model_and_the_rest_goes_on(self, phone, binary, models, fault, complaint):
        with meters(binary) as ways:
            meter = ways.of(parse_target(CPU))
            phone.fail(fault, models[2])
            answers = times(meter, models)
        assert re.search(complaint, str(answers[2]))
        assert all(isinstance(answer, Reading) for answer in answers[:2] + answers[3:])

    def test_without_a_protobuf_the_text_is_read(self, phone, binary, models):
        with meters(binary) as ways:
            meter = ways.of(parse_target(CPU))
            phone.fail(ToolFault.NO_PROTOBUF)
            assert all(isinstance(answer, Reading) for answer in times(meter, models))

    def test_the_tool_hangs_on_one_model(self, phone, binary, models):
        with meters(binary) as ways:
            meter = ways.of(parse_target(CPU))
            phone.fail(ToolFault.HANG, models[1])
            answers = times(meter, models)
            assert re.search(rf"no answer within 4 s.*hangs.*{phone.serial}", str(answers[1]))
            assert all(isinstance(answer, Reading) for answer in answers[:1] + answers[2:])
            assert all(run.end is not None for run in phone.runs)
        assert len(layer_runs(phone)) == len(set(layer_runs(phone)))

    @pytest.mark.parametrize("moment", ["in a push", "in a run", "between two runs"])
    def test_the_phone_goes_away_and_comes_back(self, phone, binary, models, moment):
        with meters(binary) as ways:
            meter = ways.of(parse_target(CPU))
            second = len(phone.runs) + 2
            if moment == "in a push":
                phone.vanish_in_push(1500, away_s=0.5)
            elif moment == "in a run":
                phone.fail(ToolFault.HANG, run=second)
                phone.vanish_in_run(second, away_s=0.5)
            else:
                phone.vanish_after_run(second, away_s=0.5)
            answers = times(meter, models)
        assert all(isinstance(answer, Reading) for answer in answers)
        assert phone.connections >= 2
        unheard_of = moment == "between two runs"  # the run ended, but the connection was gone
        assert len(layer_runs(phone)) == len(models) + unheard_of

    def test_the_phone_goes_away_each_time_it_runs_one_model(self, phone, binary, models):
        with meters(binary) as ways:
            meter = ways.of(parse_target(CPU))
            first = len(phone.runs) + 1
            phone.fail(ToolFault.HANG, models[0])
            phone.vanish_in_run(first, away_s=0.2)

            def again() -> None:
                while len(phone.runs) < first + 1:
                    time.sleep(0.01)
                phone.vanish(away_s=0.2)

            threading.Thread(target=again, daemon=True).start()
            answers = times(meter, models)
        assert re.search("went away each time it ran this model", str(answers[0]))
        assert all(isinstance(answer, Reading) for answer in answers[1:])

    def test_two_models_that_take_the_phone_with_them_cost_only_themselves(self, phone, binary, models):
        with meters(binary) as ways:
            meter = ways.of(parse_target(CPU))
            for model in models[:2]:
                phone.fail(ToolFault.HANG, model)
            over = threading.Event()

            def pull_the_plug() -> None:
                seen = len(phone.runs)
                while not over.wait(0.02):
                    if len(phone.runs) > seen and phone.runs[-1].end is None:
                        seen = len(phone.runs)
                        if phone.runs[-1].model_sha256 in (sha256(models[0]), sha256(models[1])):
                            phone.vanish(away_s=0.1)

            threading.Thread(target=pull_the_plug, daemon=True).start()
            answers = times(meter, models)
            over.set()
        assert all("went away each time" in str(answer) for answer in answers[:2])
        assert all(isinstance(answer, Reading) for answer in answers[2:])

    def test_what_was_left_running_is_ended_by_the_next_session(self, phone, adb_server, binary, models):
        with meters(binary) as ways:
            meter = ways.of(parse_target(CPU))
            phone.fail(ToolFault.HANG, models[0])
            phone.vanish_in_run(len(phone.runs) + 1)
            with pytest.raises(UserError, match="did not come back"):
                times(meter, models[:1])
        phone.come_back()
        phone.heal()
        adb_server.run("disconnect", phone.serial, check=False)
        adb_server.connect(phone.serial)
        with meters(binary) as ways:
            ways.of(parse_target(CPU))
            assert all(run.end is not None for run in phone.runs)

    def test_the_phone_goes_away_for_good(self, phone, binary, models):
        with meters(binary) as ways:
            meter = ways.of(parse_target(CPU))
            phone.vanish_after_run(len(phone.runs) + 3)
            answers = meter.time_all([Job(model, loads=1) for model in models])
            assert [next(answers)[0], next(answers)[0]] == [0, 1]
            with pytest.raises(UserError, match=rf"phone {phone.serial} went away and did not come back within 3 s"):
                next(answers)

    def test_the_disk_is_full(self, phone, binary, models):
        with meters(binary) as ways:
            meter = ways.of(parse_target(CPU))
            phone.available_kb = 0
            with pytest.raises(
                UserError, match=rf"phone {phone.serial} is full: [0-9,]+ bytes are needed.* 0 are free"
            ):
                times(meter, models)

    def test_the_disk_is_full_and_does_not_say_so_before(self, phone, binary):
        phone.available_kb = 0
        with meters(binary) as ways, pytest.raises(UserError, match=r"cannot be pushed.*No space left on device"):
            ways.of(parse_target(CPU))


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


class TestUnkindPhones:
    @pytest.mark.parametrize(
        "options",
        [
            {"shell_v2": False},
            {"missing": ("base64",)},
            {"missing": ("taskset", "find")},
            {"old_df": True},
            {"shell_v2": False, "missing": ("base64", "taskset", "find", "grep"), "old_df": True},
        ],
    )
    def test_are_measured_all_the_same(self, adb_server, binary, models, options):
        with phones(adb_server, options) as [phone]:
            with meters(binary) as ways:
                meter = ways.of(parse_target(CPU))
                phone.fail(ToolFault.CRASH, models[0])
                answers = times(meter, models)
            assert remote_files(phone) == []
        assert "signal 11" in str(answers[0])
        assert all(isinstance(answer, Reading) for answer in answers[1:])
        assert (meter.fingerprint()["pinning"] == "none") == ("taskset" in options.get("missing", ()))

    def test_cores_that_are_switched_off_are_known_and_not_used(self, adb_server, binary):
        with phones(adb_server, {"offline_cores": (7,)}), meters(binary) as ways:
            fingerprint = ways.of(parse_target(CPU)).fingerprint()
        assert fingerprint["pinning"] == "taskset 40"
        assert fingerprint["core_mhz"] == "1766 1766 1766 1766 2803 2803 2803 2803"


class TestTheGpu:
    def test_its_number_is_believed_when_the_tool_confirms_it(self, adb_server, binary):
        with phones(adb_server, {"gpu": True, "gpu_fixed_ms": 2.0}) as [phone], meters(binary) as ways:
            meter = ways.of(parse_target(GPU))
            empty, reference = times(meter, [almost_empty_model(True), reference_network()])
        assert isinstance(empty, Reading)
        assert isinstance(reference, Reading)
        assert empty.latency_ms > 1.9
        assert reference.latency_ms > empty.latency_ms
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


class TestSeveralPhones:
    def test_share_a_batch(self, adb_server, binary, models):
        with phones(adb_server, {}, {}) as both, meters(binary) as ways:
            serials = "+".join(device.serial for device in both)
            meter = ways.of(parse_target(f"android:{serials}/cpu:1,{QUICK}"))
            assert all(isinstance(answer, Reading) for answer in times(meter, models))
            assert sorted(len(layer_runs(device)) for device in both) == [2, 3]

    def test_that_differ_do_not(self, adb_server, binary):
        with (
            phones(adb_server, {}, {"properties": {"ro.product.model": "Phone 4"}}) as both,
            meters(binary) as ways,
            pytest.raises(UserError, match=r"differ in model \(Emulated Phone 3 and Emulated Phone 4\)"),
        ):
            ways.of(parse_target(f"android:{both[0].serial}+{both[1].serial}/cpu:1,{QUICK}"))

    def test_one_goes_away_for_good_and_the_other_does_its_part(self, adb_server, binary, models):
        with phones(adb_server, {}, {}) as both:
            serials = "+".join(device.serial for device in both)
            with meters(binary) as ways:
                meter = ways.of(parse_target(f"android:{serials}/cpu:1,{QUICK}"))
                both[0].vanish_after_run(len(both[0].runs) + 2)
                assert all(isinstance(answer, Reading) for answer in times(meter, models))
                assert len(layer_runs(both[1])) >= 4
                both[0].come_back()
                adb_server.run("disconnect", both[0].serial, check=False)
                adb_server.connect(both[0].serial)
            assert remote_files(both[0]) == []

    def test_one_that_goes_by_two_names_is_refused(self, adb_server, binary):
        with phones(adb_server, {"second_port": True}) as [phone]:
            adb_server.connect(phone.second_serial)
            both = f"android:{phone.serial}+{phone.second_serial}/cpu:1,{QUICK}"
            with meters(binary) as ways, pytest.raises(UserError, match="are one and the same; name it once"):
                ways.of(parse_target(both))
            adb_server.run("disconnect", phone.second_serial, check=False)


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
