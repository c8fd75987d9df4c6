"""That the BUILD files say what the modules import, and how they are written."""

from pathlib import Path, PurePosixPath

import pytest

from tools.build_files import BUILD_FILE, COMMAND, build_files, wanted, write, written
from tools.module_facts import module_facts
from tools.modules import TABLE, Extra, all_needs, read_modules, read_table, read_tree
from tools.starlark import Glob, load, rule

ROOT = Path(__file__).parents[1]
KNOWN = {"shop", "shop.prices", "shop.stock", "shop.till"}


def test_the_build_files_are_what_the_imports_say():
    asked, found = wanted(ROOT), written(ROOT)
    differing = sorted(str(path) for path in asked.keys() | found.keys() if asked.get(path) != found.get(path))
    assert not differing, f"not what the modules import; `{COMMAND}` writes them anew"
    assert len(found) > 20


def test_no_module_needs_itself():
    modules = read_modules(read_tree(ROOT), read_table((ROOT / TABLE).read_text()))
    assert not [name for name in modules if name in all_needs(name, modules)], "Bazel takes no circles"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import shop.prices", {"shop.prices"}),
        ("import shop.prices as p, numpy", {"shop.prices"}),
        ("from shop.prices import price", {"shop.prices"}),
        ("from shop import prices, stock", {"shop.prices", "shop.stock"}),
        ("from shop import open_hours", {"shop"}),
        ("import shop", {"shop"}),
        ("def late():\n    from shop.till import ring", {"shop.till"}),
        ("if TYPE_CHECKING:\n    from shop.till import ring", {"shop.till"}),
        ("try:\n    import shop.till\nexcept ImportError:\n    pass", {"shop.till"}),
        ("call([sys.executable, '-m', 'shop.till'])", {"shop.till"}),
        ("patch('shop.till.ring')", {"shop.till"}),
        ("'''See shop.till, or shop.prices.'''", set()),
        ("print('shop')", set()),
        ("open('shop.txt')", set()),
        ("import numpy.typing", set()),
    ],
)
def test_modules_are_found_wherever_they_stand(text, found):
    assert module_facts(text, KNOWN).modules == found


@pytest.mark.parametrize("text", ["from . import prices", "from .prices import price", "from ..shop import prices"])
def test_relative_imports_are_refused(text):
    with pytest.raises(ValueError, match="line 2 has a relative import"):
        module_facts(f"\n{text}", KNOWN)


@pytest.mark.parametrize(
    ("text", "fast", "slow"),
    [
        ("def test_a(): pass", True, False),
        ("@pytest.mark.slow\ndef test_a(): pass", False, True),
        ("@pytest.mark.slow\ndef test_a(): pass\ndef test_b(): pass", True, True),
        ("pytestmark = pytest.mark.slow\ndef test_a(): pass", False, True),
        ("@p('a', [1, pytest.param(2, marks=pytest.mark.slow)])\ndef test_a(): pass", True, True),
        ("class TestA:\n    @pytest.mark.slow\n    def test_a(self): pass", False, True),
        ("TestMachine = Machine.TestCase", True, False),
    ],
)
def test_what_is_slow_is_found_by_its_mark(text, fast, slow):
    facts = module_facts(text, KNOWN)
    assert (facts.has_fast_tests, facts.has_slow_tests) == (fast, slow)


def built(texts: dict[str, str], extras: dict[str, Extra] | None = None) -> dict[str, str]:
    """The rules in the BUILD files of some modules, each in one line."""
    sources = {PurePosixPath(path): text for path, text in texts.items()}
    more = {PurePosixPath(path): extra for path, extra in (extras or {}).items()}
    files = build_files(read_modules(sources, more), {path.parent for path in sources})
    return {str(path.parent): " ".join(text.split()) for path, text in files.items()}


def test_a_library_has_its_direct_dependencies_only():
    shop = built(
        {
            "shop/__init__.py": "",
            "shop/till.py": "import shop.prices, goods.fruit, shop\n'shop.till'",
            "shop/prices.py": "import shop.stock",
            "shop/stock.py": "pass",
            "goods/fruit.py": "pass",
        }
    )["shop"]
    assert 'py_library( name = "till", srcs = ["till.py"], deps = [ ":prices", "//goods:fruit", ], )' in shop
    assert 'py_library( name = "prices", srcs = ["prices.py"], deps = [":stock"], )' in shop
    assert 'py_library( name = "stock", srcs = ["stock.py"], )' in shop
    assert "__init__" not in shop


def test_a_package_that_says_something_has_a_library():
    files = built({"shop/__init__.py": "from shop.till import ring", "shop/till.py": "pass", "a/b.py": "import shop"})
    assert 'py_library( name = "shop", srcs = ["__init__.py"], deps = [":till"], )' in files["shop"]
    assert 'deps = ["//shop:shop"]' in files["a"]


def test_a_binary_stands_beside_its_library():
    files = built(
        {
            "shop/till.py": "import shop.stock\nif __name__ == '__main__': pass",
            "shop/stock.py": "1",
            "a/b.py": "'shop.till'",
        }
    )
    assert 'py_library( name = "till_lib", srcs = ["till.py"], deps = [":stock"], )' in files["shop"]
    assert 'py_binary( name = "till", srcs = ["till.py"], deps = [":till_lib"], )' in files["shop"]
    assert 'deps = ["//shop:till_lib"]' in files["a"]


