from netadapt_tf.identity import run_identity
from netadapt_tf.settings import Settings
from netadapt_tf.training.task import ACCURACY


def test_latencies_of_the_table_alone_make_another_run_either_way():
    alone, measured = (run_identity(None, {"data": 1}, Settings(), None, ACCURACY, only) for only in (True, False))
    assert {key for key in measured if alone[key] != measured[key]} == {"table_only"}
    assert alone.keys() == measured.keys(), "a key that is missing is not compared"
