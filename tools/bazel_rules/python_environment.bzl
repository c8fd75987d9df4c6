"""The Python that runs everything: the repository's own environment, or else the machine's, with its packages."""

_BUILD = """
load("@rules_python//python:defs.bzl", "py_runtime", "py_runtime_pair")

py_runtime(
    name = "runtime",
    interpreter = "python",
    python_version = "PY3",
)

py_runtime_pair(
    name = "runtimes",
    py3_runtime = ":runtime",
)

toolchain(
    name = "toolchain",
    toolchain = ":runtimes",
    toolchain_type = "@rules_python//python:toolchain_type",
)
"""

# Without -P, modules beside the one that is run would hide packages of the same names.
_PYTHON = """#!/bin/sh
exec "{python}" -P "$@"
"""

def _python_environment(context):
    python = context.path(Label("//:pyproject.toml")).dirname.get_child(".venv").get_child("bin").get_child("python")
    if not python.exists:
        python = context.which("python3")
    if not python:
        fail("no Python was found: neither .venv/bin/python, which `make test` makes, nor python3 on the PATH")
    context.file("BUILD.bazel", _BUILD)
    context.file("python", _PYTHON.format(python = python))

python_environment = repository_rule(
    doc = "A toolchain of one interpreter.",
    implementation = _python_environment,
    environ = ["PATH"],
    local = True,
)
