import json
import os
from pathlib import Path

import pytest

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


def test_there_is_a_journal_at_every_moment_of_a_cut(tmp_path, monkeypatch):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    journal = Journal(tmp_path / "journal.jsonl")
    for iteration in (1, 2):
        journal.append("long_term", iteration=iteration)
    monkeypatch.setattr(Path, "rename", killed)
    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        journal.cut(1)
    monkeypatch.undo()
    assert len(list(Journal(tmp_path / "journal.jsonl").events())) == 2
    journal.cut(1)
    assert len(list(Journal(tmp_path / "journal.jsonl").events())) == 1


@pytest.mark.parametrize(
    "record",
    [
        {"event": "quantization_aware"},
        {"event": "finished"},
        {"event": "long_term", "iteration": "1"},
        {"event": "long_term", "iteration": True},
        {"event": "discarded", "iteration": 1, "group": "a", "filters": 1.5},
        {"event": "proposal", "iteration": 1, "group": "a", "filters": 8, "accuracy": None},
    ],
)
def test_what_lacks_a_key_or_a_number_is_no_record(tmp_path, record):
    path = tmp_path / "journal.jsonl"
    path.write_text(json.dumps(record) + "\n")
    assert "is no record" in Journal(path).damage


def test_followers_are_told_every_record_once_it_is_on_disk(tmp_path):
    path = tmp_path / "journal.jsonl"
    Journal(path).append("note", group="a")
    journal, told = Journal(path), []
    journal.follow(lambda record: told.append((record["group"], len(path.read_text().splitlines()))))
    journal.append("note", group="b")
    assert told == [("a", 1), ("b", 2)]


def test_seconds_are_added_up_by_kind_of_work(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append("note", wall_s={"measure": 1.25, "convert": 3})
    journal.append("note", wall_s={"measure": 2.0, "convert": "long"})
    journal.append("note", wall_s=9.0)
    assert journal.wall_s() == {"measure": 3.2, "convert": 3}
