"""What a BUILD file wants to know of a module, found in its text."""

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass

_SLOW = "pytest.mark.slow"
_MAIN = "__name__ == '__main__'"


@dataclass(frozen=True)
class ModuleFacts:
    """What a module's text shows.

    Attributes:
        modules: the project's modules that it imports, wherever the import stands, or that a whole text in it names, as
            in `[sys.executable, "-m", "netadapt_tf.adapt"]` or `patch("netadapt_tf.problem.Meters")`.
        is_empty: nothing stands in it.
        has_main: it can be run.
        has_fast_tests: not all of its tests, if it is a test file, are marked as slow.
        has_slow_tests: some are.
    """

    modules: frozenset[str]
    is_empty: bool
    has_main: bool
    has_fast_tests: bool
    has_slow_tests: bool


def module_facts(text: str, known: Collection[str]) -> ModuleFacts:
    """Finds what a BUILD file wants to know of a module.

    Args:
        text: the module's.
        known: the names of all modules and packages of the project; others are passed over.

    Raises:
        ValueError: a relative import.
    """
    tree = ast.parse(text)
    nodes = list(ast.walk(tree))
    tests = [node for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    slow_file = any(isinstance(node, ast.Assign) and ast.unparse(node) == f"pytestmark = {_SLOW}" for node in tree.body)
    return ModuleFacts(
        modules=frozenset(name for node in nodes for name in _named(node, known) if name in known),
        is_empty=not tree.body,
        has_main=any(isinstance(node, ast.If) and ast.unparse(node.test) == _MAIN for node in tree.body),
        has_fast_tests=not slow_file and not (tests and all(map(_is_slow, tests))),
        has_slow_tests=any(_is_mark(node) for node in nodes),
    )


def _named(node: ast.AST, known: Collection[str]) -> Iterator[str]:
    """The names of modules in one node, strangers among them."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        if node.module is None or node.level:
            raise ValueError(f"line {node.lineno} has a relative import; name the module in full")
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            yield inner if inner in known else node.module
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        name = node.value if node.value in known else node.value.rpartition(".")[0]
        if "." in name:
            yield name


def _is_slow(test: ast.FunctionDef) -> bool:
    return any(_is_mark(decorator) for decorator in test.decorator_list)


def _is_mark(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "slow" and ast.unparse(node) == _SLOW
