"""Prints the oldest release of each dependency that pyproject.toml allows, as constraints for pip."""

import re
import tomllib
from itertools import chain
from pathlib import Path

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"


def lower_bounds(pyproject: str) -> list[str]:
    """`name==version` for each dependency, those of extras included.

    Raises:
        ValueError: a dependency without a lower and an upper bound.
    """
    project = tomllib.loads(pyproject)["project"]
    requirements = chain(project["dependencies"], *project["optional-dependencies"].values())
    return [_lower_bound(requirement) for requirement in requirements]


def _lower_bound(requirement: str) -> str:
    bounded = re.fullmatch(r"([\w-]+)>=([\w.]+),<[\w.]+", requirement)
    if bounded is None:
        raise ValueError(f"{requirement} should read NAME>=VERSION,<VERSION")
    return f"{bounded[1]}=={bounded[2]}"


if __name__ == "__main__":
    print("\n".join(lower_bounds(PYPROJECT.read_text())))
