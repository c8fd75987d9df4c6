from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tflite_bench.tool_logs import FOLDER, read_log
from tflite_bench.errors import MeasurementError
from tflite_bench.graph import Graph, Operator
from tflite_bench.operator_profile import ProfiledNode, layer_latencies_ms, read_profile
from tflite_bench.sizing import SizedOperator, sized

PROTOBUF = (FOLDER / "10_opprof_mode_proto.pb").read_bytes()
NODES = read_profile(PROTOBUF, "")
WITH_WEIGHTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
ADDED = ("SHAPE", "STRIDED_SLICE", "PACK")
CSV = read_log("09_opprof_mode_csv").file
TABLE = read_log("04_opprof_default_t1").combined


@pytest.fixture(scope="module")
def layers(mobilenet_tflite) -> list[SizedOperator]:
    """The network of the real profile, whose file held three more operators, SHAPE to PACK, before the last RESHAPE."""
    return [
        replace(one, operator=replace(one.operator, index=position + 3 * (position >= 29)))
        for position, one in enumerate(sized(Graph(mobilenet_tflite), {}))
    ]


def layer(kind: str, index: int = 0) -> SizedOperator:
    return SizedOperator(Operator(index, kind, (), (), frozenset()), (), ())


def node(kind: str, latency_ms: float = 1.0) -> ProfiledNode:
    return ProfiledNode(kind, f"Delegate/{kind}:0", latency_ms)


def csv_profile(*lines: str) -> bytes:
    """A profile whose initialisation shows nothing."""
    begin = "==== Run Order ====\nnode type, first, avg_ms, %, cdf%, mem KB, times called, name"
    return "\n".join([begin, "", begin, *lines, "", "==== Top by Computation Time ====", ""]).encode()


def profiles() -> dict[str, list[ProfiledNode]]:
    unwritable = read_log("50_csv_unwritable")
    return {
        "04 table": read_profile(b"", TABLE),
        "04 table, first run": read_profile(b"", read_log("04_opprof_default_t1").stdout),
        "06 CSV": read_profile(read_log("06_opprof_csv_xnnpack").file.encode(), ""),
        "09 CSV": read_profile(CSV.encode(), ""),
        "50 CSV on standard output": read_profile(b"", unwritable.combined),
        "50, first run": read_profile(b"", unwritable.stdout),
        "10 protobuf": NODES,
    }


@pytest.mark.parametrize("name", profiles())
def test_every_form_shows_the_same_nodes_in_the_same_order(name):
    nodes = profiles()[name]
    assert len(nodes) == 34
    assert [n.kind for n in nodes] == [n.kind for n in NODES]
    assert [n.name for n in nodes] == [n.name for n in NODES]
    assert sum(n.latency_ms for n in nodes) == pytest.approx(sum(n.latency_ms for n in NODES), rel=0.05)


def test_the_numbers_of_the_table_are_those_of_the_table():
    nodes = read_profile(b"", TABLE)
    assert nodes[0] == ProfiledNode("Convolution (NHWC, F32) IGEMM", "Delegate/Convolution (NHWC, F32) IGEMM:0", 0.262)
    assert nodes[26].latency_ms == 1.040
    assert nodes[32] == ProfiledNode("RESHAPE", "[mobilenet_1.00_224/reshape_2/Reshape]:32", 0.002)


@pytest.mark.parametrize("text", [TABLE, CSV])
def test_line_ends_of_another_system_change_nothing(text):
    assert read_profile(b"", text.replace("\n", "\r\n")) == read_profile(b"", text)


@pytest.mark.parametrize("log", ["", read_log("01_default_t1").combined, "Run Order ="])
def test_a_log_without_a_profile_is_refused(log):
    with pytest.raises(MeasurementError, match="no operator profile"):
        read_profile(b"", log)


@pytest.mark.parametrize(
    "line",
    [
        "CONV_2D, 0.3, fast, 2%, 2%, 0, 1, [a]:0",
        "CONV_2D, 0.3, nan, 2%, 2%, 0, 1, [a]:0",
        "CONV_2D, 0.3, -0.1, 2%, 2%, 0, 1, [a]:0",
        "CONV_2D, 0.3, inf, 2%, 2%, 0, 1, [a]:0",
        "CONV_2D, 0.3",
    ],
)
def test_a_damaged_line_is_refused(line):
    with pytest.raises(MeasurementError, match=r"is damaged.*(CONV_2D, 0\.3|\[a\]:0)"):
        read_profile(csv_profile(line), "")


