"""NetAdapt (Yang et al., ECCV 2018) for TensorFlow: shrink a Keras network to a measured latency budget."""
