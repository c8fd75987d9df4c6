from netadapt_tf import identity
from netadapt_tf.identity import run_identity
from netadapt_tf.settings import Settings
from netadapt_tf.training.task import ACCURACY


def test_latencies_of_the_table_alone_make_another_run_either_way():
    alone, measured = (run_identity(None, {"data": 1}, Settings(), None, ACCURACY, only) for only in (True, False))
    assert {key for key in measured if alone[key] != measured[key]} == {"table_only"}
    assert alone.keys() == measured.keys(), "a key that is missing is not compared"


def test_another_number_of_replicas_makes_another_run(monkeypatch):
    def asked(count: int) -> dict:
        monkeypatch.setattr(identity, "replica_count", lambda strategy: count)
        return run_identity(None, {"data": 1}, Settings(strategy="mirrored"), None, ACCURACY)

    two, four = asked(2), asked(4)
    assert {key for key in two if two[key] != four[key]} == {"replicas"}
