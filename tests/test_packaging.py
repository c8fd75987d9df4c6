"""What is installed: the wheel and the sdist, their metadata, the commands, and the bounds of the dependencies."""

import ast
import configparser
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import netadapt_tf
from tests.real_binaries import BINARIES
from tflite_bench.version import DISTRIBUTION, VERSION

ROOT = Path(netadapt_tf.__path__[0]).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = [text for extra in PROJECT["optional-dependencies"].values() for text in extra]
NOT_SOURCES = (".[!b]*", "__pycache__", "*.egg-info", "bazel-*", "build", "dist", "runs")

REPOSITORY = {path.parent.name for path in ROOT.glob("*/__init__.py")}

PACKAGES_BY_MODULE = {
    "absl": "absl-py",
    "ai_edge_litert": "ai-edge-litert",
    "axe_playwright_python": "axe-playwright-python",
    "google": "protobuf",
    "tensorflow_datasets": "tensorflow-datasets",
    "tensorflow_model_optimization": "tensorflow-model-optimization",
    "tf_keras": "tf-keras",
    "vl_convert": "vl-convert-python",
}
"""Where the name of the package is another than that of the module."""

NOT_IMPORTED = {"importlib_resources"}
"""Missing among what TensorFlow Datasets names."""


def imported(package: str) -> set[str]:
    """Names of the modules outside of this repository that a package of it imports, the standard library's left out."""
    names: set[str] = set()
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
    return {name.partition(".")[0] for name in names} - {*sys.stdlib_module_names} - REPOSITORY


def pinned() -> dict[str, str]:
    """Versions of requirements.txt and requirements-dev.txt by package."""
    lines = (ROOT / "requirements.txt").read_text() + (ROOT / "requirements-dev.txt").read_text()
    return {
        canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)$", lines, re.MULTILINE)
    }


def test_what_is_imported_is_what_is_required():
    modules = imported("netadapt_tf") | imported("tflite_bench")
    assert len(modules) > 5
    declared = {Requirement(text).name for text in [*PROJECT["dependencies"], *EXTRAS]}
    assert {PACKAGES_BY_MODULE.get(module, module) for module in modules} == declared - NOT_IMPORTED


@pytest.mark.parametrize("text", [*PROJECT["dependencies"], *EXTRAS])
def test_bounds_hold_the_pinned_version_and_end_below_the_next_that_may_break(text):
    requirement = Requirement(text)
    bounds = {specifier.operator: specifier.version for specifier in requirement.specifier}
    version = pinned()[canonicalize_name(requirement.name)]
    assert set(bounds) == {">=", "<"}
    assert requirement.specifier.contains(version)
    major, minor = map(int, version.split(".")[:2])
    assert bounds["<"] in {f"{major + 1}", f"{major}.{minor + 1}", "3" if requirement.name == "absl-py" else ""}


def test_the_constraints_of_the_oldest_environment_are_the_lower_bounds():
    command = [sys.executable, str(ROOT / "tools" / "lower_bounds.py")]
    constraints = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    requirements = [*PROJECT["dependencies"], *EXTRAS]
    assert constraints == [re.sub(r">=([^,]*),<.*", r"==\1", requirement) for requirement in requirements]


def test_the_oldest_environment_has_what_its_tests_import():
    (tools,) = re.findall(r'grep -E "\^\((.*?)\)=="', (ROOT / "Makefile").read_text())
    modules = set().union(*(imported(f"tests/{folder}") for folder in ("netadapt_tf", "tflite_bench")))
    packages = {PACKAGES_BY_MODULE.get(module, module) for module in modules - REPOSITORY}
    declared = {Requirement(text).name for text in [*PROJECT["dependencies"], *EXTRAS]}
    assert packages - declared == set(tools.split("|"))
    assert set(tools.split("|")) <= pinned().keys()


def test_every_binary_has_a_command():
    assert PROJECT["scripts"] == {command: f"{module}:entry_point" for command, module in BINARIES.items()}


def test_the_version_stands_in_one_place():
    assert (PROJECT["name"], netadapt_tf.__version__) == (DISTRIBUTION, VERSION)
    assert "version" in PROJECT["dynamic"]


def test_changelog_and_citation_are_of_this_version():
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert VERSION in headings or f"What will be {VERSION}" in (ROOT / "CHANGELOG.md").read_text()
    assert f"\nversion: {VERSION}\n" in (ROOT / "CITATION.cff").read_text()


@pytest.fixture(scope="module")
def distributions(tmp_path_factory) -> Path:
    """A folder with an sdist of the working tree and the wheel of that sdist, made without the network."""
    tree, folder = tmp_path_factory.mktemp("tree") / "source", tmp_path_factory.mktemp("dist")
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*NOT_SOURCES))
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(tree)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return folder


