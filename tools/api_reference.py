"""Makes pages of the docstrings: `python tools/api_reference.py FOLDER PACKAGE...`; what pdoc warns of is an error."""

import importlib
import pkgutil
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pdoc
from absl import flags


def main(folder: str, packages: Sequence[str]) -> None:
    """Writes the pages, `index.html` first.

    Args:
        folder: where to; it is made.
        packages: by their import names.

    Raises:
        Warning: pdoc's, of an annotation that means nothing for instance.
    """
    for package in map(importlib.import_module, packages):
        _load_lazy_names(package)
        _import_modules(package)
    pdoc.render.configure(docformat="google", show_source=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", module="pdoc")
        pdoc.pdoc(*packages, output_directory=Path(folder))


def _load_lazy_names(package: ModuleType) -> None:
    """Puts what a package promises, and its modules, where pdoc looks: ours loads names when they are first used."""
    promised = getattr(package, "__all__", None)
    if promised is not None:
        for name in promised:
            setattr(package, name, getattr(package, name))
        modules = [module.name for module in pkgutil.iter_modules(package.__path__)]
        package.__all__ = [*promised, *modules]  # type: ignore[attr-defined]


def _import_modules(package: ModuleType) -> None:
    """Imports all modules; the flags of each binary are forgotten, since others have some of the same name."""
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
        for flag in flags.FLAGS.flags_by_module_dict().pop(module.name, []):
            delattr(flags.FLAGS, flag.name)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # this checkout, whichever is installed
    main(sys.argv[1], sys.argv[2:])
