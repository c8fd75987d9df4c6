r"""Adapts a trained Keras network to one budget or several.

Example, in about eight minutes on two cores:

  python -m netadapt_tf.adapt --network=mobilenet_v1 --alpha=0.25 \
      --resolution=64 --dataset=fashion_mnist_12k \
      --budget=latency@host/cpu:1=60% --run_dir=runs/demo

Your own network and images (one sub-folder per class):

  python -m netadapt_tf.adapt --network=trained.keras --dataset=folder:photos \
      --budget=latency@host/cpu:2=8ms --run_dir=runs/mine

Several budgets are met together, each by measurement: repeat --budget. The same command goes on after an interruption;
with lower budgets it goes on from where it ended. With --dry_run it says what would be done, and trains nothing.
"""

import math
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from netadapt_tf.networks.by_name import NAMES, NETWORKS
from netadapt_tf.request import Request
from netadapt_tf.resources.budget import parse_budgets
from netadapt_tf.search.executors.place import EXECUTORS, Place
from netadapt_tf.search.filter_choice import CRITERIA
from netadapt_tf.search.selection import PICKS
from netadapt_tf.settings import FINALS, Settings
from netadapt_tf.training.data_names import AUGMENTATIONS, DATASETS, HOLDOUT_IMAGES
from netadapt_tf.training.strategy_names import STRATEGIES
from tflite_bench.binary import quiet_native_code, run
from tflite_bench.latency_table import DEFAULT_TABLE
from tflite_bench.precision import MIN_CALIBRATION_IMAGES, PRECISIONS

_DEFAULTS = Settings()
_HERE = Place()
_DEFAULT_PRETRAIN_EPOCHS = 10
_LARGEST = 2**31 - 1