@pytest.fixture(scope="module")
def wheel(distributions: Path) -> Path:
    (wheel,) = distributions.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory) -> Path:
    """The `bin` of a virtual environment with the wheel, and with nothing else but what these tests can import."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=True)
    (site_packages,) = home.glob("lib/python*/site-packages")
    ours = [path for path in sys.path if path.endswith("site-packages")]
    (site_packages / "dependencies.pth").write_text("\n".join(ours))
    command = [home / "bin" / "pip", "install", "--quiet", "--no-index", "--no-deps", str(wheel)]
    subprocess.run(command, check=True, env=outside() | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    return home / "bin"


def outside() -> dict[str, str]:
    """The environment without what would let the working tree be imported."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@pytest.mark.slow
def test_the_wheel_holds_the_packages_with_their_data_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        commands = configparser.ConfigParser()
        commands.read_string(archive.read(next(name for name in names if name.endswith("entry_points.txt"))).decode())
    data = "netadapt_tf/data/fashion_mnist_12k"
    assert {
        f"{data}/fashion_mnist_12k.npz",
        f"{data}/LICENSE",
        *(f"netadapt_tf/reporting/template/{name}" for name in ("report.html.j2", "report.css", "report.js")),
        "netadapt_tf/reporting/template/notices.txt",
        "netadapt_tf/py.typed",
        "tflite_bench/py.typed",
    } <= names
    modules = {
        str(path.relative_to(ROOT)) for name in ("netadapt_tf", "tflite_bench") for path in (ROOT / name).rglob("*.py")
    }
    assert {name for name in names if name.endswith(".py")} == modules
    assert not [name for name in names if name.endswith("/BUILD")]
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"netadapt_tf", "tflite_bench"}
    assert dict(commands["console_scripts"]) == PROJECT["scripts"]


@pytest.mark.slow
def test_metadata_are_what_an_index_takes(wheel, distributions):
    with zipfile.ZipFile(wheel) as archive:
        written = archive.read(next(name for name in archive.namelist() if name.endswith("dist-info/METADATA")))
    metadata = Metadata.from_email(written, validate=True)
    assert metadata.version is not None
    assert (metadata.name, str(metadata.version)) == (DISTRIBUTION, VERSION)
    assert metadata.license_expression == "Apache-2.0"
    assert metadata.description_content_type == "text/markdown"
    assert metadata.provides_extra == ["ray", "tfds"]
    required = {requirement.name for requirement in metadata.requires_dist or [] if requirement.marker is None}
    assert required == {Requirement(text).name for text in PROJECT["dependencies"]}
    assert (distributions / f"netadapt_tf-{VERSION}.tar.gz").is_file()


@pytest.mark.slow
def test_the_sdist_holds_what_demo_and_tests_need(distributions):
    (path,) = distributions.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {"Makefile", "requirements.txt", "requirements-dev.txt", "CHANGELOG.md", "CONTRIBUTING.md", "CITATION.cff"}
    needed |= {"docs/messages.md", "tests/conftest.py", "tests/tflite_bench/benchmark_model_logs/01_default_t1.log"}
    needed |= {"benchmarks/results/table_accuracy.csv", "tools/lower_bounds.py"}
    needed |= {"BUILD", "WORKSPACE", ".bazelrc", "netadapt_tf/BUILD", "tflite_bench/BUILD", "tools/bazel_rules/BUILD"}
    assert needed <= names
    assert not [name for name in names if name.endswith((".pyc", ".sqlite"))]


@pytest.mark.slow
@pytest.mark.parametrize("command", BINARIES)
def test_an_installed_command_explains_itself(installed, command, tmp_path):
    result = subprocess.run(
        [installed / command, "--help"], cwd=tmp_path, env=outside(), capture_output=True, text=True, timeout=60
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"Usage: {command} ")
    assert f"\n  {command} " in result.stdout, "no example"
    assert "Other flags" not in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("command", BINARIES)
def test_an_installed_command_tells_its_version(installed, command, tmp_path):
    said = subprocess.check_output([installed / command, "--version"], cwd=tmp_path, env=outside(), text=True)
    assert said == f"netadapt_tf {VERSION}\n"


@pytest.mark.slow
def test_the_images_of_the_demo_are_installed(installed, tmp_path):
    program = (
        "import netadapt_tf.training.fashion_mnist as m; print(m.__file__, [len(a) for a in m.fashion_mnist_12k()])"
    )
    result = subprocess.run(
        [installed / "python", "-c", program], cwd=tmp_path, env=outside(), capture_output=True, text=True, timeout=120
    )
    path, _, lengths = result.stdout.strip().partition(" ")
    assert Path(path).is_relative_to(installed.parent), result.stderr
    assert lengths == "[10000, 10000, 2000, 2000]"
