"""That `make docs` makes pages of all docstrings, and that its warnings are errors."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "tools" / "api_reference.py"


def made(folder: Path, *packages: str, path: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), *packages],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_every_module_has_a_page_and_nothing_is_warned_of(tmp_path):
    finished = made(tmp_path / "pages", "netadapt_tf", "tflite_bench")
    assert finished.returncode == 0, finished.stderr
    assert "pdoc" not in finished.stderr
    pages = {str(page.relative_to(tmp_path / "pages").with_suffix("")) for page in tmp_path.rglob("*.html")}
    modules = {
        str(module.parent if module.name == "__init__.py" else module.with_suffix(""))
        for package in ("netadapt_tf", "tflite_bench")
        for module in (path.relative_to(ROOT) for path in (ROOT / package).rglob("*.py"))
    }
    assert pages == modules | {"index"}
    front = (tmp_path / "pages" / "netadapt_tf.html").read_text()
    assert "Shrinks a network until it is within every budget" in front, "names that are loaded lazily are missing"
    assert 'href="netadapt_tf/search.html"' in front


@pytest.mark.parametrize(
    ("annotation", "status", "said"), [("int", 0, ""), ("Nowhere", 1, "Error parsing type annotation Nowhere")]
)
def test_what_pdoc_warns_of_is_an_error(tmp_path, annotation, status, said):
    package = tmp_path / "small_package"
    package.mkdir()
    (package / "__init__.py").write_text('"""Small."""\n')
    (package / "part.py").write_text(f'"""Part."""\n\ndef function(number: "{annotation}") -> None:\n    """Does."""\n')
    finished = made(tmp_path / "pages", "small_package", path=str(tmp_path))
    assert finished.returncode == status, finished.stderr
    assert said in finished.stderr
    assert (tmp_path / "pages" / "small_package" / "part.html").exists() == (status == 0)


def test_binaries_whose_flags_have_the_same_name_are_documented_together(tmp_path):
    package = tmp_path / "two_binaries"
    package.mkdir()
    (package / "__init__.py").write_text('"""Two."""\n')
    for name in ("one", "other"):
        source = f'"""The {name}."""\n\nfrom absl import flags\n\n_FLAG = flags.DEFINE_string("flag", None, "{name}")\n'
        (package / f"{name}.py").write_text(source)
    finished = made(tmp_path / "pages", "two_binaries", path=str(tmp_path))
    assert finished.returncode == 0, finished.stderr
    assert "The other." in (tmp_path / "pages" / "two_binaries" / "other.html").read_text()
