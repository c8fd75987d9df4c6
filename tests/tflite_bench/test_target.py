import pytest

from tflite_bench.errors import UserError
from tflite_bench.target import Target, parse_target


def test_text_and_back():
    assert parse_target("host/cpu:4") == Target("host", "cpu", 4)
    assert str(parse_target("host/cpu:4")) == "host/cpu:4"


@pytest.mark.parametrize("text", ["", "host", "host/cpu", "host/cpu:0", "host/cpu:-1", "host/cpu:1 ", "phone/cpu:1"])
def test_what_would_be_right_is_said(text):
    with pytest.raises(UserError, match="host/cpu:1"):
        parse_target(text)
