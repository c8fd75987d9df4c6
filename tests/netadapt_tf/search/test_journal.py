import json

from netadapt_tf.search.journal import Journal


def test_events_survive_in_order(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append("note", group="a")
    journal.append("long_term", iteration=1)
    journal.append("note", group="b")
    again = Journal(tmp_path / "journal.jsonl")
    assert [record["group"] for record in again.events("note")] == ["a", "b"]
    assert len(list(again.events())) == 3
    assert again.last("long_term") == {"event": "long_term", "iteration": 1}
    assert again.last("nothing") is None


def test_a_line_cut_short_is_dropped_and_writing_goes_on(tmp_path):
    path = tmp_path / "journal.jsonl"
    Journal(path).append("long_term", iteration=1)
    with open(path, "a") as file:
        file.write('{"event": "iterat')
    journal = Journal(path)
    journal.append("long_term", iteration=2)
    assert [json.loads(line)["iteration"] for line in path.read_text().splitlines()] == [1, 2]
