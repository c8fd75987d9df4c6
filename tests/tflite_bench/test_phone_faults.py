"""Phones that go away, hang, fill up, or lack what others have: what was measured stands, and the rest goes on."""

import re
import threading
import time

import pytest

from tests.emulated_android import ToolFault
from tests.tflite_bench.phones import (
    CPU,
    QUICK,
    all_runs_end,
    layer_runs,
    meters,
    phones,
    remote_files,
    sha256,
    times,
)
from tflite_bench.errors import UserError
from tflite_bench.target import parse_target
from tflite_bench.timing import Job, Reading


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
            assert all_runs_end(phone)
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
            assert all_runs_end(phone)

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
