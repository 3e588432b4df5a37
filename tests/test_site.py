"""The site: built once from the committed results, then read as files and in a browser."""

import html
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import toy_site

toy_site.require_extra()

from docs.site.build import build  # noqa: E402
from docs.site.pages import list_executed, list_tables  # noqa: E402

ROOT = Path(__file__).parents[1]
RESULTS = [(study, step) for study, steps in list_executed(ROOT).items() for step in steps]
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """The site of this repository: no warning of Sphinx, no broken link, no outside file."""
    folder = tmp_path_factory.mktemp("site")
    assert build(ROOT, folder) == []
    return folder


@pytest.fixture(scope="session")
def toy(tmp_path_factory) -> Path:
    """The site of a toy repository whose notebook quotes hostile texts."""
    root, folder = tmp_path_factory.mktemp("toy"), tmp_path_factory.mktemp("toy_site")
    toy_site.write_toy(root)
    assert build(root, folder) == []
    return folder


def read(folder: Path, page: str) -> str:
    return (folder / page).read_text(encoding="utf-8")


def text_of(page: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", page))


# ------------------------------------------------------------------------------ the built files


def test_nothing_is_written_beside_the_site(toy):
    assert not (toy.parent / "jupyter_execute").exists()


@pytest.mark.parametrize(("study", "step"), RESULTS)
def test_a_result_links_to_its_settings_tables_and_commit(site, study, step):
    page = read(site, f"results/{study}/{step}.html")
    box = page.split('class="run-box')[1].split("</div>")[0]
    record = json.loads((ROOT / f"outputs/{study}/{step}/run.json").read_text(encoding="utf-8"))
    assert record["commit"][:7] in box
    assert f"{step}.yaml" in box
    tables = list_tables(ROOT, study, step)
    assert tables
    for table in tables:
        assert re.search(rf'href="[^"]*/{Path(table).name}"', box), table


@pytest.mark.parametrize(("study", "step"), RESULTS)
def test_every_figure_of_a_result_has_its_description(site, study, step):
    page = read(site, f"results/{study}/{step}.html")
    notebook = json.loads((ROOT / f"outputs/{study}/{step}.ipynb").read_text(encoding="utf-8"))
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    alts = [o["metadata"]["image/png"]["alt"] for o in outputs if "image/png" in o.get("data", {})]
    shown = re.findall(r'<img src="[^"]*figures/[^"]*"[^>]*alt="([^"]*)"', page)
    assert [*map(html.unescape, shown)] == alts


@pytest.mark.parametrize(("study", "step"), RESULTS)
def test_the_settings_of_a_result_are_collapsed_and_those_of_its_run(site, study, step):
    page = text_of(read(site, f"results/{study}/{step}.html"))
    assert "# Parameters\n" not in page
    assert "Show the settings of this run" in page
    assert f"study: str = '{study}'" in page


def test_every_page_warns_and_names_the_licence(site):
    for file in site.rglob("*.html"):
        page = file.read_text(encoding="utf-8")
        assert "<strong>Research only: not for use in care.</strong>" in page, file.name
        assert "Code: Apache-2.0." in page, file.name


def test_hostile_texts_are_text(toy):
    page = read(toy, "results/toy/01_first.html")
    article = page.split("<article")[1].split("</article>")[0]
    assert "<td>cell</td>" in article
    assert text_of(article).count("<script>window.planted = 1</script>") == 4  # HTML loses it
    elements = re.findall(r"<[a-z][^>]*>", article)
    assert elements
    for live in (
        "<script",
        "<iframe",
        "onclick=",
        "onerror=",
        "javascript:",
        "url(",
        "example.org",
    ):
        assert not [element for element in elements if live in element], live


def test_the_toy_page_has_todays_prose_a_formula_and_links(toy):
    page = read(toy, "results/toy/01_first.html")
    assert "New words" in page
    assert "Old words" not in page
    assert "<math" in page
    assert 'href="../../guide/running.html"' in page
    assert "[not a link](nowhere.md)" in text_of(read(toy, "index.html"))
    assert 'alt="Points &amp; a &quot;line&quot;."' in page


def test_a_broken_link_stops_the_build(tmp_path):
    toy_site.write_toy(tmp_path).file("docs/running.md", "# Running\n\n[a](nowhere.md)\n")
    problems = build(tmp_path, tmp_path / "site")
    assert problems == ["docs/running.md: nowhere.md: no such file"]


def test_a_warning_of_sphinx_stops_the_build(tmp_path):
    toy_site.write_toy(tmp_path).file("docs/running.md", "# Running\n\n[a](exams.md#nowhere)\n")
    (tmp_path / "docs/exams.md").write_text("# Exams\n")
    assert "Sphinx has warnings" in build(tmp_path, tmp_path / "site")[0]


# --------------------------------------------------------------------------------- in a browser

PAGES = (
    *("index.html", "results/index.html", "results/mini_camel/index.html", "guide/exams.html"),
    *("guide/glossary.html", "checks/benchmarks.html"),
    *(f"results/{study}/{step}.html" for study, step in RESULTS if study == "mini_camel"),
)


@pytest.fixture(scope="module")  # while it is open, this thread has a running event loop
def browser() -> Iterator:
    if not CHROMIUM:
        pytest.skip("no chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api", reason=toy_site.SKIPPED)
    with playwright.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


class Visit:
    """A page of a browser that records what it says and requests."""

    def __init__(self, browser, folder: Path, **options) -> None:
        self.page = browser.new_context(**options).new_page()
        self.folder, self.problems = folder, []
        self.page.on("console", lambda message: self._add(message.type, message.text))
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: self.problems.append(f"dialog: {dialog.message}"))
        self.page.on("requestfailed", lambda request: self.problems.append(f"no {request.url}"))
        self.page.on("request", lambda request: self._check(request.url))

    def _add(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.problems.append(f"{kind}: {text}")

    def _check(self, url: str) -> None:
        if not url.startswith(("file:", "data:")):
            self.problems.append(f"request: {url}")

    def open(self, page: str):
        self.page.goto(f"{self.folder.as_uri()}/{page}")
        return self.page


@pytest.mark.parametrize("width", [360, 768, 1024, 1100, 1300])
def test_pages_are_quiet_load_nothing_and_fit_their_width(browser, site, width):
    visit = Visit(browser, site, viewport={"width": width, "height": 800})
    for name in PAGES:
        page = visit.open(name)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, name
        too_wide = page.evaluate(
            "[...document.querySelectorAll('article p, article li, article h1, article h2')]"
            ".filter(e => e.offsetParent && e.scrollWidth > e.clientWidth + 1"
            " && getComputedStyle(e).display != 'inline').map(e => e.textContent.slice(0, 60))"
        )
        assert too_wide == [], name
    assert visit.problems == []


def test_every_image_is_shown_with_a_description(browser, site):
    visit = Visit(browser, site)
    page = visit.open("results/mini_camel/04_note_synthesis.html")
    page.evaluate("document.querySelectorAll('img').forEach(e => e.loading = 'eager')")
    images = page.locator("article img").all()
    assert images
    for image in images:
        image.scroll_into_view_if_needed()
        assert image.get_attribute("alt").strip()
        assert image.evaluate("e => e.decode().then(() => e.naturalWidth)") > 100
    assert visit.problems == []


def test_the_search_finds_a_word(browser, site):
    visit = Visit(browser, site)
    page = visit.open("index.html")
    page.get_by_placeholder("Search").first.fill("hallucination")
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results li a", timeout=10_000)
    titles = page.locator("#search-results li a").all_inner_texts()
    assert any("Clinical notes" in title for title in titles)
    assert visit.problems == []


def luminance(color: str) -> float:
    red, green, blue = (int(x) for x in re.findall(r"\d+", color)[:3])
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_readers_choice(browser, site, scheme):
    page = Visit(browser, site, color_scheme=scheme).open(
        "results/mini_camel/04_note_synthesis.html"
    )
    style = "getComputedStyle({})"
    paper = page.evaluate(f"{style.format('document.body')}.backgroundColor")
    ink = page.evaluate(f"{style.format('''document.querySelector('article p')''')}.color")
    assert (luminance(paper) > 0.9) == (scheme == "light")
    assert abs(luminance(paper) - luminance(ink)) > 0.5
    marked = page.evaluate(
        "[...document.querySelectorAll('.output-html span[style*=background]')]"
        ".map(e => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor])"
    )
    assert marked
    assert all(luminance(back) - luminance(text) > 0.5 for text, back in marked)


def test_a_keyboard_reaches_the_text_and_opens_the_settings(browser, site):
    page = Visit(browser, site).open("results/mini_camel/03_eval_fewshot.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent").strip() == "Skip to content"
    page.keyboard.press("Enter")
    assert page.url.endswith("#furo-main-content")
    summary = page.locator("article summary", has_text="Show the settings of this run").first
    assert page.get_by_text("study: str = 'mini_camel'").count() == 1
    assert not page.get_by_text("study: str = 'mini_camel'").is_visible()
    summary.focus()
    page.keyboard.press("Enter")
    assert page.get_by_text("study: str = 'mini_camel'").is_visible()


def test_print_has_the_text_without_menus(browser, site):
    page = Visit(browser, site).open("results/mini_camel/04_note_synthesis.html")
    page.emulate_media(media="print")
    for place in (".sidebar-drawer", ".toc-drawer", ".site-footer nav", ".skip-to-content"):
        assert not page.locator(place).first.is_visible(), place
    assert page.locator(".site-footer p").first.is_visible()
    assert page.locator("article h1").is_visible()


def test_hostile_texts_do_nothing(browser, toy):
    visit = Visit(browser, toy)
    page = visit.open("results/toy/01_first.html")
    page.get_by_text("click").first.click(timeout=2000)
    page.get_by_text("text", exact=True).first.click(timeout=2000)
    assert page.evaluate("typeof window.planted") == "undefined"
    assert visit.problems == []
