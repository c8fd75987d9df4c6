"""Measuring TensorFlow Lite models: whole networks, and layer by layer.

Knows nothing of `netadapt_tf`; only `convert` imports TensorFlow.
"""
