from netadapt_tf.filling import Filling
from netadapt_tf.networks.channel_groups import find_channel_groups, widths_of
from netadapt_tf.resources.deployed import DeployedNetwork
from netadapt_tf.resources.tabled_latency import TabledLatency
from tests.fake_meter import FakeMeter
from tests.tiny_networks import tiny_cnn
from tflite_bench.target import parse_target

TARGET = parse_target("android/cpu:1")


def test_a_filled_table_answers_for_every_network_of_a_search(cnn_tflite, tmp_path):
    network = tiny_cnn()
    filling = Filling(network, TARGET, FakeMeter(), tmp_path / "table", 8)
    plan = filling.plan()
    assert plan.missing == len(plan.layers)
    assert plan.seconds > 0
    assert filling.run(plan) == set()

    groups = find_channel_groups(network)
    tabled = TabledLatency(DeployedNetwork(cnn_tflite, groups), widths_of(groups), TARGET, tmp_path / "table")
    for first in (4, 8):
        for second in (4, 8, 12):
            assert tabled.predict({"first": first, "second": second}) < float("inf")


def test_what_is_there_is_not_measured_again(tmp_path):
    Filling(tiny_cnn(), TARGET, FakeMeter(), tmp_path / "table", 8).run(
        Filling(tiny_cnn(), TARGET, FakeMeter(), tmp_path / "table", 8).plan()
    )
    meter = FakeMeter()
    again = Filling(tiny_cnn(), TARGET, meter, tmp_path / "table", 8)
    plan = again.plan()
    assert (plan.missing, plan.seconds) == (0, 0.0)
    again.run(plan)
    assert meter.jobs == []