@pytest.mark.parametrize("profile", [b"\xff", b"no profile", PROTOBUF[: len(PROTOBUF) // 2 + 1]])
def test_a_damaged_protobuf_is_refused(profile):
    with pytest.raises(MeasurementError):
        read_profile(profile, "")


def test_a_name_that_is_no_text_is_read_all_the_same():
    nodes = read_profile(PROTOBUF.replace(b"Softmax (NC, F32)", b"Softmax (\xff\xff, F32)"), "")
    assert len(nodes) == 34
    assert nodes[-1].kind == "Softmax (\ufffd\ufffd, F32)"


@given(st.binary(min_size=1), st.text(), st.integers(0, 2**16))
def test_no_bytes_and_no_text_raise_anything_but_a_measurement_error(data, text, cut):
    spoiled = PROTOBUF[: cut % len(PROTOBUF)] + data + PROTOBUF[cut % len(PROTOBUF) + len(data) :]
    for profile, log in ((data, ""), (spoiled, ""), (b"", text), (b"", TABLE[: cut % len(TABLE)] + text)):
        try:
            nodes = read_profile(profile, log)
        except MeasurementError:
            continue
        assert all(0 <= n.latency_ms < float("inf") for n in nodes)


def test_a_delegate_that_is_one_node_shows_no_operators():
    with pytest.raises(MeasurementError, match="single operators"):
        read_profile(csv_profile("TfLiteGpuDelegateV2, 1.2, 1.2, 100%, 100%, 0, 1, TfLiteGpuDelegateV2:31"), "")


def test_commas_in_kinds_and_tabs_in_names_are_read():
    [only] = read_profile(csv_profile("Softmax (NC, F32), 1.2, 1.5, 9%, 9%, 0, 1, [a\tb]:3"), "")
    assert only == ProfiledNode("Softmax (NC, F32)", "[a,b]:3", 1.5)


@pytest.mark.slow
def test_every_layer_of_the_real_profile_gets_its_node(layers):
    kinds = [one.operator.kind for one in layers]
    assert kinds[27:] == ["MEAN", "CONV_2D", "RESHAPE", "SOFTMAX"]
    *before, reshape_ms, softmax_ms = layer_latencies_ms(NODES, layers)
    assert before == [n.latency_ms for n in NODES[:29]]
    assert [n.kind for n in NODES[29:33]] == ["SHAPE", "STRIDED_SLICE", "PACK", "RESHAPE"]
    assert reshape_ms == pytest.approx(sum(n.latency_ms for n in NODES[29:33]))
    assert softmax_ms == NODES[33].latency_ms


def test_what_ran_last_besides_counts_for_the_last_layer():
    nodes = [node("Convolution (NHWC, F32) IGEMM", 2.0), node("SHAPE", 0.5), node("PACK", 0.25)]
    assert layer_latencies_ms(nodes, [layer("CONV_2D"), layer("RELU")]) == [2.75, 0.0]


@pytest.mark.parametrize("position", [0, 1, 2, 14, 26, 28])
def test_a_layer_with_weights_that_is_missing_is_named(layers, position):
    nodes = [n for number, n in enumerate(NODES) if number != position]
    with pytest.raises(MeasurementError, match=r"does not show layer \d+ \((DEPTHWISE_)?CONV_2D\); it shows 33"):
        layer_latencies_ms(nodes, layers)


def test_a_depthwise_node_is_no_convolution():
    depthwise = node("Convolution (NHWC, F32) DWConv")
    with pytest.raises(MeasurementError, match="CONV_2D"):
        layer_latencies_ms([depthwise], [layer("CONV_2D")])
    nodes = [depthwise, node("Convolution (NHWC, F32) IGEMM", 5.0)]
    assert layer_latencies_ms(nodes, [layer("DEPTHWISE_CONV_2D"), layer("CONV_2D")]) == [1.0, 5.0]
    with pytest.raises(MeasurementError):
        layer_latencies_ms(nodes, [layer("CONV_2D"), layer("DEPTHWISE_CONV_2D")])


@pytest.mark.parametrize(
    ("node_kind", "kind"),
    [
        ("Fully Connected (NC, QS8, QC8W) GEMM", "CONV_2D"),
        ("Fully Connected (NC, F32) GEMM", "FULLY_CONNECTED"),
        ("Convolution (NHWC, F32) IGEMM", "CONV_2D"),
        ("Deconvolution (NHWC, F32)", "TRANSPOSE_CONV"),
        ("TRANSPOSE_CONV", "TRANSPOSE_CONV"),
    ],
)
def test_names_of_both_kinds_of_kernels_are_known(node_kind, kind):
    assert layer_latencies_ms([node(node_kind, 3.0)], [layer(kind)]) == [3.0]


@pytest.mark.parametrize(
    ("kind", "node_kind"),
    [
        *((kind, "Unary Elementwise (NC)") for kind in ("LOGISTIC", "HARD_SWISH", "TANH", "ELU", "GELU", "LEAKY_RELU")),
        *((kind, "Unary Elementwise (NC)") for kind in ("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1")),
        *((kind, "Binary Elementwise (ND)") for kind in ("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM")),
    ],
)
def test_an_elementwise_layer_keeps_its_time_from_the_layer_after_it(kind, node_kind):
    nodes = [node("Convolution (NHWC, F32) IGEMM", 4.0), node(node_kind, 2.0), node("Mean (ND) Reduce2", 1.0)]
    assert layer_latencies_ms(nodes, [layer("CONV_2D"), layer(kind), layer("MEAN")]) == [4.0, 2.0, 1.0]


def test_the_node_of_a_built_in_kernel_is_the_operator_of_its_index():
    nodes = [ProfiledNode("RESHAPE", "[a;b]:7", 3.0)]
    assert layer_latencies_ms(nodes, [layer("RESHAPE", 2), layer("RESHAPE", 7)]) == [0.0, 3.0]


@settings(max_examples=50)
@given(st.sets(st.sampled_from([n for n, one in enumerate(NODES) if one.kind in ADDED or n in (27, 32, 33)])))
def test_convolutions_keep_their_times_whatever_else_is_left_out(layers, left_out):
    nodes = [one for number, one in enumerate(NODES) if number not in left_out]
    latencies_ms = layer_latencies_ms(nodes, layers)
    assert latencies_ms[:27] == [one.latency_ms for one in NODES[:27]]
    assert latencies_ms[28] >= NODES[28].latency_ms
    assert sum(latencies_ms) == pytest.approx(sum(one.latency_ms for one in nodes))


_NODES_OF = {
    "CONV_2D": ("CONV_2D", "Fully Connected (NC, F32) GEMM", "Convolution (NHWC, F32) IGEMM"),
    "DEPTHWISE_CONV_2D": ("DEPTHWISE_CONV_2D", "Convolution (NHWC, F32) DWConv"),
    "FULLY_CONNECTED": ("FULLY_CONNECTED", "Fully Connected (NC, F32) GEMM"),
    "RELU": ("RELU", "Clamp (NC, F32)", ""),
    "ADD": ("ADD", "Add (ND, F32)", ""),
    "RESHAPE": ("RESHAPE", "Copy (NC, X32)", ""),
    "PAD": ("PAD", "Constant Pad (ND, X32)", ""),
    "MEAN": ("MEAN", "Global Average Pooling (NWC, F32)", ""),
}
"""Nodes that a layer may be; none where the runtime leaves it out."""


@given(
    st.lists(st.sampled_from(sorted(_NODES_OF)).flatmap(lambda k: st.tuples(st.just(k), st.sampled_from(_NODES_OF[k]))))
)
def test_any_network_finds_the_times_of_its_layers_with_weights(choices):
    layers = [layer(kind, index) for index, (kind, _) in enumerate(choices)]
    times_ms = [2.0**-index for index in range(len(choices))]
    nodes = [node(kind, ms) for (_, kind), ms in zip(choices, times_ms, strict=True) if kind]
    latencies_ms = layer_latencies_ms(nodes, layers)
    for (kind, _), ms, found_ms in zip(choices, times_ms, latencies_ms, strict=True):
        if kind in (*WITH_WEIGHTS, "TRANSPOSE_CONV"):
            assert found_ms == ms
    assert sum(latencies_ms) == pytest.approx(sum(one.latency_ms for one in nodes))
