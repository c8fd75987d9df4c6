import re

import pytest

from netadapt_tf.resources.budget import parse_budgets
from netadapt_tf.search.run_directory import RunDirectory
from tflite_bench.errors import UserError

BUDGETS = parse_budgets(["macs=60%"])
REQUEST = {"network": "mobilenet_v1", "seed": 0}


def claimed(path) -> RunDirectory:
    run = RunDirectory(path, REQUEST, BUDGETS)
    with run.claimed():
        return run


def test_the_same_request_finds_what_was_kept(tmp_path, cnn):
    run = claimed(tmp_path / "run")
    assert not run.has_iteration(3)
    run.save_iteration(3, cnn, {"first": 8})
    run.journal.append("long_term", iteration=3)
    again = RunDirectory(tmp_path / "run", REQUEST, BUDGETS)
    assert again.has_iteration(3)
    assert again.load_iteration(3).count_params() == cnn.count_params()
    assert again.read_json("iterations/003/widths.json") == {"first": 8}
    assert again.journal.last("long_term") is not None
    assert not list((tmp_path / "run").rglob("*.partial*"))


def test_another_request_is_refused_by_the_flags_that_differ(tmp_path):
    claimed(tmp_path)
    with pytest.raises(UserError, match=r"seed \(there 0, now 1\)") as error:
        RunDirectory(tmp_path, REQUEST | {"seed": 1}, BUDGETS)
    assert "network" not in str(error.value)


def test_a_lower_budget_goes_on_and_a_higher_one_does_not(tmp_path):
    run = claimed(tmp_path)
    for name in ("adapted.keras", "adapted.tflite"):
        run.write_bytes(name, b"")
    run.write_json("summary.json", {"budgets": [{"budget": "macs=60%"}]})
    assert run.summary(BUDGETS) is not None
    lower = parse_budgets(["macs=50%"])
    going_on = RunDirectory(tmp_path, REQUEST, lower)
    assert going_on.summary(lower) is None
    with going_on.claimed():
        pass
    assert RunDirectory(tmp_path, REQUEST, BUDGETS).summary(BUDGETS) is not None, "what is finished stays finished"
    for other in ("macs=55%", "macs=10M", "parameters=40%"):
        with pytest.raises(UserError, match="budget"):
            RunDirectory(tmp_path, REQUEST, parse_budgets([other]))


TWO = ["macs=60%", "tflite_bytes=2MB"]


def test_of_several_budgets_all_are_the_same_or_lower_or_it_does_not_go_on(tmp_path):
    with RunDirectory(tmp_path, REQUEST, parse_budgets(TWO)).claimed():
        pass
    for lower in (TWO, TWO[::-1], ["macs=60%", "tflite_bytes=1MB"], ["macs=50%", "tflite_bytes=1MB"]):
        RunDirectory(tmp_path, REQUEST, parse_budgets(lower))
    refused = r"budget \(there macs=60%, now macs=70%: only lower ones, written alike, go on\)"
    with pytest.raises(UserError, match=refused) as error:
        RunDirectory(tmp_path, REQUEST, parse_budgets(["tflite_bytes=1MB", "macs=70%"]))
    assert "tflite_bytes" not in str(error.value)


@pytest.mark.parametrize("others", [["macs=60%"], ["macs=60%", "parameters=60%"], [*TWO, "parameters=60%"]])
def test_budgets_on_other_resources_do_not_go_on(tmp_path, others):
    with RunDirectory(tmp_path, REQUEST, parse_budgets(TWO)).claimed():
        pass
    with pytest.raises(UserError) as error:
        RunDirectory(tmp_path, REQUEST, parse_budgets(others))
    assert f"budgets (there macs=60%, tflite_bytes=2MB, now {', '.join(others)}: only the same" in str(error.value)


