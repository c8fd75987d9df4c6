import os
import shutil
import zipfile

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


def test_a_file_that_cannot_be_written_leaves_the_old_one_alone(tmp_path, cnn, monkeypatch):
    run = claimed(tmp_path)
    run.save_iteration(0, cnn, {"first": 8})
    run.journal.append("long_term", iteration=0)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", full)
    for write in (
        lambda: run.write_json("config.json", {}),
        lambda: run.save_iteration(0, cnn, {"first": 4}),
        lambda: run.checkpoint("long-term").write(b"half"),
    ):
        with pytest.raises(OSError, match="no space left"):
            write()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    with pytest.raises(OSError, match="no space left"):
        run.journal.cut(0)
    assert run.file("journal.jsonl").read_bytes() == before[run.file("journal.jsonl")]
    assert not list(tmp_path.rglob("*.partial*"))


def test_another_request_is_refused_by_the_flags_that_differ(tmp_path):
    claimed(tmp_path)
    with pytest.raises(UserError, match=r"seed \(there 0, now 1\)") as error:
        RunDirectory(tmp_path, REQUEST | {"seed": 1}, BUDGETS)
    assert "network" not in str(error.value)


def test_a_lower_budget_goes_on_and_a_higher_one_does_not(tmp_path):
    run = claimed(tmp_path)
    finish(run, ["macs=60%"])
    assert run.summary(BUDGETS) is not None
    lower = parse_budgets(["macs=50%"])
    going_on = RunDirectory(tmp_path, REQUEST, lower)
    assert going_on.summary(lower) is None
    with going_on.claimed():
        pass
    assert RunDirectory(tmp_path, REQUEST, BUDGETS).summary(BUDGETS) is not None, "what is finished stays finished"
    for other in ("macs=55%", "macs=10M", "parameters=40%"):
        with pytest.raises(UserError, match="differs in budget") as error:
            RunDirectory(tmp_path, REQUEST, parse_budgets([other]))
        assert str(error.value).endswith(f"python -m netadapt_tf.finetune --run_dir={tmp_path} --budget={other}")
    with pytest.raises(UserError, match=r"use another run directory$"):
        RunDirectory(tmp_path, REQUEST | {"seed": 1}, parse_budgets(["macs=55%"]))


TWO = ["macs=60%", "tflite_bytes=2MB"]


def test_of_several_budgets_all_are_the_same_or_lower_or_it_does_not_go_on(tmp_path):
    with RunDirectory(tmp_path, REQUEST, parse_budgets(TWO)).claimed():
        pass
    for lower in (TWO, TWO[::-1], ["macs=60%", "tflite_bytes=1MB"], ["macs=50%", "tflite_bytes=1MB"]):
        RunDirectory(tmp_path, REQUEST, parse_budgets(lower))
    refused = r"budget \(there macs=60%, now macs=70%: only lower ones, written alike, go on\)"
    with pytest.raises(UserError, match=refused) as error:
        RunDirectory(tmp_path, REQUEST, parse_budgets(["tflite_bytes=1MB", "macs=70%"]))
    assert "tflite_bytes" not in str(error.value).partition("; ")[0]


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
    finish(run, TWO)
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
    finish(run, ["macs=60%"])
    assert run.summary(BUDGETS) is not None
    run.write_bytes("report.html", b"met")
    run.reopen()
    assert run.summary(BUDGETS) is None
    assert not run.file("report.html").exists()


def test_what_was_known_of_the_request_is_kept(tmp_path):
    with RunDirectory(tmp_path, REQUEST | {"network_sha256": "abc"}, BUDGETS).claimed():
        pass
    claimed(tmp_path)  # the file was away
    RunDirectory(tmp_path, REQUEST | {"network_sha256": "abc"}, BUDGETS)
    with pytest.raises(UserError, match="network_sha256"):
        RunDirectory(tmp_path, REQUEST | {"network_sha256": "def"}, BUDGETS)