_NETWORK = flags.DEFINE_string(
    "network",
    "mobilenet_v1",
    f"{', '.join(NETWORKS)}, or the path of a trained functional network (.keras, .h5, or a SavedModel directory).",
)
_ALPHA = flags.DEFINE_float(
    "alpha", None, f"Width multiplier of {NAMES}; by default 1.0.", lower_bound=0.125, upper_bound=4.0
)
flags.register_validator(  # bounds let NaN pass; Settings refuses it for the other numbers
    _ALPHA, lambda alpha: alpha is None or math.isfinite(alpha), "it should be a number in the range [0.125, 4.0]"
)
_RESOLUTION = flags.DEFINE_integer(
    "resolution",
    None,
    f"Height and width of the input of {NAMES}, in pixels; by default 224.",
    lower_bound=32,
    upper_bound=4096,
)
_WEIGHTS = flags.DEFINE_string(
    "weights",
    None,
    f"What {NAMES} starts from: imagenet ("
    + "; ".join(f"{n.name}: alpha {', '.join(f'{a:g}' for a in n.imagenet_alphas)}" for n in NETWORKS.values())
    + "), or the path of weights of the same network (.h5, .keras, .weights.h5); by default fresh weights. Of other "
    "classes than the data set's, all but the classifier is taken, which needs --pretrain_epochs.",
)
_DATASET = flags.DEFINE_string(
    "dataset",
    "fashion_mnist_12k",
    f"{DATASETS}. TensorFlow Datasets is the extra netadapt_tf[tfds]; it keeps data in ~/tensorflow_datasets, or where "
    "TFDS_DATA_DIR says. ImageNet: tfds:imagenet2012, or a folder.",
)
_AUGMENTATION = flags.DEFINE_enum(
    "augmentation",
    "none",
    AUGMENTATIONS,
    "How training images vary: flip mirrors at random; imagenet cuts out 8 to 100 % of the area and mirrors, both at "
    "random, and of all other images shows the centre. ImageNet: imagenet.",
)
_BUDGETS = flags.DEFINE_multi_string(
    "budget",
    None,
    "What is allowed at the end: RESOURCE[@TARGET]=AMOUNT, for example latency@host/cpu:1=60%, "
    "latency@host/cpu:1=8ms, macs=150M, parameters=50%, tflite_bytes=2MB; repeatable, all are met.",
    required=True,
)
_RUN_DIR = flags.DEFINE_string("run_dir", None, "Where everything of this run is kept.", required=True)
_TABLE = flags.DEFINE_string("table", None, f"File of the latency table, filled on demand; by default {DEFAULT_TABLE}.")
_BENCHMARK_MODELS = flags.DEFINE_multi_string(
    "benchmark_model",
    [],
    "[ABI:]PATH. Binary of TensorFlow Lite's or LiteRT's benchmark_model, for targets android and benchmark_model; "
    "repeatable, one for each ABI.",
)
_TABLE_ONLY = flags.DEFINE_bool(
    "table_only",
    False,
    "Take latencies from the table alone and measure nothing: for tables that were filled elsewhere and imported.",
)
_PREPROCESSING = flags.DEFINE_enum(
    "preprocessing",
    "tf",
    ["tf", "torch", "caffe", "none"],
    "Range of the network's input, as in tf_keras.applications: tf is [-1, 1]; none is [0, 255].",
)
_PRETRAIN_EPOCHS = flags.DEFINE_integer(
    "pretrain_epochs",
    None,
    f"Epochs of training before the search; by default {_DEFAULT_PRETRAIN_EPOCHS} for {NAMES} without --weights, else "
    "0.",
    lower_bound=0,
)
_PRETRAIN_LEARNING_RATE = flags.DEFINE_float(
    "pretrain_learning_rate",
    _DEFAULTS.pretrain_learning_rate,
    "Of that training, at its first step; falls along a cosine.",
    lower_bound=0.0,
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 128, "Images a training step. ImageNet: 96 to 256.", lower_bound=1, upper_bound=_LARGEST
)
_INITIAL_REDUCTION = flags.DEFINE_float(
    "initial_reduction",
    _DEFAULTS.initial_reduction,
    "What the first iteration saves, as a share of the starting network's cost. ImageNet: 0.025 to 0.05.",
    lower_bound=1e-4,
    upper_bound=1.0,
)
_REDUCTION_DECAY = flags.DEFINE_float(
    "reduction_decay",
    _DEFAULTS.reduction_decay,
    "Each iteration saves this times what the one before did. ImageNet: 0.96 to 0.98.",
    lower_bound=0.1,
    upper_bound=1.0,
)
_SHORT_TERM_STEPS = flags.DEFINE_integer(
    "short_term_steps",
    _DEFAULTS.short_term_steps,
    "Training steps of each proposal. ImageNet: 10000 to 40000.",
    lower_bound=0,
)
_SHORT_TERM_LEARNING_RATE = flags.DEFINE_float(
    "short_term_learning_rate",
    _DEFAULTS.short_term_learning_rate,
    "Constant. ImageNet: a tenth of the long-term one.",
    lower_bound=0.0,
)
_MID_TERM_EPOCHS = flags.DEFINE_integer(
    "mid_term_epochs",
    _DEFAULTS.mid_term_epochs,
    "Epochs of fine-tuning of every iteration's picked network, before the next iteration cuts it again; 0, as in the "
    "paper, for none. ImageNet: 0 with thousands of short-term steps.",
    lower_bound=0,
)
_MID_TERM_LEARNING_RATE = flags.DEFINE_float(
    "mid_term_learning_rate",
    _DEFAULTS.mid_term_learning_rate,
    "Of every mid-term fine-tune, at its first step; falls along a cosine.",
    lower_bound=0.0,
)
_LONG_TERM_EPOCHS = flags.DEFINE_integer(
    "long_term_epochs",
    _DEFAULTS.long_term_epochs,
    "Epochs of fine-tuning after the search. ImageNet: 30 to 100.",
    lower_bound=0,
)
_LONG_TERM_LEARNING_RATE = flags.DEFINE_float(
    "long_term_learning_rate",
    _DEFAULTS.long_term_learning_rate,
    "Of the last stage, at its first step; falls along a cosine. ImageNet: 0.01 to 0.05. A larger one forgets more of "
    "what a starting network knows beyond these images.",
    lower_bound=0.0,
)
_DISTILLATION = flags.DEFINE_float(
    "distillation",
    _DEFAULTS.distillation,
    "Share of the last stage's loss that is about the starting network's answers; the rest is about the labels. "
    "0 saves about a fifth of the stage's time.",
    lower_bound=0.0,
    upper_bound=1.0,
)
_PRECISION = flags.DEFINE_enum(
    "precision",
    _DEFAULTS.precision,
    PRECISIONS,
    "Of the .tflite that is measured and delivered: float16 and dynamic store smaller weights, int8 computes in "
    "integers, input and output included. GPUs: float32 or float16.",
)
_CALIBRATION_IMAGES = flags.DEFINE_integer(
    "calibration_images",
    _DEFAULTS.calibration_images,
    "Training images that tell int8 the range of every activation.",
    lower_bound=MIN_CALIBRATION_IMAGES,
    upper_bound=_LARGEST,
)
_QUANTIZATION_AWARE_EPOCHS = flags.DEFINE_integer(
    "quantization_aware_epochs",
    _DEFAULTS.quantization_aware_epochs,
    "Of int8: epochs of training that knows of the rounding, after the last stage, with the short-term learning rate "
    "at its first step. ImageNet: 1 to 5.",
    lower_bound=0,
    upper_bound=_LARGEST,
)
_FINAL = flags.DEFINE_enum(
    "final",
    _DEFAULTS.final,
    FINALS,
    "The last stage: fine_tune what the search found, or retrain its shape from fresh weights, for as many epochs as "
    "pre-training and long-term fine-tune together: without pre-training, let long_term_epochs be what training from "
    "scratch takes.",
)
_PICK = flags.DEFINE_enum(
    "pick",
    _DEFAULTS.pick,
    list(PICKS),
    "Which proposal wins, by the hold-out set: the most accurate (the paper), the one of the lowest loss, or the least "
    "accuracy lost per cost saved (MobileNetV3).",
)
_FILTERS = flags.DEFINE_enum(
    "filters",
    _DEFAULTS.filters,
    CRITERIA,
    "Which filters stay: those of the largest L2 norm (the paper), of the largest scale in the batch norm behind them, "
    "those that the loss would miss most to first order (taylor), or random ones, to compare with.",
)
_LOCK = flags.DEFINE_string(
    "lock", _DEFAULTS.lock, "Regular expression: layers whose whole name it matches keep their filters."
)
_SCREEN = flags.DEFINE_bool(
    "screen",
    _DEFAULTS.screen,
    "Give all proposals of an iteration a quarter of their steps, and only the best quarter, or three, the rest.",
)
_FILTER_MULTIPLE = flags.DEFINE_integer(
    "filter_multiple",
    _DEFAULTS.filter_multiple,
    "Numbers of filters are multiples of this, of half of it in groups of under four times it. Phones' GPUs: 4 or 8.",
    lower_bound=1,
)
_HOLDOUT_IMAGES = flags.DEFINE_integer(
    "holdout_images",
    None,
    f"Images that rank proposals, by default {HOLDOUT_IMAGES}: kept back from the training images, of which they are a "
    "fifth at most by default, or taken from the validation split of data that has one besides a test split. ImageNet: "
    "10000.",
    lower_bound=1,
    upper_bound=_LARGEST,
)
_TRAIN_IMAGES = flags.DEFINE_integer(
    "train_images",
    None,
    "Use a balanced part of the training set; hold-out images that are kept back from it included.",
    lower_bound=2,
    upper_bound=_LARGEST,
)
_SEED = flags.DEFINE_integer(
    "seed", _DEFAULTS.seed, "Of weights, hold-out set, shuffling and proposals.", lower_bound=0, upper_bound=_LARGEST
)
_THREADS = flags.DEFINE_integer(
    "threads",
    0,
    "Training threads of one operation; 0: one for each core. Others round differently.",
    lower_bound=0,
    upper_bound=1024,
)
_EXECUTOR = flags.DEFINE_enum(
    "executor",
    _HERE.executor,
    EXECUTORS,
    "Where proposals are fine-tuned: in this process, one after the other; in several processes of this machine; or on "
    "a Ray cluster (the extra netadapt_tf[ray]). The result is the same.",
)
_WORKERS = flags.DEFINE_integer(
    "workers",
    _HERE.workers,
    "How many proposals are fine-tuned at the same time; 0: as many as there is room for, each with --threads cores.",
    lower_bound=0,
)
_RAY_ADDRESS = flags.DEFINE_string(
    "ray_address", _HERE.ray_address, "Of the Ray cluster, for example ray-head:6379; by default one of this machine."
)
_CPUS_PER_PROPOSAL = flags.DEFINE_integer(
    "cpus_per_proposal", _HERE.cpus_per_proposal, "That Ray sets aside for each; 0: --threads.", lower_bound=0
)
_GPUS_PER_PROPOSAL = flags.DEFINE_float(
    "gpus_per_proposal",
    _HERE.gpus_per_proposal,
    "That Ray sets aside for each; 0.5 lets two share one.",
    lower_bound=0.0,
)
_STRATEGY = flags.DEFINE_enum(
    "strategy",
    _DEFAULTS.strategy,
    STRATEGIES,
    "What pre-training and the last stage run on: one device, all GPUs of this machine (mirrored), or those of all "
    "machines that the variable TF_CONFIG names, on each of which this command is started (multi_worker). Each GPU has "
    "its part of every batch, which changes the result.",
)
_DRY_RUN = flags.DEFINE_bool(
    "dry_run",
    False,
    "Only say what would be done: channel groups, latency of each layer, whether each budget can be met, how long it "
    "would take.",
)
_TENSORBOARD = flags.DEFINE_bool(
    "tensorboard",
    False,
    "Write accuracy and costs of every iteration for TensorBoard, too, into the folder tensorboard of the run "
    "directory. The report.html is written in any case.",
)
_ALLOW_LAMBDA = flags.DEFINE_bool(
    "allow_lambda", False, "Load a network that holds Python code (Lambda or custom layers): it runs here."
)
_TRUST_SAVED_MODEL = flags.DEFINE_bool(
    "trust_saved_model", False, "Load a network from a SavedModel directory, which is a program: it runs here."
)

