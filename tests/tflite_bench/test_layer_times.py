import pytest

from tests.fake_meter import FakeMeter
from tests.tflite_bench.phones import QUICK, meters
from tflite_bench.errors import UserError
from tflite_bench.graph import Graph
from tflite_bench.layer_times import LayerTimes
from tflite_bench.target import parse_target


def test_the_two_ways_keep_their_entries_apart(phone, binary, cnn_tflite):
    graph = Graph(cnn_tflite)
    contexts = []
    for option in ("", ",layers=models", ",layers=profile"):
        target = parse_target(f"android/cpu:1,{QUICK}{option}")
        with meters(binary) as ways:
            times = LayerTimes(graph, target, ways.of(target))
        assert LayerTimes.fits(times.context, graph, target)
        contexts.append(times.context)
    models, _, profile = contexts
    assert (models.caches, models.statistic) != (profile.caches, profile.statistic)
    assert "mean" in profile.statistic


def test_profiles_need_the_tool(cnn_tflite):
    with pytest.raises(UserError, match="layers=profile needs TensorFlow Lite's benchmark_model"):
        LayerTimes(Graph(cnn_tflite), parse_target("android/cpu:1,layers=profile"), FakeMeter())
