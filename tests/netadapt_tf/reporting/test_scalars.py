import tensorflow as tf
from tensorflow.core.util.event_pb2 import Event

from netadapt_tf.reporting import scalars
from netadapt_tf.search.journal import Journal


def record(journal: Journal, iteration: int, accuracy: float) -> None:
    costs = {"latency@host/cpu:1": 1.0 - 0.1 * iteration}
    allowed = {"constraint": {"latency@host/cpu:1": 0.95}} if iteration else {}
    journal.append(
        "iteration", iteration=iteration, accuracy=accuracy, predicted=costs, measured=costs, spread=costs, **allowed
    )


def written(folder) -> list[tuple[int, str, float, str]]:
    """Step, tag, value and plug-in of all scalars, file by file."""
    events = [
        Event.FromString(raw.numpy())
        for path in sorted(folder.glob("events*"))
        for raw in tf.data.TFRecordDataset(str(path))
    ]
    return [
        (event.step, value.tag, round(float(tf.make_ndarray(value.tensor)), 4), value.metadata.plugin_data.plugin_name)
        for event in events
        for value in event.summary.value
    ]


def test_every_iteration_is_written_once_however_often_the_run_goes_on(tmp_path):
    folder = tmp_path / "tensorboard"
    first = Journal(tmp_path / "journal.jsonl")
    record(first, 0, 0.9)
    scalars.follow(first, folder, "accuracy")
    first.append("proposal", iteration=1, group="a", filters=8, accuracy=0.1)
    record(first, 1, 0.8)
    again = Journal(tmp_path / "journal.jsonl")
    scalars.follow(again, folder, "accuracy")
    record(again, 2, 0.7)
    latency = "latency@host/cpu:1"
    assert sorted(written(folder)) == sorted(
        (step, tag, value, "scalars")
        for step, accuracy in enumerate([0.9, 0.8, 0.7])
        for tag, value in [
            ("hold-out accuracy", accuracy),
            (f"{latency}/measured", round(1 - 0.1 * step, 4)),
            (f"{latency}/predicted", round(1 - 0.1 * step, 4)),
            *([(f"{latency}/allowed", 0.95)] if step else []),
        ]
    )


def test_nothing_is_called_measured_where_latencies_are_the_tables(tmp_path):
    folder, journal = tmp_path / "tensorboard", Journal(tmp_path / "journal.jsonl")
    scalars.follow(journal, folder, "accuracy", table_only=True)
    record(journal, 1, 0.9)
    tags = {tag for _, tag, _, _ in written(folder)}
    assert tags == {"hold-out accuracy", "latency@host/cpu:1/predicted", "latency@host/cpu:1/allowed"}


def test_a_file_that_was_cut_short_is_gone_on_beside(tmp_path):
    folder, journal = tmp_path / "tensorboard", Journal(tmp_path / "journal.jsonl")
    scalars.follow(journal, folder, "accuracy")
    record(journal, 0, 0.9)
    record(journal, 1, 0.8)
    (path,) = folder.glob("events*")
    whole = written(folder)
    path.write_bytes(path.read_bytes()[:-5])
    scalars.follow(Journal(tmp_path / "journal.jsonl"), folder, "accuracy")
    (new,) = set(folder.glob("events*")) - {path}
    path.unlink()
    assert new.exists()
    assert {entry[:2] for entry in written(folder)} < {entry[:2] for entry in whole}


def test_what_cannot_be_written_stops_nothing(tmp_path, caplog):
    journal = Journal(tmp_path / "journal.jsonl")
    (tmp_path / "tensorboard").write_text("a file")
    scalars.follow(journal, tmp_path / "tensorboard", "accuracy")
    record(journal, 0, 0.9)
    assert journal.last("iteration") is not None
    assert "not written for TensorBoard" in caplog.text
