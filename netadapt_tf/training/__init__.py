"""Data sets and training: the traced step that pre-training and both fine-tunes share."""