_FLAG_GROUPS = {
    "What is asked": (_BUDGETS, _RUN_DIR, _DRY_RUN, _TENSORBOARD),
    "The network": (_NETWORK, _ALPHA, _RESOLUTION, _WEIGHTS, _LOCK, _ALLOW_LAMBDA, _TRUST_SAVED_MODEL),
    "The data": (_DATASET, _PREPROCESSING, _AUGMENTATION, _TRAIN_IMAGES, _HOLDOUT_IMAGES),
    "The search": (_INITIAL_REDUCTION, _REDUCTION_DECAY, _FILTERS, _FILTER_MULTIPLE, _PICK, _SCREEN),
    "Training": (
        *(_PRETRAIN_EPOCHS, _PRETRAIN_LEARNING_RATE, _SHORT_TERM_STEPS, _MID_TERM_EPOCHS, _LONG_TERM_EPOCHS, _FINAL),
        *(_SHORT_TERM_LEARNING_RATE, _MID_TERM_LEARNING_RATE, _LONG_TERM_LEARNING_RATE, _DISTILLATION),
        *(_QUANTIZATION_AWARE_EPOCHS, _BATCH_SIZE),
    ),
    "Precision": (_PRECISION, _CALIBRATION_IMAGES),
    "Measuring": (_TABLE, _TABLE_ONLY, _BENCHMARK_MODELS),
    "Where the search runs": (_EXECUTOR, _WORKERS, _RAY_ADDRESS, _CPUS_PER_PROPOSAL, _GPUS_PER_PROPOSAL, _STRATEGY),
    "So that a run can be repeated": (_SEED, _THREADS),
}


