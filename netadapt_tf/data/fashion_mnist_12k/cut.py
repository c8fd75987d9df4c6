"""Cuts `fashion_mnist_12k.npz` from the whole of Fashion-MNIST.

    python -m netadapt_tf.data.fashion_mnist_12k.cut

10,000 training and 2,000 test images, class-balanced, drawn with a fixed seed; the same bytes every time.
"""

import numpy as np

from netadapt_tf.training.fashion_mnist import TWELVE_K, fashion_mnist
from netadapt_tf.training.images import balanced_sample

SEED = 12_000
TRAIN_IMAGES, TEST_IMAGES = 10_000, 2_000


def main() -> None:
    """Writes the file beside this script."""
    train_images, train_labels, test_images, test_labels = fashion_mnist()
    train = balanced_sample(train_labels, TRAIN_IMAGES, SEED)
    test = balanced_sample(test_labels, TEST_IMAGES, SEED)
    np.savez_compressed(
        TWELVE_K,
        train_images=train_images[train],
        train_labels=train_labels[train],
        test_images=test_images[test],
        test_labels=test_labels[test],
    )
    print(f"{TWELVE_K}: {len(train)} training and {len(test)} test images, {TWELVE_K.stat().st_size} bytes")


if __name__ == "__main__":
    main()