def test_a_test_has_what_pytest_loads_before_it_and_what_the_table_says():
    shop = built(
        {
            "tests/conftest.py": "pass",
            "tests/shop/conftest.py": "pass",
            "tests/shop/phone.py": "pass",
            "tests/shop/test_till.py": "import tests.shop.phone\ndef test_a(): pass",
        },
        {"tests/shop/test_till.py": Extra(tags=("local",), size="large", data=("a/*", "//:repository"))},
    )["tests/shop"]
    assert "default_testonly = True" in shop
    assert (
        'pytest_test( name = "test_till", size = "large", src = "test_till.py", '
        'data = glob(["a/*"]) + ["//:repository"], tags = ["local"], '
        'deps = [ ":conftest", ":phone", "//tests:conftest", ], )'
    ) in shop
    assert shop.count('srcs = ["test_till.py"]') == 0, "nobody needs a library of it"


def test_slow_tests_are_a_target_of_their_own():
    mixed = "@pytest.mark.slow\ndef test_a(): pass\ndef test_b(): pass"
    tests = built({"tests/test_mixed.py": mixed, "tests/test_slow.py": mixed.split("def test_b")[0]})["tests"]
    assert 'name = "test_mixed", size = "medium", src = "test_mixed.py", )' in tests
    assert 'name = "test_mixed_slow", size = "enormous", src = "test_mixed.py", slow = True, )' in tests
    assert 'name = "test_slow_slow", size = "enormous", src = "test_slow.py", slow = True, )' in tests
    assert tests.count("pytest_test(") == 3


def test_a_test_file_that_another_needs_has_a_library():
    tests = built({"tests/test_a.py": "pass", "tests/test_b.py": "from tests.test_a import made"})["tests"]
    assert 'py_library( name = "test_a_lib", srcs = ["test_a.py"], )' in tests
    assert 'src = "test_b.py", deps = [":test_a_lib"]' in tests


def test_what_a_module_only_mentions_or_puts_together_stands_in_the_table():
    texts = {"shop/till.py": "'shop.prices'", "shop/prices.py": "pass", "shop/stock.py": "pass"}
    till = Extra(modules=("shop.stock",), no_modules=("shop.prices",))
    assert 'srcs = ["till.py"], deps = [":stock"], )' in built(texts, {"shop/till.py": till})["shop"]


def test_the_table_is_read_by_module():
    table = read_table(
        """
        [data]
        "shop/till.py" = ["a/*"]
        [modules]
        "shop/till.py" = ["shop.stock"]
        [tags]
        local = ["tests/test_a.py"]
        exclusive = ["tests/test_a.py", "tests/test_b.py"]
        [size]
        large = ["tests/test_b.py"]
        """
    )
    assert {str(path): extra for path, extra in table.items()} == {
        "shop/till.py": Extra(data=("a/*",), modules=("shop.stock",)),
        "tests/test_a.py": Extra(tags=("exclusive", "local")),
        "tests/test_b.py": Extra(tags=("exclusive",), size="large"),
    }


def test_the_table_tells_of_modules_that_are_there_and_in_known_words():
    with pytest.raises(ValueError, match=r"tells of shop/gone.py, which is not there"):
        built({"shop/till.py": "pass"}, {"shop/gone.py": Extra()})
    with pytest.raises(TypeError, match="colour"):
        read_table('[colour]\n"shop/till.py" = ["red"]')


def test_rules_are_laid_out():
    assert rule("a", b="c", d=True, e=False, f=[], g=["h"], i=["j", "k"]) == (
        'a(\n    b = "c",\n    d = True,\n    g = ["h"],\n    i = [\n        "j",\n        "k",\n    ],\n)\n'
    )
    assert rule("a", b=Glob(["*"], ["c"]), d=[Glob(["e"]), "f"]) == (
        'a(\n    b = glob(["*"], exclude = ["c"]),\n    d = glob(["e"]) + ["f"],\n)\n'
    )
    assert load("a.bzl", {"c", "b"}) == 'load("a.bzl", "b", "c")\n'
    assert load("a.bzl", ()) == ""


def test_only_what_differs_is_written_and_what_has_no_modules_goes(tmp_path):
    for path, text in {TABLE: "", "shop/__init__.py": "", "shop/a/b.py": "pass", "shop/c/d.py": "pass"}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    others = tmp_path / "shop" / "e" / BUILD_FILE
    others.parent.mkdir()
    others.write_text("# by hand\n")
    assert [str(path.parent) for path in write(tmp_path)] == [".", "shop", "shop/a", "shop/c"]
    assert write(tmp_path) == []
    (tmp_path / "shop/a/b.py").unlink()
    (tmp_path / "shop/c/d.py").write_text("import shop.c.e")
    (tmp_path / "shop/c/e.py").write_text("pass")
    assert [str(path) for path in write(tmp_path)] == [BUILD_FILE, f"shop/a/{BUILD_FILE}", f"shop/c/{BUILD_FILE}"]
    assert not (tmp_path / "shop" / "a" / BUILD_FILE).exists()
    assert others.read_text() == "# by hand\n"
