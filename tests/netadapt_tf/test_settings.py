import pytest

from netadapt_tf.settings import Settings
from tflite_bench.errors import UserError


def test_retraining_takes_as_long_as_all_training_before_it():
    assert Settings(pretrain_epochs=3, long_term_epochs=5).final_epochs == 5
    assert Settings(pretrain_epochs=3, long_term_epochs=5, final="retrain").final_epochs == 8


@pytest.mark.parametrize(
    "choice", [{"final": "stop"}, {"pick": "best"}, {"initial_reduction": 0}, {"reduction_decay": 2}]
)
def test_choices_that_do_not_exist_are_refused(choice):
    with pytest.raises(UserError, match=next(iter(choice))):
        Settings(**choice)
