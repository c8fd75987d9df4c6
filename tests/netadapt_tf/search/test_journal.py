import json

from netadapt_tf.search.journal import Journal


def test_events_survive_in_order(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append("proposal", group="a", accuracy=0.5)
    journal.append("iteration", iteration=1)
    journal.append("proposal", group="b", accuracy=0.6)
    again = Journal(tmp_path / "journal.jsonl")
    assert [record["group"] for record in again.events("proposal")] == ["a", "b"]
    assert len(list(again.events())) == 3
    assert again.last("iteration") == {"event": "iteration", "iteration": 1}
    assert again.last("nothing") is None


def test_a_line_cut_short_is_dropped_and_writing_goes_on(tmp_path):
    path = tmp_path / "journal.jsonl"
    Journal(path).append("iteration", iteration=1)
    with open(path, "a") as file:
        file.write('{"event": "iterat')
    journal = Journal(path)
    journal.append("iteration", iteration=2)
    assert [json.loads(line)["iteration"] for line in path.read_text().splitlines()] == [1, 2]
