"""Data sets and training: the traced step that pre-training and all fine-tunes share."""
