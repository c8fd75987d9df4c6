import json
from dataclasses import asdict

import pytest

from benchmarks.claimed_folder import claim
from netadapt_tf.settings import Settings
from tflite_bench.errors import UserError

PROBLEM = {"alpha": 0.25, "threads": 1, "settings": asdict(Settings())}


def test_a_folder_belongs_to_one_problem(tmp_path):
    claim(tmp_path / "folder", PROBLEM)
    claim(tmp_path / "folder", PROBLEM)
    other = PROBLEM | {"threads": 2, "settings": asdict(Settings(short_term_steps=1))}
    with pytest.raises(UserError, match=r"another problem; it differs in threads, settings; .*--output"):
        claim(tmp_path / "folder", other)


def test_a_setting_that_came_later_was_as_it_is_by_default(tmp_path):
    claim(tmp_path, PROBLEM)
    path = tmp_path / "problem.json"
    earlier = json.loads(path.read_text())
    del earlier["settings"]["screen"]
    path.write_text(json.dumps(earlier))
    claim(tmp_path, PROBLEM)
    with pytest.raises(UserError, match="differs in settings"):
        claim(tmp_path, PROBLEM | {"settings": asdict(Settings(screen=True))})


def test_a_teacher_that_came_later_was_not_there(tmp_path):
    claim(tmp_path, PROBLEM | {"settings": asdict(Settings(distillation=0.0))})
    path = tmp_path / "problem.json"
    earlier = json.loads(path.read_text())
    del earlier["settings"]["distillation"]
    path.write_text(json.dumps(earlier))
    with pytest.raises(UserError, match="differs in settings"):
        claim(tmp_path, PROBLEM)


@pytest.mark.parametrize("content", ["{", "{}", "[]", '{"settings": 1}'])
def test_a_folder_that_cannot_be_made_or_read_is_said(tmp_path, content):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--output"):
        claim(tmp_path / "file" / "folder", PROBLEM)
    (tmp_path / "problem.json").write_text(content)
    with pytest.raises(UserError, match="--output"):
        claim(tmp_path, PROBLEM)
