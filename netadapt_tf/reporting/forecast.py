"""What `--dry_run` prints."""

from netadapt_tf.figures import amount, column_ms, share
from netadapt_tf.forecast import Effort, Forecast, TargetForecast
from netadapt_tf.start import Reach
from netadapt_tf.stopwatch import duration


def forecast_text(forecast: Forecast) -> str:
    """Channel groups, latency by layer, what each budget asks and what can be reached, and about how long."""
    lines = [*_groups(forecast), ""]
    for target in forecast.targets:
        lines += [*_layers(target, forecast.table_only), ""]
    if forecast.table_only:
        lines.append("Latencies are the table's; nothing was measured, nothing is proven.")
    return "\n".join([*lines, *map(_reach, forecast.reaches), *_effort(forecast)])


def _groups(forecast: Forecast) -> list[str]:
    return ["Channel groups", *(f"  {line}" for group in forecast.groups for line in str(group).splitlines())]


def _layers(forecast: TargetForecast, table_only: bool) -> list[str]:
    total_ms = forecast.call_ms + sum(layer.latency_ms for layer in forecast.layers)
    lines = [f"Latency of each layer, ms ({forecast.target})"]
    for layer in forecast.layers:
        shape = "x".join(map(str, layer.output_shape[1:]))
        share = layer.latency_ms / total_ms
        lines.append(f"  {layer.latency_ms:8.4f} {share:6.1%}  {layer.kind:<18} {layer.name:<26} -> {shape}")
    lines.append(f"  {forecast.call_ms:8.4f} {forecast.call_ms / total_ms:6.1%}  one run, besides the layers")
    whole = "by the table" if table_only else f"the whole network: {column_ms(forecast.whole_ms)}"
    lines.append(f"  {total_ms:8.4f} in all; {whole}")
    return [*lines, *forecast.remarks]


def _reach(reach: Reach) -> str:
    now, allowed, least = (amount(cost, reach.unit) for cost in (reach.now, reach.allowed, reach.least))
    suggested = None if reach.possible else reach.suggested
    return (
        f"budget {reach.budget.text}: {'can be met' if reach.possible else 'CANNOT be met'}; now {now}, allowed "
        f"{allowed}, least reachable {least} ({share(reach.least, reach.now)})"
        + (f"; ask for {suggested} or more" if suggested else "")
    )


def _effort(forecast: Forecast) -> list[str]:
    effort: Effort = forecast.effort
    if not all(reach.possible for reach in forecast.reaches):
        return []
    if effort.iterations == 0:
        return ["The starting network is within budget already."]
    if effort.iterations is None:
        return [
            "It would take many small iterations: the schedule's steps become tiny before they add up to what the "
            "budget asks for. A larger initial_reduction or reduction_decay shortens it."
        ]
    total_s = effort.pretrain_s + effort.search_s + effort.final_s
    return [
        f"about {effort.iterations} iterations of {effort.proposals_each} proposals, {duration(total_s)} in all: "
        f"pre-training {duration(effort.pretrain_s)}, search {duration(effort.search_s)}, "
        f"last stage {duration(effort.final_s)}"
    ]
