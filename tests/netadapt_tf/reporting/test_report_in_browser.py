"""The report as a browser shows it: all drawn, nothing fetched, no error; by mouse and keys, light, dark, printed."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request, ViewportSize

from netadapt_tf.reporting.report import write_report
from tests.browser import SCREENSHOTS, opened_browser
from tests.netadapt_tf.reporting.small_run import on_two_targets, write_member, write_run

CHARTS_OF_A_RUN, CHARTS_OF_A_FAMILY = 9, 1
WIDE, NARROW = ViewportSize(width=1200, height=900), ViewportSize(width=360, height=740)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with opened_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def one(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("one")
    run_dir = write_run(folder / "run")
    write_member(run_dir, 1)
    write_report([run_dir], folder / "report.html")
    return (folder / "report.html").as_uri()


@pytest.fixture(scope="module")
def three(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("three")
    runs = [write_run(folder / name, finished=name != "c", iterations=1 + (name != "c")) for name in ("a", "b", "c")]
    write_report(runs, folder / "report.html")
    return (folder / "report.html").as_uri()


@pytest.fixture(scope="module")
def two_targets(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("two_targets")
    run_dir = write_run(folder / "run")
    write_member(run_dir, 1)
    write_report([on_two_targets(run_dir)], folder / "report.html")
    return (folder / "report.html").as_uri()


@contextmanager
def shown(browser: Browser, address: str, viewport: ViewportSize = WIDE, scheme="light", **options) -> Iterator[Page]:
    """A page with all its charts; what it complains of, and whatever it asks for but itself, is a failure."""
    complaints: list[str] = []
    requests: list[str] = []
    context = browser.new_context(viewport=viewport, color_scheme=scheme, offline=True, **options)
    page = context.new_page()
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))

    def on_request(request: Request) -> None:
        if not request.url.startswith("data:,"):  # the icon that stands in for none
            requests.append(request.url)

    page.on("request", on_request)
    page.goto(address)
    if options.get("java_script_enabled", True):
        page.wait_for_function("document.querySelectorAll('.chart:not([data-drawn])').length === 0", timeout=20_000)
    yield page
    assert complaints == []
    assert requests == [address]
    context.close()


def keep(page: Page, name: str) -> None:
    """Keeps the first screen and the whole page for people to look at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}_first_screen.png")
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_every_chart_is_drawn_and_readable(browser, one, scheme):
    with shown(browser, one, scheme=scheme) as page:
        charts = page.locator(".chart")
        assert charts.count() == CHARTS_OF_A_RUN + CHARTS_OF_A_FAMILY
        for chart in charts.all():
            assert chart.get_attribute("role") == "img"
            assert re.search(r"\d", chart.get_attribute("aria-label") or "")
            box = chart.locator("svg").bounding_box()
            assert box is not None
            assert box["width"] > 250
            assert box["height"] > 60
            marks = chart.locator("svg .mark-symbol path, svg .mark-rect path").all()
            assert any((found := mark.bounding_box()) and found["width"] > 3 and found["height"] > 3 for mark in marks)
            assert chart.locator("svg text").count() > 3
            assert "NaN" not in chart.inner_html()
        background, ink = page.evaluate("[getComputedStyle(document.body).backgroundColor, "
                                        "getComputedStyle(document.body).color]")  # fmt: skip
        assert (
            brightness(background) > 240 > 60 > brightness(ink)
            if scheme == "light"
            else (brightness(background) < 40 < 200 < brightness(ink))
        )
        label = page.locator(".chart svg text").first.evaluate("text => getComputedStyle(text).fill")
        assert abs(brightness(label) - brightness(background)) > 80
        keep(page, f"report_{scheme}")


def brightness(color: str) -> float:
    red, green, blue = map(int, re.findall(r"\d+", color)[:3])
    return (red + green + blue) / 3


@pytest.mark.slow
def test_the_answer_is_on_the_first_screen(browser, one):
    for viewport in (WIDE, NARROW):
        with shown(browser, one, viewport) as page:
            for selector in (".headline", ".verdicts", ".cards > div >> nth=1"):
                box = page.locator(selector).bounding_box()
                assert box is not None
                assert box["y"] + box["height"] <= viewport["height"], selector


def test_a_point_shows_its_widths_on_hover(browser, one):
    with shown(browser, one) as page:
        tip = page.locator("#tip")
        assert tip.is_hidden()
        last = page.locator("#run-1-trade-off .chart .mark-symbol path").last  # the diamond, drawn above all others
        last.scroll_into_view_if_needed()
        last.hover(force=True)
        tip.wait_for(state="visible")
        said = tip.inner_text().replace("\N{NO-BREAK SPACE}", " ").splitlines()
        assert said[0] == "Iteration 2"
        assert {"b: 64 → 24", "c: 128 → 48", "hold-out accuracy: 88.50 %"} <= set(said)
        box = tip.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= WIDE["width"]
        page.screenshot(path=SCREENSHOTS / "report_hover.png")
        page.mouse.move(2, 2)
        tip.wait_for(state="hidden")


