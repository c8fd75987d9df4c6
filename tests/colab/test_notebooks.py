"""That the notebooks run, and that what is kept in them is fit to be read by somebody who does not run them."""

import re

import nbformat
import pytest

from colab.notebooks import PARAMETERS, executed, notebook_names, path_of, read

LARGEST_BYTES = 400 << 10
BADGE = "https://colab.research.google.com/github/netadapt-tf/netadapt_tf/blob/main/colab/{name}.ipynb"
INSTALLATION = """\
import sys

if "google.colab" in sys.modules:
    %pip install --quiet "netadapt_tf @ git+https://github.com/netadapt-tf/netadapt_tf\""""
_PATH_OF_A_MACHINE = re.compile(r"(?<![\w.:/])/(?:content|home|mnt|opt|root|tmp|usr|var|work|Users)\b|[A-Z]:\\")

pytestmark = pytest.mark.parametrize("name", notebook_names())


def code_of(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs_of(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for cell in code_of(notebook) for output in cell.outputs]


def test_it_is_a_valid_notebook_of_modest_size(name):
    nbformat.validate(read(name))
    assert path_of(name).stat().st_size < LARGEST_BYTES


def test_its_first_cell_opens_it_in_colab(name):
    title = read(name).cells[0]
    assert title.cell_type == "markdown"
    assert f"({BADGE.format(name=name)})" in title.source


def test_its_first_code_installs_the_package_on_colab_and_nowhere_else(name):
    assert code_of(read(name))[0].source == INSTALLATION


def test_it_has_one_cell_of_parameters_and_is_not_a_smoke_run(name):
    [cell] = [cell for cell in read(name).cells if PARAMETERS in cell.metadata.get("tags", ())]
    assert cell.source == "smoke = False"


def test_it_imports_the_package(name):
    assert any(line == "import netadapt_tf" for cell in code_of(read(name)) for line in cell.source.splitlines())


def test_it_keeps_the_outputs_of_one_run_from_the_first_cell_to_the_last(name):
    notebook = read(name)
    assert [cell.execution_count for cell in code_of(notebook)] == list(range(1, len(code_of(notebook)) + 1))
    kinds = [output.output_type for output in outputs_of(notebook)]
    assert "error" not in kinds
    assert sum("image/png" in output.get("data", {}) for output in outputs_of(notebook)) >= 3


def test_its_outputs_say_on_which_machine_they_came_about(name):
    printed = "".join(output.get("text", "") for output in outputs_of(read(name)))
    assert re.search(r"\b(\d+ cores|cores: \d+)\b", printed)
    assert "ai-edge-litert" in printed


def test_it_names_no_path_of_a_machine(name):
    found = [_PATH_OF_A_MACHINE.search(line) for line in path_of(name).read_text().splitlines()]
    assert not list(filter(None, found))


@pytest.mark.slow
def test_it_runs_small_from_the_first_cell_to_the_last(name, tmp_path):
    notebook = executed(read(name), tmp_path, smoke=True)
    assert all(cell.execution_count for cell in code_of(notebook))
    assert "error" not in [output.output_type for output in outputs_of(notebook)]
