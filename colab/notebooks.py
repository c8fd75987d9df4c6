"""Running a notebook from its first cell to its last, as a person would who opens it in this project."""

import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
PARAMETERS = "parameters"
"""The tag of the cell whose values `executed` may replace; papermill's."""

_CELL_TIMEOUT_S = 1800


def notebook_names() -> list[str]:
    """Of all notebooks, without `.ipynb`."""
    return sorted(path.stem for path in FOLDER.glob("*.ipynb"))


def read(name: str) -> nbformat.NotebookNode:
    """A notebook by name, with the outputs that are kept in it."""
    return nbformat.read(path_of(name), as_version=4)


def path_of(name: str) -> Path:
    """The file of a notebook."""
    return FOLDER / f"{name}.ipynb"


def executed(notebook: nbformat.NotebookNode, folder: Path, *, smoke: bool) -> nbformat.NotebookNode:
    """Runs a copy of a notebook in a kernel of its own, which imports the packages that stand beside this one.

    Args:
        notebook: it is not changed.
        folder: where the kernel works, and leaves its files.
        smoke: the value of the parameter of that name: whether to run small, only to see that everything works.

    Returns:
        The copy, its outputs those of this run; what differs from run to run without meaning anything is left out.

    Raises:
        CellExecutionError: a cell raised something.
    """
    copy = nbformat.from_dict(notebook)
    parameters = next(cell for cell in copy.cells if PARAMETERS in cell.metadata.get("tags", ()))
    parameters.source = f"smoke = {smoke}"
    client = NotebookClient(
        copy,
        timeout=_CELL_TIMEOUT_S,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    packages = os.pathsep.join(filter(None, [str(FOLDER.parent), os.environ.get("PYTHONPATH")]))
    client.execute(env=os.environ | {"PYTHONPATH": packages, "IPYTHONDIR": str(folder / ".ipython")})
    copy.metadata.language_info = {"name": "python"}
    return copy
