"""The page in a real Chromium; skipped where there is none."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from support.records import complete, failure, spec

from effbench.records.store import Store
from effbench.report import build
from effbench.report.charts.drawing import draw
from effbench.report.render import page as html
from effbench.report.select import Selection

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CHROMIUM = os.environ.get("EFFBENCH_TEST_CHROMIUM") or next(
    filter(None, map(shutil.which, NAMES)), ""
)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
HOSTILE = "</script><img src=x onerror=alert(1)>"
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 375, "height": 812}

pytestmark = pytest.mark.skipif(
    not CHROMIUM, reason="no Chromium; name one in EFFBENCH_TEST_CHROMIUM"
)


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """A page about two rows with published curves, one of them of two seeds, and a failure."""
    folder = tmp_path_factory.mktemp("page")
    store = Store(folder)
    for variant, seed in (("B0", 0), ("B0", 1), ("B1", 0)):
        record = complete(store, variant=variant, seed=seed)
        made = replace(record.provenance, device_name=HOSTILE)
        store.save(replace(record, provenance=made))
    store.save(failure(spec=spec(variant="L"), message=HOSTILE))
    found = build.read(store, Selection())
    path = folder / "page.html"
    path.write_text(html.render(found, list(draw(store, found.sections))), "utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser, file):
    """Opens the page; at the end nothing was complained of, fetched or asked."""
    troubles: list[str] = []
    contexts = []

    def opens(scheme: str = "light", viewport: dict[str, int] = DESK) -> Page:
        context = browser.new_context(
            viewport=viewport, color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: troubles.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: troubles.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(file.as_uri())
        return page

    requests: list[str] = []
    yield opens
    for context in contexts:
        context.close()
    assert not troubles
    assert {url for url in requests if not url.startswith("data:")} == {file.as_uri()}


def drawn(page: Page) -> Page:
    """The page with all its plots, which are drawn as they come into sight."""
    for plot in page.locator(".plot").all():
        plot.scroll_into_view_if_needed()
        plot.locator("svg").wait_for()
    return page


def column(page: Page, place: int) -> list[str]:
    rows = page.locator("table.sortable").first.locator("tbody tr").all()
    return [row.locator("th, td").nth(place).inner_text().split()[0] for row in rows]


def test_every_plot_is_drawn_with_marks(opened):
    page = drawn(opened())
    plots = page.locator(".plot").all()
    assert len(plots) >= 1 + 2 + 2 + 2
    for plot in plots:
        assert plot.get_attribute("role") == "graphics-document"
        assert plot.get_attribute("aria-label").endswith(".")
        assert plot.locator("svg .role-mark :is(path, line, text)").count() > 1


def test_a_click_on_a_head_sorts_and_another_turns_it_round(opened):
    page = opened()
    heads = page.locator("table.sortable").first.locator("thead th")
    place = heads.all_inner_texts().index("acc-test")
    button = heads.nth(place).locator("button")
    button.click()
    assert heads.nth(place).get_attribute("aria-sort") == "descending"
    found = [float(text) for text in column(page, place)]
    assert found == sorted(found, reverse=True)
    button.click()
    assert heads.nth(place).get_attribute("aria-sort") == "ascending"
    assert column(page, place) == [f"{each:.2f}" for each in reversed(found)]


def test_the_keyboard_sorts_and_only_one_head_says_so(opened):
    page = opened()
    heads = page.locator("table.sortable").first.locator("thead th")
    for place, key in ((1, "Enter"), (0, "Space")):
        heads.nth(place).locator("button").focus()
        page.keyboard.press(key)
        marked = [head.get_attribute("aria-sort") for head in heads.all()]
        assert [at for at, order in enumerate(marked) if order] == [place]
    assert column(page, 0) == ["B0", "B1"]


def test_sizes_are_sorted_as_numbers(opened):
    page = opened()
    costs = page.locator("table.sortable", has=page.locator("th", has_text="GFLOPs")).first
    place = costs.locator("thead th").all_inner_texts().index("parameters")
    costs.locator("thead th").nth(place).locator("button").click()
    found = [
        row.locator("th, td").nth(place).inner_text() for row in costs.locator("tbody tr").all()
    ]
    numbers = [int(text.replace(",", "")) for text in found]
    assert numbers == sorted(numbers, reverse=True)


def test_the_keyboard_opens_and_closes_how_a_run_came_about(opened):
    page = opened()
    page.locator("details.many > summary", has_text="runs and how").focus()
    page.keyboard.press("Enter")
    button = page.locator("button.run").first
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog[open]")
    assert dialog.locator("h2").inner_text() == button.inner_text()
    text = dialog.inner_text()
    assert HOSTILE in text
    assert all(word in text for word in ("commit", "sha256", "versions", "Scores", "History"))
    assert dialog.locator("tbody tr").count() == 6 + 3
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    assert button.evaluate("button => button === document.activeElement")


def test_a_failed_run_opens_too(opened):
    page = opened()
    page.locator("#failed ~ ul button.run").click()
    assert HOSTILE in page.locator("dialog[open]").inner_text()
    page.locator("dialog[open] button").click()
    assert page.locator("dialog[open]").count() == 0


def test_dark_is_the_systems_or_chosen_and_plots_follow(opened):
    ground = "getComputedStyle(document.body).backgroundColor"
    label = "getComputedStyle(document.querySelector('.plot .role-axis-title text')).fill"

    def colours(page: Page) -> tuple[str, str]:
        page.locator(".plot svg").first.wait_for()
        return page.evaluate(ground), page.evaluate(label)

    def in_sight(scheme: str) -> Page:
        page = opened(scheme)
        page.locator(".plot").first.scroll_into_view_if_needed()
        return page

    light, dark = colours(in_sight("light")), colours(in_sight("dark"))
    assert all(one != other for one, other in zip(light, dark, strict=True))
    page = in_sight("light")
    colours(page)
    page.locator("#theme").click()
    page.wait_for_function(f"{label} === '{dark[1]}'")
    assert colours(page) == dark
    assert page.locator("#theme").inner_text() == "Light"
    page.emulate_media(color_scheme="dark")
    page.locator("#theme").click()
    page.wait_for_function(f"{label} === '{light[1]}'")
    assert colours(page) == light


def test_a_row_that_is_pointed_at_stands_out_in_its_sections_plots(opened):
    page = drawn(opened())
    faint = ".plot svg [opacity='0.2']"
    assert page.locator(faint).count() == 0
    row = page.locator("tr[data-row='B1']").first
    row.hover()
    page.wait_for_function(f'document.querySelectorAll("{faint}").length > 2')
    page.locator("h1").hover()
    page.wait_for_function(f'document.querySelectorAll("{faint}").length === 0')


def test_data_of_a_plot_are_a_table_too(opened):
    page = opened()
    details = page.locator("details.data").first
    details.locator("summary").click()
    assert details.locator("th").all_inner_texts()[:3] == ["Row", "What", "Test accuracy, %"]
    assert details.locator("tbody tr").count() >= 3


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_the_page_never_scrolls_sideways(opened, viewport):
    page = drawn(opened(viewport=viewport))
    for summary in page.locator("details > summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    # As names of folders and of classes may be.
    page.evaluate(
        """() => { for (const text of document.querySelectorAll(
               "h2, h3 > a, nav a, p, figcaption, .notes li, .pictures p"
           )) text.append("_long".repeat(20)) }"""
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    outside = "svg => svg.getBoundingClientRect().right > innerWidth"
    assert not any(svg.evaluate(outside) for svg in page.locator(".plot svg").all())


# The structure is the same in the dark; and axe needs many seconds for all of its rules.
@pytest.mark.parametrize(
    ("scheme", "rules"), [("light", {}), ("dark", {"runOnly": ["color-contrast"]})]
)
def test_axe_finds_no_fault(opened, scheme, rules):
    page = drawn(opened(scheme))
    for summary in page.locator("details > summary").all():
        summary.click()
    page.evaluate("scrollTo(0, 0)")
    found = Axe().run(page, options=rules)["violations"]
    page.locator("button.run").first.click()
    found += Axe().run(page, "dialog", rules)["violations"]
    assert [(each["id"], [node["html"] for node in each["nodes"]][:3]) for each in found] == []


def test_the_first_stop_of_the_keyboard_leads_past_the_navigation(opened):
    page = opened()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