@pytest.mark.parametrize("content", ["", "{}\n", "[]\n", "[1]\n", "\0\0\n", '{"budgets": [], "hash": 1}\n', "a folder"])
def test_a_damaged_configuration_is_refused(tmp_path, content):
    run = claimed(tmp_path)
    damaged(run.file("config.json"), content)
    with pytest.raises(UserError, match=r"config\.json"):
        RunDirectory(tmp_path, REQUEST, BUDGETS)


@pytest.mark.parametrize("name", ["summary.json", "journal.jsonl"])
@pytest.mark.parametrize(
    "content",
    [
        *("{}\n", "[]\n", "[1]\n", "\0\0\n", "a folder"),
        *('{"budgets": []}\n', '{"budgets": [], "iterations": 1, "sha256": ""}\n'),
    ],
)
def test_other_damage_is_named_and_set_aside(tmp_path, caplog, name, content):
    run = claimed(tmp_path)
    damaged(run.file(name), content)
    if (name, content) == ("journal.jsonl", "a folder"):
        with pytest.raises(UserError, match=r"journal\.jsonl cannot be read"):
            RunDirectory(tmp_path, REQUEST, BUDGETS)
        return
    run = RunDirectory(tmp_path, REQUEST, BUDGETS)
    assert run.summary(BUDGETS) is None
    assert not caplog.text, "nothing is changed before the directory is claimed"
    with run.claimed():
        assert f"{run.file(name)} is damaged" in caplog.text
        assert run.file(f"{name}.damaged-1").exists()
        run.journal.append("long_term", iteration=1)
    assert len(list(claimed(tmp_path).journal.events())) == 1


def damaged(file, content: str) -> None:
    file.unlink(missing_ok=True)
    if content == "a folder":
        file.mkdir()
    else:
        file.write_text(content)


def journalled(path, *iterations: int) -> list[str]:
    """A run's journal of these iterations, a proposal before each and a last stage after; returns its lines."""
    journal = RunDirectory(path, REQUEST, BUDGETS).journal
    figures = {"accuracy": 0.5, "predicted": {}, "measured": {}, "spread": {}}
    for iteration in iterations:
        if iteration:
            journal.append("proposal", iteration=iteration, group="first", filters=4, accuracy=0.5)
        journal.append("iteration", iteration=iteration, picked=None, **figures)
    journal.append("long_term", iteration=iterations[-1])
    return (path / "journal.jsonl").read_text().splitlines(keepends=True)


def folders(path) -> list[str]:
    return sorted(folder.name for folder in (path / "iterations").iterdir())


def test_of_a_journal_damaged_in_the_middle_the_beginning_counts(tmp_path, cnn, caplog):
    run = claimed(tmp_path)
    for iteration in range(3):
        run.save_iteration(iteration, cnn, {"first": 8})
    lines = journalled(tmp_path, 0, 1, 2)
    damaged_text = "".join([*lines[:2], lines[2][:20] + "\n", *lines[3:]])
    run.file("journal.jsonl").write_text(damaged_text)
    claimed(tmp_path)
    assert run.file("journal.jsonl").read_text() == "".join(lines[:2])
    assert run.file("journal.jsonl.damaged-1").read_text() == damaged_text
    assert folders(tmp_path) == ["000", "001.damaged-1", "002.damaged-1"]
    assert "line 3" in caplog.text


def test_a_damaged_iteration_is_done_again_from_its_finished_proposals(tmp_path, cnn, caplog):
    run = claimed(tmp_path)
    for iteration in range(3):
        run.save_iteration(iteration, cnn, {"first": 8})
    lines = journalled(tmp_path, 0, 1, 2)
    file = run.iteration(2) / "network.keras"
    file.write_bytes(file.read_bytes()[:-3])
    claimed(tmp_path)
    assert run.file("journal.jsonl").read_text() == "".join(lines[:4]), "the proposals of iteration 2 stand"
    assert run.file("journal.jsonl.damaged-1").read_text() == "".join(lines)
    assert folders(tmp_path) == ["000", "001", "002.damaged-1"]
    assert "goes back to iteration 1" in caplog.text


FOLLOWED = [{"first": 8, "second": 8}, {"first": 8, "second": 4}, {"first": 6, "second": 4}]


