import pytest

from netadapt_tf.resources.budget import parse_budget
from tflite_bench.errors import UserError


@pytest.mark.parametrize(
    ("text", "name", "limit_of_1000"),
    [
        ("latency@host/cpu:1=60%", "latency@host/cpu:1", 600),
        ("latency@host/cpu:2=8ms", "latency@host/cpu:2", 8),
        ("latency@host/cpu:2=80us", "latency@host/cpu:2", 0.08),
        ("macs=150M", "macs", 150e6),
        ("macs=0.5G", "macs", 5e8),
        ("parameters=50%", "parameters", 500),
        ("tflite_bytes=2MB", "tflite_bytes", 2e6),
        ("tflite_bytes=2000", "tflite_bytes", 2000),
    ],
)
def test_grammar(text, name, limit_of_1000):
    budget = parse_budget(text)
    assert budget.name == name
    assert budget.limit(1000) == pytest.approx(limit_of_1000)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "RESOURCE"),
        ("latency", "RESOURCE"),
        ("latency@host/cpu:1", "RESOURCE"),
        ("latency@host/cpu:1=", "RESOURCE"),
        ("latency@host/cpu:1=fast", "RESOURCE"),
        ("latency@host/cpu:1=-5ms", "RESOURCE"),
        ("latency=5ms", "needs a target"),
        ("macs@host/cpu:1=5M", "takes no target"),
        ("energy=5", "latency, macs, parameters, tflite_bytes"),
        ("latency@phone=5ms", "host/cpu:1"),
        ("latency@host/cpu:1=5M", "ms"),
        ("macs=5ms", "%, a plain number, K, M, G"),
        ("macs=0%", "above 0"),
        ("macs=120%", "at most 100%"),
    ],
)
def test_mistakes_are_explained(text, said):
    with pytest.raises(UserError) as error:
        parse_budget(text)
    assert said in str(error.value)
