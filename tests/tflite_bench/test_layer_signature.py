from tflite_bench.graph import Graph
from tflite_bench.layer_models import one_layer_model
from tflite_bench.layer_signature import layer_signature
from tflite_bench.sizing import sized


def signatures(graph: Graph, **filters: int) -> list[str]:
    return [layer_signature(graph, layer) for layer in sized(graph, filters)]


def test_one_line_says_everything_the_runtime_sees(mobilenet_tflite):
    lines = signatures(Graph(mobilenet_tflite))
    assert lines[2] == (
        "CONV_2D float32[1,32,32,8] float32*[16,1,1,8] float32*[16] -> float32[1,32,32,16] "
        "fused_activation_function=RELU6 padding=SAME stride_h=1 stride_w=1"
    )
    assert lines[27] == "MEAN float32[1,2,2,256] int32*[2]{1,2} -> float32[1,1,1,256] keep_dims=True"


def test_alike_layers_share_a_signature_and_others_do_not(mobilenet_tflite):
    lines = signatures(Graph(mobilenet_tflite))
    assert lines[14] == lines[16]  # conv_pw_7 and conv_pw_8
    assert lines[14] != lines[12]


def test_only_layers_that_touch_a_group_change(mobilenet_tflite):
    graph = Graph(mobilenet_tflite)
    changed = [
        i for i, (a, b) in enumerate(zip(signatures(graph), signatures(graph, conv_pw_3=24), strict=True)) if a != b
    ]
    assert changed == [6, 7, 8]  # its writer, the depthwise layer after it, its reader


def test_a_cut_layer_keeps_its_signature(mobilenet_tflite):
    graph = Graph(mobilenet_tflite)
    for layer in sized(graph, {"conv_pw_4": 40}):
        cut = Graph(one_layer_model(graph, layer))
        assert signatures(cut) == [layer_signature(graph, layer)]
