"""Where proposals are fine-tuned: in this process, in several, or on a Ray cluster. The result is the same."""
