"""Names of files in a run directory that one part writes and another reads."""

FAMILY = "family"
"""The folder of networks that are delivered besides the run's own."""

LAYERS = "layers.json"
"""The latency of layers, as the latency table knew it at the end."""

REPORT = "report.html"
"""What people read; made of all the other files."""
