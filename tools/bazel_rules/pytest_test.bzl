"""A test file that pytest runs."""

load("@rules_python//python:defs.bzl", "py_test")

_RUNNER = "//tools/bazel_rules:run_pytest.py"

def pytest_test(name, src, slow = False, data = [], tags = [], **more):
    """Runs the tests of one file: those marked as slow, or all others.

    Slow ones have the tag `slow`, by which .bazelrc leaves them out.

    Args:
        name: of the target.
        src: the test file.
        slow: which of its tests.
        data: what they read.
        tags: of the target.
        **more: as for `py_test`.
    """
    py_test(
        name = name,
        srcs = [src, _RUNNER],
        args = ["$(rootpath %s)" % src, "-m", "slow" if slow else "'not slow'"],
        data = data + ["//:pyproject.toml"],
        main = _RUNNER,
        tags = tags + (["slow"] if slow else []),
        **more
    )
