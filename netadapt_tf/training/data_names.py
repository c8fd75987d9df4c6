"""How data is named on the command line; it imports nothing, so that `--help` is quick."""

DATASETS = (
    "fashion_mnist_12k, fashion_mnist, folder:PATH (one sub-folder per class, or train and validation folders of them) "
    "or tfds:NAME (TensorFlow Datasets)"
)
AUGMENTATIONS = ("none", "flip", "imagenet")
HOLDOUT_IMAGES = 2000
"""Images that rank proposals where nobody says how many."""
HOLDOUT_SHARE = 0.2
"""Of the training images, the most that are kept back where nobody says how many."""