def picked(path, cnn) -> RunDirectory:
    """A run of two iterations, the first of which picked `second`, and the second `first`."""
    run = claimed(path)
    for iteration, (widths, pick) in enumerate(zip(FOLLOWED, (None, "second", "first"), strict=True)):
        run.save_iteration(iteration, cnn, widths)
        figures = {"accuracy": 0.5, "predicted": {}, "measured": {}, "spread": {}}
        filters = {"filters": widths[pick]} if pick else {}
        run.journal.append("iteration", iteration=iteration, picked=pick, **filters, **figures)
    return run


@pytest.mark.parametrize("iteration", [0, 1, 2])
@pytest.mark.parametrize(
    "content", ['{"first": 8, "second": 5}', '{"first": 8}', "{}", "[]", '{"first": "8', "\0", "a folder"]
)
def test_widths_that_are_not_what_was_picked_are_set_aside_and_written_anew(tmp_path, cnn, caplog, iteration, content):
    run = picked(tmp_path, cnn)
    assert all(run.has_widths(number) for number in range(3))
    file = run.iteration(iteration) / "widths.json"
    damaged(file, content)
    assert not run.has_widths(iteration) or not iteration, "the start's own are held against its network alone"
    with run.claimed():
        assert len(list(run.journal.events())) == 3, "its network is sound, and nothing need be done again"
        run.mend_widths(FOLLOWED[0])
    assert [run.widths(number) for number in range(3)] == FOLLOWED
    assert f"{file} is damaged; it is set aside as widths.json.damaged-1, and written anew" in caplog.text
    assert sorted(path.name for path in tmp_path.rglob("*.damaged-*")) == ["widths.json.damaged-1"]
    caplog.clear()
    run.mend_widths(FOLLOWED[0])
    assert not caplog.text


def test_widths_that_a_kill_came_before_are_written_and_no_damage(tmp_path, cnn, caplog):
    run = picked(tmp_path, cnn)
    for iteration in (0, 2):
        (run.iteration(iteration) / "widths.json").unlink()
    shutil.rmtree(run.iteration(1))
    run.mend_widths(FOLLOWED[0])
    assert [run.widths(number) for number in (0, 2)] == [FOLLOWED[0], FOLLOWED[2]]
    assert not run.iteration(1).exists(), "widths alone are no iteration"
    assert not caplog.text


def test_where_the_journal_does_not_say_what_was_picked_the_widths_count_as_they_are(tmp_path, cnn, caplog):
    run = claimed(tmp_path)
    for iteration, widths in enumerate(FOLLOWED):
        run.save_iteration(iteration, cnn, widths)
    journalled(tmp_path, 0, 1, 2)
    run = claimed(tmp_path)
    run.mend_widths(FOLLOWED[0])
    assert [run.widths(number) for number in range(3)] == FOLLOWED
    assert run.has_widths(2)
    assert not caplog.text


def test_without_a_sound_start_the_run_begins_anew(tmp_path, cnn, caplog):
    run = claimed(tmp_path)
    for iteration in range(2):
        run.save_iteration(iteration, cnn, {"first": 8})
    run.write_bytes("start.tflite", b"of the damaged network")
    journalled(tmp_path, 0, 1)
    file = run.iteration(0) / "network.keras"
    file.write_bytes(file.read_bytes()[:-3])
    again = RunDirectory(tmp_path, REQUEST, BUDGETS)
    assert not again.has_iteration(0)
    with again.claimed():
        assert not list(again.journal.events())
    assert folders(tmp_path) == ["000.damaged-1", "001.damaged-1"]
    assert run.file("start.tflite.damaged-1").exists()
    assert not run.file("start.tflite").exists()
    assert "begins anew" in caplog.text


def test_a_kill_while_damage_is_mended_leaves_what_is_found_again(tmp_path, cnn, monkeypatch):
    run = claimed(tmp_path)
    for iteration in range(2):
        run.save_iteration(iteration, cnn, {"first": 8})
    lines = journalled(tmp_path, 0, 1)
    file = run.iteration(1) / "network.keras"
    file.write_bytes(file.read_bytes()[:-3])

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tflite_bench.whole_file.os.replace", killed)
        with pytest.raises(KeyboardInterrupt):
            claimed(tmp_path)
    assert run.file("journal.jsonl").read_text() == "".join(lines)
    claimed(tmp_path)
    assert run.file("journal.jsonl").read_text() == "".join(lines[:2])


