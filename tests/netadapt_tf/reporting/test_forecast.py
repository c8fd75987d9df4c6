import dataclasses

import pytest

from netadapt_tf.forecast import Effort, Forecast, TargetForecast
from netadapt_tf.layer_latencies import LayerLatency
from netadapt_tf.reporting.forecast import forecast_text
from netadapt_tf.resources.budget import parse_budget
from netadapt_tf.start import Reach
from tflite_bench.target import parse_target

MACS = Reach(parse_budget("macs=50%"), "MACs", now=3331072.0, allowed=1665536.0, least=56330.0, possible=True)
FORECAST = Forecast(
    groups=(),
    targets=(
        TargetForecast(
            parse_target("host/cpu:1"), (LayerLatency("conv", "CONV_2D", (1, 4, 4, 8), 0.02),), 0.001, 0.021
        ),
        TargetForecast(
            parse_target("host/cpu:2"), (LayerLatency("conv", "CONV_2D", (1, 4, 4, 8), 0.013),), 0.001, 0.014
        ),
    ),
    reaches=(MACS,),
    effort=Effort(iterations=4, proposals_each=3, pretrain_s=0.0, search_s=60.0, final_s=30.0),
)


def text_of(reach: Reach = MACS, iterations: int | None = 4) -> str:
    effort = dataclasses.replace(FORECAST.effort, iterations=iterations)
    return forecast_text(dataclasses.replace(FORECAST, reaches=(reach,), effort=effort))


def test_counts_are_shown_in_full():
    assert (
        "budget macs=50%: can be met; now 3,331,072 MACs, allowed 1,665,536 MACs, least reachable 56,330 MACs (1.7%)\n"
        in text_of()
    )


def test_layers_are_shown_for_every_target():
    text = text_of()
    for target, layer_ms, whole_ms in (("host/cpu:1", "0.0200", "0.0210"), ("host/cpu:2", "0.0130", "0.0140")):
        part = text.partition(f"Latency of each layer, ms ({target})")[2].split("\n\n")[0]
        assert f"{layer_ms} " in part
        assert part.endswith(f"the whole network: {whole_ms}")


def test_a_software_driver_is_named():
    target = dataclasses.replace(FORECAST.targets[0], remarks=("host/gpu: X is a software driver.",))
    assert "in all; the whole network: 0.0210\nhost/gpu: X is a software driver.\n" in forecast_text(
        dataclasses.replace(FORECAST, targets=(target,))
    )


def test_every_budget_has_its_line():
    other = dataclasses.replace(MACS, budget=parse_budget("macs=1M"), allowed=1e6)
    lines = forecast_text(dataclasses.replace(FORECAST, reaches=(MACS, other))).splitlines()
    assert [line.partition(":")[0] for line in lines if line.startswith("budget")] == [
        "budget macs=50%",
        "budget macs=1M",
    ]


@pytest.mark.parametrize(
    ("reach", "said"),
    [
        (
            dataclasses.replace(MACS, budget=parse_budget("macs=10K"), allowed=1e4, possible=False),
            "CANNOT be met; now 3,331,072 MACs, allowed 10,000 MACs, least reachable 56,330 MACs (1.7%); "
            "ask for macs=56.4K or more",
        ),
        (
            Reach(parse_budget("latency@host/cpu:1=10%"), "ms", now=0.08, allowed=0.008, least=0.0162, possible=False),
            "CANNOT be met; now 0.08000 ms, allowed 0.008000 ms, least reachable 0.01620 ms (20.2%); "
            "ask for latency@host/cpu:1=20.3% or more",
        ),
    ],
)
def test_what_cannot_be_met_comes_with_a_budget_that_can(reach, said):
    text = text_of(reach)
    assert text.endswith(said)
    assert "iterations" not in text


def test_steps_that_become_tiny_are_no_refusal():
    assert text_of(iterations=None).endswith(
        "It would take many small iterations: the schedule's steps become tiny before they add up to what the budget "
        "asks for. A larger initial_reduction or reduction_decay shortens it."
    )


def test_with_a_table_alone_no_number_passes_for_a_measured_one():
    text = forecast_text(dataclasses.replace(FORECAST, table_only=True))
    assert text.count(" in all; by the table\n") == len(FORECAST.targets)
    assert "whole network" not in text
    assert text.count("measured") == 1
    assert "the table's; nothing was measured, nothing is proven" in text
    assert "the table" not in forecast_text(FORECAST)
