import numpy as np
import pytest

from tflite_bench.errors import UserError
from tflite_bench.precision import MIN_CALIBRATION_IMAGES, PRECISIONS, check_calibration, check_runs
from tflite_bench.target import parse_target

IMAGES = np.zeros((MIN_CALIBRATION_IMAGES, 2, 2, 3), np.float32)


@pytest.mark.parametrize("target", ["host/cpu:1", "benchmark_model/cpu:2", "android/cpu:4"])
def test_processors_run_every_precision(target):
    for precision in PRECISIONS:
        check_runs(precision, [parse_target(target)])


@pytest.mark.parametrize(
    ("target", "refused"),
    [("android/gpu", {"dynamic", "int8"}), ("host/gpu", {"dynamic", "int8"}), ("android/nnapi", {"dynamic"})],
)
def test_a_delegate_refuses_what_it_cannot_run(target, refused):
    for precision in PRECISIONS:
        if precision not in refused:
            check_runs(precision, [parse_target(target)])
            continue
        with pytest.raises(UserError, match=f"target {target} does not run networks of precision {precision}.*float32"):
            check_runs(precision, [parse_target("host/cpu:1"), parse_target(target)])


def test_enough_whole_images_calibrate():
    check_calibration(IMAGES)


def test_too_few_images_do_not_calibrate():
    with pytest.raises(UserError, match=f"{MIN_CALIBRATION_IMAGES} or more training images.*there are 15"):
        check_calibration(IMAGES[1:])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_images_without_numbers_do_not_calibrate(value):
    images = IMAGES.copy()
    images[[3, 7], 0, 0, 0] = value
    with pytest.raises(UserError, match="2 of 16 training images hold NaN or infinity, first image 3"):
        check_calibration(images)