def test_it_is_finished_for_its_budgets_in_any_order_and_for_no_fewer(tmp_path):
    with RunDirectory(tmp_path, REQUEST, parse_budgets(TWO)).claimed():
        pass
    run = RunDirectory(tmp_path, REQUEST, parse_budgets(TWO))
    for name in ("adapted.keras", "adapted.tflite"):
        run.write_bytes(name, b"")
    run.write_json("summary.json", {"budgets": [{"budget": text} for text in TWO]})
    assert run.summary(parse_budgets(TWO)) == run.summary(parse_budgets(TWO[::-1])) is not None
    assert run.summary(parse_budgets(TWO[:1])) is None
    assert run.summary(parse_budgets(["macs=60%", "tflite_bytes=1MB"])) is None


def test_two_processes_do_not_share_a_directory(tmp_path):
    first, second = claimed(tmp_path), RunDirectory(tmp_path, REQUEST, BUDGETS)
    with first.claimed():
        with pytest.raises(UserError, match="another process"), second.claimed():
            pass
        first.journal.append("long_term", iteration=3)
    with second.claimed():
        assert second.journal.last("long_term") is not None, "what the first has done since is not known"


def test_what_is_finished_is_no_more_once_it_is_about_to_change(tmp_path):
    run = claimed(tmp_path)
    run.write_json("summary.json", {"budgets": [{"budget": "macs=60%"}]})
    with pytest.raises(UserError, match=r"adapted\.keras is gone"):
        run.summary(BUDGETS)
    run.write_bytes("adapted.keras", b"")
    run.write_bytes("adapted.tflite", b"")
    assert run.summary(BUDGETS) is not None
    run.reopen()
    assert run.summary(BUDGETS) is None


def test_what_was_known_of_the_request_is_kept(tmp_path):
    with RunDirectory(tmp_path, REQUEST | {"network_sha256": "abc"}, BUDGETS).claimed():
        pass
    claimed(tmp_path)  # the file was away
    RunDirectory(tmp_path, REQUEST | {"network_sha256": "abc"}, BUDGETS)
    with pytest.raises(UserError, match="network_sha256"):
        RunDirectory(tmp_path, REQUEST | {"network_sha256": "def"}, BUDGETS)


@pytest.mark.parametrize("name", ["config.json", "summary.json", "journal.jsonl"])
@pytest.mark.parametrize("content", ["", "{}\n", "[]\n", "[1]\n", "\0\0\n", '{"budgets": [], "hash": 1}\n', "a folder"])
def test_damage_is_said_or_harmless(tmp_path, name, content):
    run = claimed(tmp_path)
    run.file(name).unlink(missing_ok=True)
    if content == "a folder":
        run.file(name).mkdir()
    else:
        run.file(name).write_text(content)
    if (name, content) in (("journal.jsonl", ""), ("summary.json", '{"budgets": [], "hash": 1}\n')):
        assert RunDirectory(tmp_path, REQUEST, BUDGETS).summary(BUDGETS) is None
        return
    with pytest.raises(UserError, match=re.escape(name)):
        RunDirectory(tmp_path, REQUEST, BUDGETS).summary(BUDGETS)


def test_a_foreign_configuration_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"theme": "dark"}')
    with pytest.raises(UserError, match="not ours"):
        RunDirectory(tmp_path, REQUEST, BUDGETS)


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(UserError, match="other files"):
        RunDirectory(tmp_path, REQUEST, BUDGETS)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_path_that_cannot_be_a_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        RunDirectory(tmp_path / "file", REQUEST, BUDGETS)
    with pytest.raises(UserError, match="cannot be written"):
        RunDirectory(tmp_path / "file" / "run", REQUEST, BUDGETS)


def test_nothing_is_written_before_the_request_is_known_to_make_sense(tmp_path):
    RunDirectory(tmp_path / "run", REQUEST, BUDGETS)
    assert list(tmp_path.iterdir()) == []
    with RunDirectory(tmp_path / "run", REQUEST | {"seed": 1}, BUDGETS).claimed():
        pass