@pytest.mark.slow
def test_keys_reach_everything_and_nothing_holds_them(browser, one):
    with shown(browser, one) as page:
        focusable = page.evaluate(
            "window.all = [...document.querySelectorAll('a, summary, pre, .chart, .scroll')]"
            ".filter((e) => e.checkVisibility()); window.all.length"
        )
        order = []
        for _ in range(focusable):
            page.keyboard.press("Tab")
            order.append(page.evaluate("window.all.indexOf(document.activeElement)"))
        assert order == list(range(focusable))
        page.keyboard.press("Tab")
        assert page.evaluate("window.all.indexOf(document.activeElement)") == -1, "the end of the page holds the focus"


@pytest.mark.slow
def test_keys_walk_through_the_points_of_a_chart(browser, one):
    with shown(browser, one) as page:
        tip, chart = page.locator("#tip"), page.locator("#run-1-trade-off .chart")
        chart.focus()
        page.keyboard.press("ArrowRight")
        assert tip.inner_text().startswith("Iteration 2"), "the leftmost costs least"
        page.keyboard.press("End")
        assert tip.inner_text().startswith("Start")
        page.keyboard.press("ArrowLeft")
        assert tip.inner_text().startswith("Iteration 1")
        page.keyboard.press("Escape")
        assert tip.is_hidden()
        page.keyboard.press("Home")
        page.keyboard.press("Tab")
        assert tip.is_hidden()


@pytest.mark.slow
def test_a_phone_needs_no_sideways_scrolling(browser, one, three):
    for address, name in ((one, "report_narrow"), (three, "several_narrow")):
        with shown(browser, address, NARROW) as page:
            page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
            assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
            page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = false; })")
            keep(page, name)


@pytest.mark.slow
@pytest.mark.parametrize(("report", "most_pages"), [("one", 12), ("two_targets", 18), ("three", 24)])
def test_print_is_black_on_white_and_whole(browser, request, report, most_pages):
    with shown(browser, request.getfixturevalue(report), scheme="dark") as page:
        page.emulate_media(media="print")
        assert brightness(page.evaluate("getComputedStyle(document.body).backgroundColor")) == 255
        assert page.locator("nav").is_hidden()
        assert page.locator(".chart svg").first.is_visible()
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.set_viewport_size({"width": 794, "height": 1123})  # A4 at 96 dots an inch
        keep(page, f"{report}_print")
        assert page.evaluate("document.documentElement.scrollWidth") <= 794
        pdf = page.pdf(path=SCREENSHOTS / f"{report}.pdf", format="A4", print_background=True)
        assert pdf.startswith(b"%PDF")
        assert 3 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= most_pages


@pytest.mark.slow
def test_charts_are_drawn_anew_for_paper_and_again_for_the_screen(browser, one):
    with shown(browser, one) as page:
        svg = page.locator("#run-1-trade-off svg")
        widths = [svg.get_attribute("width")]
        for moment in ("beforeprint", "afterprint"):
            page.evaluate(f"window.dispatchEvent(new Event('{moment}'))")
            widths.append(svg.get_attribute("width"))
        assert widths == ["1024", "660", "1024"]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_rules_of_accessibility_are_kept(browser, one, three, scheme):
    for address in (one, three):
        with shown(browser, address, NARROW, scheme, bypass_csp=True) as page:
            page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
            results = Axe().run(page)
            assert results.violations_count == 0, results.generate_report()
            checked = {rule["id"] for rule in results.response["passes"]}
            assert {"color-contrast", "heading-order", "role-img-alt", "scrollable-region-focusable"} <= checked


@pytest.mark.slow
def test_several_runs_are_drawn_together(browser, three):
    with shown(browser, three) as page:
        assert page.locator("#all-curves .chart svg").count() == 1
        assert page.locator("#all-curves .chart .mark-line path").count() == 3
        assert [title.inner_text() for title in page.locator("section.run > h2").all()] == ["a", "b", "c"]
        keep(page, "several")


@pytest.mark.slow
def test_without_scripts_the_figures_are_in_the_tables(browser, one):
    with shown(browser, one, java_script_enabled=False) as page:
        said = page.locator("noscript p")
        assert said.is_visible()
        assert said.inner_text() == "The charts need JavaScript; their figures are in the tables."
        page.locator("summary").first.click()
        assert page.locator("details[open] table").first.is_visible()