def test_a_start_that_is_gone_vouches_for_nothing(tmp_path, cnn, caplog):
    run = claimed(tmp_path)
    for iteration in range(2):
        run.save_iteration(iteration, cnn, {"first": 8})
    journalled(tmp_path, 0, 1)
    shutil.rmtree(run.iteration(0))
    assert not list(claimed(tmp_path).journal.events())
    assert folders(tmp_path) == ["001.damaged-1"]
    assert "begins anew" in caplog.text


def test_an_iteration_far_beyond_the_last_record_is_set_aside(tmp_path, cnn):
    run = claimed(tmp_path)
    for iteration in range(4):
        run.save_iteration(iteration, cnn, {"first": 8})
    journalled(tmp_path, 0, 1)
    claimed(tmp_path)
    assert folders(tmp_path) == ["000", "001", "002", "003.damaged-1"]


def test_a_stage_is_done_while_its_file_is_the_one_that_it_wrote(tmp_path):
    run = claimed(tmp_path)
    run.write_bytes("adapted.keras", b"of iteration 1")
    run.journal.append("long_term", iteration=1, sha256=run.digest("adapted.keras"))
    assert run.is_done("long_term", 1, "adapted.keras")
    assert not run.is_done("long_term", 2, "adapted.keras")
    run.write_bytes("adapted.keras", b"of iteration 2")
    assert not run.is_done("long_term", 1, "adapted.keras")


def test_a_setting_that_came_later_was_as_it_was_before(tmp_path):
    with RunDirectory(tmp_path, REQUEST, BUDGETS).claimed():
        pass
    RunDirectory(tmp_path, REQUEST | {"screen": False}, BUDGETS)
    with pytest.raises(UserError, match=r"screen \(there False, now True\)"):
        RunDirectory(tmp_path, REQUEST | {"screen": True}, BUDGETS)
    RunDirectory(tmp_path, REQUEST | {"distillation": 0.0}, BUDGETS)
    with pytest.raises(UserError, match=r"distillation \(there 0.0, now 0.5\)"):
        RunDirectory(tmp_path, REQUEST | {"distillation": 0.5}, BUDGETS)
    with pytest.raises(UserError, match=r"lock \(there '', now third\)"):
        RunDirectory(tmp_path, REQUEST | {"lock": "third"}, BUDGETS)


@pytest.mark.parametrize(
    "name", ["adapted.keras", "adapted.tflite", "iterations/000/network.keras", "iterations/000/widths.json"]
)
def test_a_result_of_which_a_file_is_gone_is_no_result(tmp_path, name):
    run = claimed(tmp_path)
    finish(run, ["macs=60%"])
    assert run.summary(BUDGETS) is not None
    run.file(name).unlink()
    assert run.summary(BUDGETS) is None


def test_a_damaged_result_is_no_result(tmp_path, cnn, caplog):
    run = claimed(tmp_path)
    run.save_iteration(0, cnn, {"first": 8})
    lines = journalled(tmp_path, 0)
    finish(run, ["macs=60%"])
    assert run.summary(BUDGETS) is not None
    run.write_bytes("adapted.keras", run.file("adapted.keras").read_bytes()[:-3])
    assert run.summary(BUDGETS) is None
    claimed(tmp_path)
    assert run.file("journal.jsonl").read_text() == "".join(lines[:-1])
    assert run.file("adapted.keras.damaged-1").exists()
    assert "the last stage is done again" in caplog.text


def finish(run: RunDirectory, budgets: list[str]) -> None:
    """Files as a finished run has them."""
    run.iteration(0).mkdir(exist_ok=True)
    run.write_json("iterations/000/widths.json", {"first": 8})
    for name in ("adapted.keras", "iterations/000/network.keras"):
        with zipfile.ZipFile(run.file(name), "w") as archive:
            archive.writestr("config.json", "{}")
    run.write_bytes("adapted.tflite", b"")
    run.write_json("summary.json", {"budgets": [{"budget": text} for text in budgets], "iterations": 0})


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
