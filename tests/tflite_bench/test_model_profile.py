import logging as standard_logging

import pytest

from tests.fake_meter import FakeMeter, FakeProfiler
from tflite_bench.adapter import SOFTWARE, Adapter
from tflite_bench.graph import Graph
from tflite_bench.latency_table import stored_kinds
from tflite_bench.layer_signature import layer_signature
from tflite_bench.model_profile import profile_model, profile_text
from tflite_bench.sizing import sized
from tflite_bench.target import parse_target


@pytest.mark.parametrize("options", ["", ",layers=profile", ",layers=models"])
def test_layers_alone_are_entries_of_the_target_that_has_one_layer_models(tmp_path, cnn_tflite, options):
    target = parse_target(f"android/cpu:1,min_secs=0{options}")
    profile_model(cnn_tflite, target, FakeProfiler(), tmp_path / "table")
    assert stored_kinds(tmp_path / "table") == ["android/cpu:1,min_secs=0"]


def test_what_is_going_to_be_measured_is_said(tmp_path, cnn_tflite, caplog):
    graph = Graph(cnn_tflite)
    layers = sized(graph, {})
    distinct = len({layer_signature(graph, layer) for layer in layers})
    caplog.set_level(standard_logging.INFO, logger="absl")
    profile_model(cnn_tflite, parse_target("host/cpu:1"), FakeMeter(), tmp_path / "table")
    assert f"then {distinct} different layers of its {len(layers)}, each alone and 3 times over." in caplog.text
    assert f"The {distinct} layers will take about 0:00:" in caplog.text
    caplog.clear()
    profile_model(cnn_tflite, parse_target("host/cpu:1"), FakeMeter(), tmp_path / "table")
    assert f"none of its {len(layers)} layers: the table holds them all." in caplog.text


class SoftwareGpu(FakeMeter):
    def fingerprint(self):
        return Adapter("SwiftShader", "driver 5", "Vulkan", SOFTWARE).fingerprint(allows_partial=True)


def test_layers_that_a_delegate_may_fuse_are_shown_in_one_and_its_remarks_below(tmp_path, cnn_tflite):
    target, meter = parse_target("host/gpu,allow_partial=true"), SoftwareGpu(delegated=True)
    lines = profile_text(profile_model(cnn_tflite, target, meter, tmp_path / "table")).splitlines()
    assert sum(line.endswith("CONV_2D + LOGISTIC -> 8x8x12") for line in lines) == 1
    assert lines[-3].startswith("sum of the layers alone and one call / whole: 1.0")
    assert lines[-2].startswith(f"{target}: SwiftShader is a software driver")
    assert lines[-1].startswith(f"{target}: what the GPU does not take ran on the CPU")


def test_where_nothing_is_fused_every_layer_has_its_line_and_there_is_nothing_to_remark(tmp_path, cnn_tflite):
    target = parse_target("host/cpu:1")
    lines = profile_text(profile_model(cnn_tflite, target, FakeMeter(), tmp_path / "table")).splitlines()
    assert sum(line.endswith(" LOGISTIC -> 8x8x12") and " + " not in line for line in lines) == 1
    assert lines[-1].startswith("sum of the layers alone and one call / whole: 1.0")
