import json

import pytest

from netadapt_tf.training.cluster import Cluster, cluster
from tflite_bench.errors import UserError

_TWO = {"worker": ["first:2222", "second:2222"]}


def told(jobs: object, task: object) -> str:
    return json.dumps({"cluster": jobs, "task": task})


def test_the_first_machine_is_the_chief(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", told(_TWO, {"type": "worker", "index": 0}))
    assert cluster() == Cluster(("first:2222", "second:2222"), 0)
    assert cluster().is_chief
    monkeypatch.setenv("TF_CONFIG", told(_TWO, {"type": "worker", "index": "1"}))
    assert not cluster().is_chief
    assert cluster().chief == "first:2222"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "which is not set"),
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"cluster": {"worker": ["a:1"]}}', "cannot be read .*'task'"),
        (told({"worker": 3}, {"type": "worker", "index": 0}), "cannot be read"),
        (told(_TWO, {"type": "worker", "index": "x"}), "cannot be read"),
        (told({**_TWO, "ps": ["c:1"]}, {"type": "worker", "index": 0}), "all tasks should be of the type worker"),
        (told(_TWO, {"type": "chief", "index": 0}), "all tasks should be of the type worker"),
        (
            told({"worker": ["a:1"]}, {"type": "worker", "index": 0}),
            "names one machine; for one, take the strategy mirrored",
        ),
        (told(_TWO, {"type": "worker", "index": 2}), "has 2 workers; the index of this one is 2"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(monkeypatch, text, complaint):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match=complaint):
        cluster()
