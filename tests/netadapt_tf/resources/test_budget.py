import numpy as np
import pytest

from netadapt_tf.resources.budget import least_budget, parse_budget, parse_budgets
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


def test_several_budgets_keep_their_order():
    texts = ["macs=60%", "latency@host/cpu:2=60%", "latency@host/cpu:1=60%"]
    assert [budget.text for budget in parse_budgets(texts)] == texts


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ("macs=60%", "list of one budget or more"),
        ([], "list of one budget or more"),
        ([60], "list of one budget or more"),
        (["macs=60%", "macs=5M"], "macs=60% and macs=5M are both about macs"),
        (["latency@host/cpu:1=5ms", "macs=5", "latency@host/cpu:1=60%"], "both about latency@host/cpu:1;"),
        (["macs=60%", "macs"], "RESOURCE"),
    ],
)
def test_lists_that_cannot_be_are_explained(texts, said):
    with pytest.raises(UserError) as error:
        parse_budgets(texts)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("asked", "start", "least", "suggested"),
    [
        ("latency@host/cpu:1=10%", 0.1, 0.0312, "latency@host/cpu:1=31.2%"),
        ("latency@host/cpu:1=0.01ms", 0.1, 0.031199, "latency@host/cpu:1=0.0312ms"),
        ("latency@host/cpu:1=10us", 0.1, 0.031199, "latency@host/cpu:1=31.2us"),
        ("macs=5K", 1e6, 57e3, "macs=57K"),
        ("macs=5", 1e6, 56330, "macs=56400"),
        ("parameters=1%", 1e6, 1e6, "parameters=100%"),
        ("parameters=1%", 1e6, 1e6 + 1, None),
    ],
)
def test_a_suggestion_is_in_the_unit_that_was_asked_in(asked, start, least, suggested):
    assert least_budget(parse_budget(asked), start, least) == suggested


@pytest.mark.parametrize(
    "asked", ["latency@host/cpu:2=1%", "latency@host/cpu:1=1ms", "latency@host/cpu:1=1us", "macs=1", "macs=1G"]
)
def test_a_suggestion_can_be_met_and_is_close(asked):
    random = np.random.default_rng(0)
    for _ in range(500):
        start = 10 ** random.uniform(-4, 12)
        least = start * random.choice([10 ** random.uniform(-5, 0), random.integers(1, 1000) / 1000])
        suggested = least_budget(parse_budget(asked), start, least)
        assert suggested is not None
        assert least <= parse_budget(suggested).limit(start) < 1.1 * least


OWN = {"energy": {"uJ": 1.0, "mJ": 1e3}}


@pytest.mark.parametrize(("text", "limit_of_1000"), [("energy=60%", 600), ("energy=5uJ", 5), ("energy=0.25mJ", 250)])
def test_resources_of_ones_own_have_units_of_their_own(text, limit_of_1000):
    budget = parse_budget(text, OWN)
    assert budget.name == "energy"
    assert budget.limit(1000) == limit_of_1000
    assert budget.unit == "uJ"
    assert parse_budgets(["macs=60%", text], OWN)[1] == budget
    assert least_budget(budget, 1000, 730) in ("energy=73%", "energy=730uJ", "energy=0.73mJ")


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("latency@host/cpu:1=5us", "ms"),
        ("macs=5K", "MACs"),
        ("parameters=5%", "parameters"),
        ("tflite_bytes=5MB", "bytes"),
    ],
)
def test_amounts_are_in_the_unit_of_the_resource(text, unit):
    assert parse_budget(text).unit == unit
