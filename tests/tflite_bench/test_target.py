import pytest

from tflite_bench.errors import UserError
from tflite_bench.target import Target, parse_target


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("host/cpu:4", Target("host", "cpu", 4)),
        ("host/gpu", Target("host", "gpu")),
        (
            "host/gpu,allow_partial=true,precision=float32",
            Target("host", "gpu", 1, (), (("allow_partial", "true"), ("precision", "float32"))),
        ),
        ("benchmark_model/cpu:1,xnnpack=false", Target("benchmark_model", "cpu", 1, (), (("xnnpack", "false"),))),
        ("android/gpu", Target("android", "gpu")),
        ("android:10.0.0.7:5555/cpu:2", Target("android", "cpu", 2, ("10.0.0.7:5555",))),
        ("android:a/b+c/nnapi", Target("android", "nnapi", 1, ("a/b", "c"))),
        (
            "android/gpu,backend=cl,external_delegate_path=/a/b=c d",
            Target("android", "gpu", 1, (), (("backend", "cl"), ("external_delegate_path", "/a/b=c d"))),
        ),
    ],
)
def test_text_and_back(text, target):
    assert parse_target(text) == target
    assert str(target) == text


def test_a_table_does_not_ask_which_phone_or_in_which_order():
    first, second = parse_target("android:A+B/gpu,precision=float16,backend=cl"), parse_target("android/gpu,backend=cl")
    assert first.kind == "android/gpu,backend=cl,precision=float16"
    assert second.kind != first.kind


@pytest.mark.parametrize("text", ["", "host", "host/cpu", "host/cpu:0", "host/cpu:-1", "host/cpu:1 ", "phone/cpu:1"])
def test_what_would_be_right_is_said(text):
    with pytest.raises(UserError, match="host/cpu:1"):
        parse_target(text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("android:/cpu:1", "should read"),
        ("android:A+/cpu:1", "SERIAL"),
        ("android:A+A/cpu:1", "each named once"),
        ("android:A\x07/cpu:1", "SERIAL"),
        ("android:A B/cpu:1", "should read"),
        ("host/nnapi", "host has no nnapi; it measures on host/cpu:1, host/gpu$"),
        ("benchmark_model/gpu", "benchmark_model has no gpu; it measures on benchmark_model/cpu:1$"),
        (
            "host/gpu,allow_partial=yes",
            "allow_partial=yes is no option of host/gpu; it has allow_partial=true or false",
        ),
        ("host/gpu,backend=cl", "precision=float32$"),
        ("host/cpu:1,xnnpack=false", "takes no options"),
        ("android/gpu,backend", "key=value"),
        ("android/gpu,backend=", "key=value"),
        ("android/gpu,--backend=cl", "key=value"),
        ("android/gpu,backend=cl,backend=gl", "each key once"),
        ("android/gpu,backend=cl\n", "key=value"),
    ],
)
def test_a_bad_serial_or_option_is_refused(text, complaint):
    with pytest.raises(UserError, match=complaint):
        parse_target(text)


@pytest.mark.parametrize(
    ("text", "profiled"),
    [("android/cpu:1", False), ("android/cpu:1,layers=models", False), ("android/cpu:1,layers=profile", True)],
)
def test_a_target_says_how_its_layers_are_timed(text, profiled):
    assert parse_target(text).profiles_layers == profiled
