r"""Whether training waits for its images: steps fed by a data set, against steps on a batch at hand.

Examples, which docs/performance.md tells of, in some minutes each; the last with photos, which are cut at random, held
in memory at their own size, and (--held_mib=0) decoded whenever they are shown:

  python -m benchmarks.input_pipeline
  python -m benchmarks.input_pipeline --augmentation=flip
  python -m benchmarks.input_pipeline --photos=2000 --augmentation=imagenet --steps=10

MobileNetV1 is trained in rounds, in turn: some steps from a new epoch of the data set, as each proposal has one, and
as many steps on one batch that is there already. The ratio is what feeding costs.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

from absl import flags

from netadapt_tf.training.data_names import AUGMENTATIONS
from tflite_bench.binary import quiet_native_code, run

_DATASET = flags.DEFINE_string("dataset", "fashion_mnist_12k", "See netadapt_tf.adapt.")
_PHOTOS = flags.DEFINE_integer("photos", 0, "Make so many JPEG files of 500 x 375 pixels, and feed them.", 0, 10000)
_HELD_MIB = flags.DEFINE_integer("held_mib", 2048, "A set of images that takes more is not held in memory.", 0, 1 << 14)
_AUGMENTATION = flags.DEFINE_enum("augmentation", "none", AUGMENTATIONS, "See netadapt_tf.adapt.")
_ALPHA = flags.DEFINE_float("alpha", 0.25, "The network's width multiplier.", 0.125, 4.0)
_RESOLUTION = flags.DEFINE_integer("resolution", 64, "Height and width of its input, in pixels.", 32, 4096)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 128, "Images of a training batch.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 20, "Of a round.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 10, "Of either kind.", lower_bound=1)
_THREADS = flags.DEFINE_integer("threads", 2, "Training threads of one operation.", 1, 1024)
_SEED = flags.DEFINE_integer("seed", 0, "Of everything.", lower_bound=0)


def main(_: Sequence[str]) -> None:
    """Reads the flags, trains, prints."""
    with quiet_native_code():
        from benchmarks.fed_training import fed_in_turn, make_photos
        from netadapt_tf.networks.by_name import NETWORKS
        from netadapt_tf.training.datasets import batch_spec, steps_per_epoch
        from netadapt_tf.training.image_dataset import load_image_dataset
        from netadapt_tf.training.images import shuffled_batches
        from netadapt_tf.training.repeatable import make_repeatable
        from netadapt_tf.training.task import classification
        from netadapt_tf.training.trainer import Trainer

        make_repeatable(_THREADS.value)
    with tempfile.TemporaryDirectory() as folder:
        if _PHOTOS.value:
            make_photos(Path(folder), _PHOTOS.value, _SEED.value)
        name = f"folder:{folder}" if _PHOTOS.value else _DATASET.value
        with mock.patch("netadapt_tf.training.images._MAX_BYTES_IN_MEMORY", _HELD_MIB.value << 20):
            images = load_image_dataset(name, _RESOLUTION.value, None, None, _SEED.value, _AUGMENTATION.value)
        named = NETWORKS["mobilenet_v1"]
        network = named.build(named.widths(_ALPHA.value), _RESOLUTION.value, images.classes)
        dataset = shuffled_batches(images.train, _BATCH_SIZE.value, "tf")
        trainer = Trainer(network, classification(network), batch_spec(dataset))
        print(f"{steps_per_epoch(dataset)} steps an epoch", flush=True)
        print(fed_in_turn(trainer, dataset, _STEPS.value, _ROUNDS.value))


if __name__ == "__main__":
    run(main)
