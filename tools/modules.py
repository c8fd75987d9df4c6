"""The modules of the repository, and what each needs: from its text, and from a table of what texts do not show."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tools.module_facts import module_facts

TABLE = "tools/build_files.toml"


@dataclass(frozen=True)
class Extra:
    """What a module's text does not show.

    Attributes:
        modules: those that it loads under names put together while it runs.
        no_modules: those that it only mentions.
        data: files that it reads: labels, or patterns of files in its package.
        tags: of its tests.
        size: of its tests that are not slow.
    """

    modules: tuple[str, ...] = ()
    no_modules: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    size: str = "medium"


@dataclass(frozen=True)
class Module:
    """A module that is not empty.

    Attributes:
        path: in the repository.
        needs: names of the other modules that it depends on directly.
        has_main: it can be run.
        has_fast_tests: it is a test file, and not all of its tests are marked as slow.
        has_slow_tests: it is a test file, and some are.
        extra: what its text does not show.
    """

    path: PurePosixPath
    needs: frozenset[str]
    has_main: bool
    has_fast_tests: bool
    has_slow_tests: bool
    extra: Extra

    @property
    def is_test(self) -> bool:
        """Whether pytest takes it for a test file."""
        return self.path.name.startswith("test_")


def read_tree(root: Path) -> dict[PurePosixPath, str]:
    """The texts of all modules in a repository's packages by their paths."""
    tops = [init.parent for init in root.glob("*/__init__.py")]
    return {PurePosixPath(path.relative_to(root)): path.read_text() for top in tops for path in top.rglob("*.py")}


def read_table(text: str) -> dict[PurePosixPath, Extra]:
    """The table of what the modules' texts do not show, by their paths.

    Raises:
        TypeError: a section that is not known.
    """
    sections = tomllib.loads(text)
    tags, sizes = sections.pop("tags", {}), sections.pop("size", {})
    paths = {path for section in (*sections.values(), *tags.values(), *sizes.values()) for path in section}
    return {
        PurePosixPath(path): Extra(
            tags=tuple(sorted(tag for tag, tagged in tags.items() if path in tagged)),
            size=next((size for size, sized in sizes.items() if path in sized), Extra.size),
            **{section: tuple(entries[path]) for section, entries in sections.items() if path in entries},
        )
        for path in paths
    }


def read_modules(texts: Mapping[PurePosixPath, str], extras: Mapping[PurePosixPath, Extra]) -> dict[str, Module]:
    """The modules that are not empty by their names.

    Args:
        texts: of all modules by their paths.
        extras: what they do not show.

    Raises:
        ValueError: a relative import, or an extra of a module that is not there.
    """
    if strangers := extras.keys() - texts.keys():
        raise ValueError(f"{TABLE} tells of {', '.join(map(str, sorted(strangers)))}, which is not there")
    known = {module_name(path) for path in texts}
    facts = {path: module_facts(text, known) for path, text in texts.items()}
    full = {module_name(path) for path, fact in facts.items() if not fact.is_empty}
    modules = {}
    for path, fact in facts.items():
        name, extra = module_name(path), extras.get(path, Extra())
        if name in full:
            needs = (fact.modules - set(extra.no_modules) | set(extra.modules)) & full - {name}
            is_test = path.name.startswith("test_")
            modules[name] = Module(
                path, needs, fact.has_main, is_test and fact.has_fast_tests, is_test and fact.has_slow_tests, extra
            )
    return modules


def all_needs(name: str, modules: Mapping[str, Module]) -> set[str]:
    """All modules that one needs, directly or not; itself only if one of them needs it."""
    found: set[str] = set()
    left = [name]
    while left:
        new = modules[left.pop()].needs - found
        found |= new
        left += new
    return found


def module_name(path: PurePosixPath) -> str:
    """The name that a module is imported by."""
    return ".".join(path.parent.parts if path.name == "__init__.py" else path.with_suffix("").parts)
