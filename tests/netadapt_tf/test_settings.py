import dataclasses
import json
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from netadapt_tf.settings import Settings
from tflite_bench.errors import UserError


def test_retraining_takes_as_long_as_all_training_before_it():
    assert Settings(pretrain_epochs=3, long_term_epochs=5).final_epochs == 5
    assert Settings(pretrain_epochs=3, long_term_epochs=5, final="retrain").final_epochs == 8


@pytest.mark.parametrize(
    "name", [field.name for field in dataclasses.fields(Settings) if field.name not in ("lock", "screen")]
)
@pytest.mark.parametrize("value", [None, "many", [1], True, float("nan"), float("inf"), -1, 10**400, np.ones(2)])
def test_no_field_takes_what_means_nothing(name, value):
    with pytest.raises(UserError) as error:
        Settings(**{name: value})
    assert str(error.value).startswith(f"{name} is {value!r}; it should be ")


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"lock": "conv("}, "lock is 'conv('; it should be a regular expression"),
        ({"lock": "a{99999999999}"}, "it should be a regular expression"),
        ({"lock": None}, "lock is None; it should be a text"),
        ({"lock": b"conv"}, "lock is b'conv'; it should be a text"),
        ({"filters": "l1"}, "l2 or bn_scale or taylor or random"),
        ({"screen": 1}, "screen is 1; it should be True or False"),
        ({"final": "stop"}, "fine_tune or retrain"),
        ({"pick": "best"}, "highest_accuracy or lowest_loss or best_ratio"),
        ({"initial_reduction": 0}, "above 0 and at most 1"),
        ({"reduction_decay": 2}, "above 0 and at most 1"),
        ({"short_term_steps": 2.0}, "an integer from 0"),
        ({"filter_multiple": 0}, "an integer from 1"),
        ({"seed": 2**31}, "to 2147483647"),
        ({"seed": np.int64(-1)}, "an integer from 0"),
        ({"short_term_learning_rate": -1e-9}, "at least 0"),
    ],
)
def test_the_sentence_says_what_would_be_right(choice, said):
    with pytest.raises(UserError, match=re.escape(said)):
        Settings(**choice)


def test_the_ends_of_the_ranges_are_taken():
    lowest = Settings(
        pretrain_epochs=0,
        pretrain_learning_rate=0.0,
        initial_reduction=1e-9,
        reduction_decay=1e-9,
        short_term_steps=0,
        short_term_learning_rate=0.0,
        mid_term_epochs=0,
        mid_term_learning_rate=0.0,
        filter_multiple=1,
        seed=0,
    )
    highest = Settings(initial_reduction=1, reduction_decay=1, seed=2**31 - 1)
    assert (lowest.short_term_steps, highest.initial_reduction) == (0, 1)


def test_numbers_of_numpy_become_plain_ones():
    numbers: dict[str, Any] = {"long_term_epochs": np.int64(3), "initial_reduction": np.float32(0.25)}
    settings = Settings(**numbers, reduction_decay=1)
    assert settings == Settings(long_term_epochs=3, initial_reduction=0.25, reduction_decay=1.0)
    assert json.loads(json.dumps(dataclasses.asdict(settings)))["initial_reduction"] == 0.25
    assert isinstance(settings.reduction_decay, float)


def test_flags_become_settings(tmp_path):
    """In a process of its own, since flags are global."""
    code = (
        "import sys; from absl import flags; from netadapt_tf import adapt; flags.FLAGS(sys.argv); "
        "settings = adapt._request().settings; print(settings.filters, settings.lock, settings.pick)"
    )
    command = [sys.executable, "-c", code, "--budget=macs=50%", f"--run_dir={tmp_path}"]
    for given, expected in (
        ([], "l2  highest_accuracy"),
        (["--filters=taylor", "--lock=conv_(1|2)", "--pick=best_ratio"], "taylor conv_(1|2) best_ratio"),
    ):
        result = subprocess.run([*command, *given], capture_output=True, text=True, timeout=120, check=True)
        assert result.stdout.rstrip("\n") == expected


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("alpha=nan", "--alpha"),
        ("alpha=inf", "--alpha"),
        ("alpha=4.5", "--alpha"),
        ("resolution=5000", "--resolution"),
        ("threads=1025", "--threads"),
        (f"batch_size={10**30}", "--batch_size"),
        ("long_term_learning_rate=nan", "long_term_learning_rate is nan; it should be a finite number"),
        (f"long_term_epochs={10**30}", "long_term_epochs is 1000"),
        ("filters=l1", "--filters"),
        ("lock=conv(", "lock is 'conv('; it should be a regular expression (missing ), unterminated subpattern"),
    ],
)
def test_numbers_that_flags_cannot_be_get_one_sentence(flag, said, tmp_path):
    command = [sys.executable, "-m", "netadapt_tf.adapt", "--budget=macs=50%", f"--run_dir={tmp_path}", f"--{flag}"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 2, result.stderr
    (sentence,) = result.stderr.splitlines()
    assert sentence.startswith("Error: ")
    assert said in sentence
