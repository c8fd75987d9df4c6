"""The version of what is installed: one distribution with both packages. pyproject.toml reads it from here."""

DISTRIBUTION = "netadapt_tf"
VERSION = "0.1.0"
