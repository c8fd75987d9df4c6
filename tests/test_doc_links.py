"""That links between the pages lead somewhere, and that the index names every page."""

import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])

_CODE_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def links(page: Path) -> list[str]:
    """Where a page's links lead that stay in this repository."""
    text = _CODE_BLOCK.sub("", page.read_text())
    return [link for link in _LINK.findall(text) if not re.match(r"[a-z]+:", link)]


def anchors(page: Path) -> set[str]:
    """What can stand behind `#` in a link to a page, as GitHub and others make it from headings."""
    found: set[str] = set()
    for heading in _HEADING.findall(_CODE_BLOCK.sub("", page.read_text())):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        same = sum(other == slug or re.fullmatch(rf"{re.escape(slug)}-\d+", other) is not None for other in found)
        found.add(f"{slug}-{same}" if same else slug)
    return found


LINKS = [(page, link) for page in PAGES for link in links(page)]


def test_pages_and_links_are_found():
    assert {ROOT / "README.md", DOCS / "README.md", DOCS / "messages.md"} <= set(PAGES)
    assert len(LINKS) > 50
    assert any("#" in link for _, link in LINKS)


@pytest.mark.parametrize(("page", "link"), [pytest.param(*pair, id=f"{pair[0].name}->{pair[1]}") for pair in LINKS])
def test_a_link_leads_somewhere(page, link):
    file, _, anchor = link.partition("#")
    target = Path(os.path.normpath(page.parent / file)) if file else page  # not resolved: Bazel links files elsewhere
    assert target.exists()
    assert target.is_relative_to(ROOT)
    if anchor:
        assert anchor in anchors(target)


def test_the_index_names_every_page():
    named = {link.partition("#")[0] for link in links(DOCS / "README.md")}
    assert {page.name for page in DOCS.glob("*.md")} - {"README.md"} <= named


def test_anchors_are_those_of_github(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# What's `--lock=REGEX`?\n## Twice\n```\n# no heading\n```\n## Twice\n### A [link](x.md), and_more\n"
    )
    assert anchors(page) == {"whats---lockregex", "twice", "twice-1", "a-link-and_more"}
