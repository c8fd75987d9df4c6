"""Writes the BUILD files from what the modules import.

    python -m tools.build_files

A package gets a `py_library` per module with exactly its direct dependencies, a `py_binary` beside it where the module
can be run, and a `pytest_test` per test file; two where some of the file's tests are slow and some are not.
Dependencies are the modules of this repository that a module imports or names, wherever that stands; packages of others
come from the Python environment. What no text shows stands in `build_files.toml`.

Bazel puts an empty `__init__.py` where a target has none among its sources. So a module does not depend on the packages
that it is in, which may import it, but only on packages whose own names it uses.
"""

from collections.abc import Iterator, Mapping, Set
from pathlib import Path, PurePosixPath

from tools.modules import TABLE, Extra, Module, module_name, read_modules, read_table, read_tree
from tools.starlark import Glob, load, rule

BUILD_FILE = "BUILD"
COMMAND = "make build-files"

_HEADER = f"# Written by `{COMMAND}` from what the modules import, and from {TABLE}.\n"
_RULES = "@rules_python//python:defs.bzl"
_TEST_RULE = "//tools/bazel_rules:pytest_test.bzl"
_PUBLIC = ("//visibility:public",)
_NOT_SHIPPED = ("benchmarks", "colab", "examples", "tests")
_OUTSIDE_PACKAGES = ("*", ".ci/**", "docs/**")
_NO_SOURCES = ("**/__pycache__/**",)


def build_files(modules: Mapping[str, Module], folders: Set[PurePosixPath]) -> dict[PurePosixPath, str]:
    """The BUILD file of every folder that holds modules, and of the repository's root.

    The root's has a target that is every file of the repository, for tests that look at the repository itself.
    """
    everywhere = [f"//{folder}:all_files" for folder in sorted(folders)]
    whole: list[str | Glob] = [Glob(_OUTSIDE_PACKAGES, (".git", *_NO_SOURCES)), *everywhere]
    root = [
        rule("exports_files", srcs=["pyproject.toml"]),
        rule("filegroup", name="repository", testonly=True, srcs=whole, visibility=_PUBLIC),
    ]
    return {
        PurePosixPath(BUILD_FILE): "\n".join([_HEADER, *root]),
        **{folder / BUILD_FILE: _package(folder, modules) for folder in folders},
    }


def _package(folder: PurePosixPath, modules: Mapping[str, Module]) -> str:
    inside = sorted(name for name, module in modules.items() if module.path.parent == folder)
    rules = [text for name in inside for text in _rules(name, modules)]
    kinds = {text.partition("(")[0] for text in rules}
    loads = load(_RULES, kinds & {"py_binary", "py_library"}) + load(_TEST_RULE, kinds & {"pytest_test"})
    defaults = rule("package", default_testonly=folder.parts[0] in _NOT_SHIPPED, default_visibility=_PUBLIC)
    everything = rule("filegroup", name="all_files", srcs=Glob(["**"], _NO_SOURCES))
    return "\n".join([_HEADER, *([loads] if loads else []), defaults, *rules, everything])


def _rules(name: str, modules: Mapping[str, Module]) -> Iterator[str]:
    module = modules[name]
    sources, data = [module.path.name], _data(module.extra)
    if not module.is_test or any(name in other.needs for other in modules.values()):
        deps = _labels(module.needs, module, modules)
        yield rule("py_library", name=_library(module), srcs=sources, data=data, deps=deps)
    if module.has_main:
        yield rule("py_binary", name=module.path.stem, srcs=sources, deps=[f":{_library(module)}"])
    for slow in (False, True):
        if module.has_slow_tests if slow else module.has_fast_tests:
            yield rule(
                "pytest_test",
                name=f"{module.path.stem}_slow" if slow else module.path.stem,
                size="enormous" if slow else module.extra.size,
                src=module.path.name,
                data=data,
                slow=slow,
                tags=module.extra.tags,
                deps=_labels(module.needs | _conftests(module, modules), module, modules),
            )


def _library(module: Module) -> str:
    """The name of a module's library; a binary or a test is called as the module, its library is not."""
    path = module.path
    stem = path.parent.name if path.name == "__init__.py" else path.stem
    return f"{stem}_lib" if module.has_main or module.is_test else stem


def _labels(needs: Set[str], module: Module, modules: Mapping[str, Module]) -> list[str]:
    """Labels of libraries as the module's package writes them: its own first."""
    own = [f":{_library(modules[need])}" for need in needs if modules[need].path.parent == module.path.parent]
    others = [modules[need] for need in needs if modules[need].path.parent != module.path.parent]
    return sorted(own) + sorted(f"//{other.path.parent}:{_library(other)}" for other in others)


def _conftests(module: Module, modules: Mapping[str, Module]) -> set[str]:
    """What pytest loads before a test file."""
    return {name for folder in module.path.parents if (name := module_name(folder / "conftest.py")) in modules}


def _data(extra: Extra) -> list[str | Glob]:
    labels = [item for item in extra.data if item.startswith(("//", ":"))]
    patterns = [item for item in extra.data if item not in labels]
    return [*([Glob(patterns)] if patterns else []), *labels]


def wanted(root: Path) -> dict[PurePosixPath, str]:
    """What the BUILD files of a repository should say by their paths.

    Raises:
        ValueError: a relative import, or an entry in the table of a module that is not there.
    """
    texts = read_tree(root)
    return build_files(read_modules(texts, read_table((root / TABLE).read_text())), {path.parent for path in texts})


def written(root: Path) -> dict[PurePosixPath, str]:
    """What the BUILD files of a repository say by their paths; those with another first line are not ours."""
    tops = [init.parent for init in root.glob("*/__init__.py")]
    paths = [root / BUILD_FILE, *(path for top in tops for path in top.rglob(BUILD_FILE))]
    texts = {PurePosixPath(path.relative_to(root)): path.read_text() for path in paths if path.exists()}
    return {path: text for path, text in texts.items() if text.startswith(_HEADER)}


def write(root: Path) -> list[PurePosixPath]:
    """Writes the BUILD files that say something else than they should, and removes those that have no modules.

    Returns:
        The files that were changed.
    """
    new, old = wanted(root), written(root)
    changed = sorted(path for path in new.keys() | old.keys() if new.get(path) != old.get(path))
    for path in changed:
        if path in new:
            (root / path).write_text(new[path])
        else:
            (root / path).unlink()
    return changed


if __name__ == "__main__":
    print(*write(Path(__file__).absolute().parents[1]), sep="\n")
