from netadapt_tf.resources.counted import Counted


def test_prediction_and_truth_are_one():
    resource = Counted("MACs", lambda widths: sum(widths.values()), {"a": 8, "b": 4})
    assert resource.predict({"a": 2, "b": 4}) == 6
    measured = resource.measure({"a": 2, "b": 4})
    assert (measured.start, measured.value, measured.spread) == (12, 6, 0)
