"""The operator profile: every operator timed alone, named as the runtime would name it inside the network."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from ai_edge_litert import profiling_info_pb2

from tests.emulated_android.executor import Executor
from tests.emulated_android.tool_log import Statistics, number
from tflite_bench.graph import Graph
from tflite_bench.layer_models import one_layer_model
from tflite_bench.sizing import SizedOperator, sized

_SAMPLES = 30  # of an operator; where the network was run more often, they come round again
_WARM_UP = 3

_UNARY = ("ELU", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "RELU", "RELU6", "TANH")
_BINARY = ("ADD", "DIV", "MUL", "SUB")
_XNNPACK_NAMES = {
    "AVERAGE_POOL_2D": "Average Pooling (NHWC, {type})",
    "DEPTHWISE_CONV_2D": "Convolution (NHWC, {type}) DWConv",
    "FULLY_CONNECTED": "Fully Connected (NC, {type}) GEMM",
    "MAX_POOL_2D": "Max Pooling (NHWC, {type})",
    "MEAN": "Mean (ND) Reduce2",
    "PAD": "Constant Pad (ND, X32)",
    "SOFTMAX": "Softmax (NC, {type})",
    **dict.fromkeys(_UNARY, "Unary Elementwise (NC)"),
    **dict.fromkeys(_BINARY, "Binary Elementwise (ND)"),
}


@dataclass(frozen=True)
class Node:
    """One node of the executed graph.

    Attributes:
        node_type: the kernel's name.
        name: the same or the tensors' names, with an index that tells nodes apart.
        times: microseconds of every run.
    """

    node_type: str
    name: str
    times: Sequence[int]


def xnnpack_partitions(graph: Graph) -> list[int]:
    """Lengths of the stretches of operators that XNNPACK takes."""
    taken = itertools.groupby(graph.operators, lambda operator: operator.kind in (*_XNNPACK_NAMES, "CONV_2D"))
    return [len(list(stretch)) for is_taken, stretch in taken if is_taken]


def profile(tflite: bytes, count: int, num_threads: int, time_factor: float, *, xnnpack: bool) -> list[Node]:
    """Times every operator of a model, as if the whole had been run.

    Args:
        tflite: the model.
        count: how often the whole was run.
        num_threads: threads of every operator.
        time_factor: what the times are multiplied by.
        xnnpack: whether XNNPACK takes what it can.
    """
    graph = Graph(tflite)
    nodes = []
    in_partition = 0
    for layer in sized(graph, {}):
        operator = layer.operator
        node_type = _xnnpack_name(graph, layer) if xnnpack else None
        if node_type is None:
            in_partition = 0
            names = ";".join(graph.tensor(i).name.decode(errors="replace") for i in operator.outputs)
            node_type, name = operator.kind, f"[{names}]:{operator.index}"
        else:
            name = f"Delegate/{node_type}:{in_partition}"
            in_partition += 1
        executor = Executor(one_layer_model(graph, layer), num_threads, xnnpack=xnnpack)
        run = executor.timed(time_factor)
        for _ in range(_WARM_UP):
            run()
        samples = [run() for _ in range(min(count, _SAMPLES))]
        nodes.append(Node(node_type, name, list(itertools.islice(itertools.cycle(samples), count))))
    return nodes


def gpu_node(graph: Graph, times: Sequence[int]) -> Node:
    """The whole network as the one node that the GPU delegate makes of it."""
    names = ";".join(graph.tensor(i).name.decode(errors="replace") for i in graph.outputs)
    return Node("TfLiteGpuDelegateV2", f"[{names}]:{len(graph.operators)}", times)


def encoded(preparation: Sequence[Node], nodes: Sequence[Node]) -> bytes:
    """The `BenchmarkProfilingData` protobuf."""
    data = profiling_info_pb2.BenchmarkProfilingData()
    for stage, stage_nodes in ((data.init_profile, preparation), (data.runtime_profile, nodes)):
        subgraph = stage.subgraph_profiles.add(subgraph_name="main", subgraph_index=0)
        for order, node in enumerate(stage_nodes):
            added = subgraph.per_op_profiles.add(node_type=node.node_type, name=node.name, run_order=order)
            added.times_called = 1
            _fill(added.inference_microseconds, node.times)
            _fill(added.mem_kb, [0] * len(node.times))
    return data.SerializeToString()


def _fill(stat: profiling_info_pb2.OpProfilingStat, values: Sequence[int]) -> None:
    statistics = Statistics(values)
    stat.first, stat.last = values[0], values[-1]
    stat.min, stat.max = min(values), max(values)
    stat.sum, stat.count = sum(values), len(values)
    stat.avg = int(statistics.average)
    stat.stddev = statistics.deviation
    stat.variance = statistics.deviation**2


def text(preparation: Sequence[Node], nodes: Sequence[Node], *, csv: bool) -> str:
    """The profile as CSV, where commas in names become tabs, or as the table for people."""
    first = _section("Profiling Info for Benchmark Initialization:", preparation, csv=csv)
    return first + "\n\n" + _section("Operator-wise Profiling Info for Regular Benchmark Runs:", nodes, csv=csv)


def _section(title: str, nodes: Sequence[Node], *, csv: bool) -> str:
    by_time = sorted(nodes, key=lambda node: -sum(node.times))
    lines = [title, *_table("Run Order", nodes, csv=csv), "", *_table("Top by Computation Time", by_time, csv=csv), ""]
    lines += [f"Number of nodes executed: {len(nodes)}", *_summary(nodes, csv=csv), ""]
    total = Statistics([sum(run) for run in zip(*(node.times for node in nodes), strict=True)])
    lines += [f"Timings (microseconds): {total.line()}", "Memory (bytes): count=0", f"{len(nodes)} nodes observed", ""]
    return "\n".join(lines) + "\n"


def _table(title: str, nodes: Sequence[Node], *, csv: bool) -> list[str]:
    total = sum(sum(node.times) for node in nodes) or 1
    lines = [_rule(title)]
    if csv:
        lines.append("node type, first, avg_ms, %, cdf%, mem KB, times called, name")
    else:
        headers = ("[node type]", "[first]", "[avg ms]", "[%]", "[cdf%]", "[mem KB]", "[times called]", "[Name]")
        lines.append(_aligned(*headers))
    so_far = 0.0
    for node in nodes:
        share = 100 * sum(node.times) / total
        so_far += share
        first, average = node.times[0] / 1000, Statistics(node.times).average / 1000
        if csv:
            cells = [node.node_type, number(first), number(average), f"{share:g}%", f"{so_far:g}%", "0", "1"]
            lines.append(", ".join([*cells, node.name.replace(",", "\t")]))
        else:
            cells = [node.node_type, f"{first:.3f}", f"{average:.3f}", f"{share:.3f}%", f"{so_far:.3f}%", "0.000", "1"]
            lines.append(_aligned(*cells, node.name))
    return lines


def _summary(nodes: Sequence[Node], *, csv: bool) -> list[str]:
    total = sum(sum(node.times) for node in nodes) or 1
    kinds = {node.node_type: [other for other in nodes if other.node_type == node.node_type] for node in nodes}
    lines = [_rule("Summary by node type")]
    headers = ("[Node type]", "[count]", "[avg ms]", "[avg %]", "[cdf %]", "[mem KB]", "[times called]")
    lines.append("node type, count, avg_ms, avg %, cdf %, mem KB, times called" if csv else _aligned(*headers))
    so_far = 0.0
    for kind, members in sorted(kinds.items(), key=lambda item: -sum(sum(node.times) for node in item[1])):
        microseconds = sum(sum(node.times) for node in members)
        average = microseconds / len(members[0].times) / 1000
        share = 100 * microseconds / total
        so_far += share
        count = str(len(members))
        if csv:
            lines.append(", ".join([kind, count, number(average), f"{share:g}%", f"{so_far:g}%", "0", count]))
        else:
            cells = (f"{average:.3f}", f"{share:.3f}%", f"{so_far:.3f}%", "0.000", count)
            lines.append(_aligned(kind, count, *cells))
    return lines


def _rule(title: str) -> str:
    return f"{'=' * 30} {title} {'=' * 30}"


def _aligned(kind: str, *cells: str) -> str:
    return "\t".join([f"\t{kind:>40}", *(f"{cell:>9}" for cell in cells)])


def _xnnpack_name(graph: Graph, layer: SizedOperator) -> str | None:
    quantised = graph.type_name(layer.operator.outputs[0]) == "int8"
    number_type = "QC8" if quantised else "F32"
    if layer.operator.kind == "CONV_2D":
        if layer.input_shapes[1][1:3] == (1, 1):
            return f"Fully Connected (NC, {'QS8, QC8W' if quantised else 'F32'}) GEMM"
        return f"Convolution (NHWC, {number_type}) IGEMM"
    if layer.operator.kind == "FULLY_CONNECTED" and quantised:
        return "Fully Connected (NC, QS8, QC8W) GEMM"
    name = _XNNPACK_NAMES.get(layer.operator.kind)
    return None if name is None else name.format(type=number_type)