def main(_: Sequence[str]) -> None:
    """Reads the flags, runs the adaptation, prints the closing table."""
    request = _request()
    with quiet_native_code():  # TensorFlow's start takes seconds: not for --help
        from netadapt_tf import job
        from netadapt_tf.reporting.forecast import forecast_text
        from netadapt_tf.reporting.summary import closing_table
        from netadapt_tf.training.repeatable import make_repeatable

    if _DRY_RUN.value:
        make_repeatable(request.threads)
        print(forecast_text(job.forecast(request)))
        return
    make_repeatable(request.threads, request.settings.strategy)
    adapted = job.adapt(request, command="python -m netadapt_tf.adapt " + shlex.join(sys.argv[1:]))
    if adapted is not None:
        print(closing_table(adapted.summary, request.run_dir))


def _request() -> Request:
    epochs = _PRETRAIN_EPOCHS.value
    if epochs is None:
        epochs = _DEFAULT_PRETRAIN_EPOCHS if _NETWORK.value in NETWORKS and not _WEIGHTS.value else 0
    return Request(
        network=_NETWORK.value,
        alpha=_ALPHA.value,
        resolution=_RESOLUTION.value,
        weights=_WEIGHTS.value or None,
        dataset=_DATASET.value,
        budgets=parse_budgets(_BUDGETS.value),
        run_dir=Path(_RUN_DIR.value),
        table=Path(_TABLE.value) if _TABLE.value else None,
        benchmark_models=tuple(_BENCHMARK_MODELS.value),
        table_only=_TABLE_ONLY.value,
        preprocessing=_PREPROCESSING.value,
        augmentation=_AUGMENTATION.value,
        batch_size=_BATCH_SIZE.value,
        holdout_images=_HOLDOUT_IMAGES.value,
        train_images=_TRAIN_IMAGES.value,
        threads=_THREADS.value or len(os.sched_getaffinity(0)),
        allow_lambda=_ALLOW_LAMBDA.value,
        trust_saved_model=_TRUST_SAVED_MODEL.value,
        settings=Settings(
            pretrain_epochs=epochs,
            pretrain_learning_rate=_PRETRAIN_LEARNING_RATE.value,
            initial_reduction=_INITIAL_REDUCTION.value,
            reduction_decay=_REDUCTION_DECAY.value,
            short_term_steps=_SHORT_TERM_STEPS.value,
            short_term_learning_rate=_SHORT_TERM_LEARNING_RATE.value,
            mid_term_epochs=_MID_TERM_EPOCHS.value,
            mid_term_learning_rate=_MID_TERM_LEARNING_RATE.value,
            long_term_epochs=_LONG_TERM_EPOCHS.value,
            long_term_learning_rate=_LONG_TERM_LEARNING_RATE.value,
            distillation=_DISTILLATION.value,
            final=_FINAL.value,
            precision=_PRECISION.value,
            calibration_images=_CALIBRATION_IMAGES.value,
            quantization_aware_epochs=_QUANTIZATION_AWARE_EPOCHS.value,
            pick=_PICK.value,
            filters=_FILTERS.value,
            lock=_LOCK.value,
            screen=_SCREEN.value,
            filter_multiple=_FILTER_MULTIPLE.value,
            seed=_SEED.value,
            strategy=_STRATEGY.value,
        ),
        place=Place(
            executor=_EXECUTOR.value,
            workers=_WORKERS.value,
            ray_address=_RAY_ADDRESS.value,
            cpus_per_proposal=_CPUS_PER_PROPOSAL.value,
            gpus_per_proposal=_GPUS_PER_PROPOSAL.value,
        ),
        tensorboard=_TENSORBOARD.value,
    )


def entry_point() -> None:
    """The binary, as it is installed."""
    run(main, "The same command goes on from what was finished.", _FLAG_GROUPS)


if __name__ == "__main__":
    entry_point()
