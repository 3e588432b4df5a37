"""The site's parts: prose, settings, outputs and links of a page, and the checks of built pages."""

import json
import subprocess

import pytest
from tests.support import toy_site
from tests.support.toy_site import HOSTILE, PNG, code, display, notebook, prose, stream

toy_site.require_extra()

from docs.site.checks import check_site  # noqa: E402
from docs.site.links import LinkError, Links  # noqa: E402
from docs.site.notebooks import show_settings_of_run, source_of, use_current_prose  # noqa: E402
from docs.site.outputs import clean_html, convert_markdown, convert_output  # noqa: E402
from docs.site.pages import describe_unrun  # noqa: E402

# ---------------------------------------------------------------------------------------- prose


def test_prose_is_todays_where_the_code_is_the_same():
    executed = notebook(prose("a", "old"), code("b", "f(1)  # x", outputs=(stream("seen"),)))
    current = notebook(prose("a", "new"), prose("n", "more"), code("b", "f( 1 )"))
    result, is_current = use_current_prose(executed, current)
    assert is_current
    assert [source_of(cell) for cell in result["cells"]] == ["new", "more", "f(1)  # x"]
    assert result["cells"][-1]["outputs"] == [stream("seen")]
    assert executed["cells"][0]["source"] == "old"


@pytest.mark.parametrize(
    "cells",
    [
        [code("b", "f(2)")],  # other code
        [code("c", "f(1)")],  # another cell
        [code("b", "f(1)"), code("d", "g()")],  # one more
        [],
    ],
)
def test_prose_stays_that_of_the_run_where_the_code_is_another(cells):
    executed = notebook(prose("a", "old"), code("b", "f(1)"))
    result, is_current = use_current_prose(executed, notebook(prose("a", "new"), *cells))
    assert not is_current
    assert result == executed


def test_a_new_set_up_cell_does_not_change_the_code():
    executed = notebook(prose("a", "old"), code("b", "f(1)"))
    current = notebook(prose("a", "new"), code("s", "install()", "setup"), code("b", "f(1)"))
    result, is_current = use_current_prose(executed, current)
    assert is_current
    assert [cell["id"] for cell in result["cells"]] == ["a", "b"]


def test_the_settings_cell_has_the_values_of_the_run_and_is_collapsed():
    defaults = 'study: str = "mini"  # folder\n'
    defaults += 'rates: dict[str, float] = {"a": 1.0}  # of a = b\nx: int = 0'
    injected = '# Parameters\nstudy = "toy"\nrates = {"b": 0.5}\n'
    result = show_settings_of_run(
        notebook(
            code("s", "install()", "setup"),
            code("p", defaults, "parameters"),
            code("i", injected, "injected-parameters"),
        )
    )
    (cell,) = result["cells"]
    assert cell["source"].splitlines() == [
        "study: str = 'toy'  # folder",
        "rates: dict[str, float] = {'b': 0.5}  # of a = b",
        "x: int = 0",
    ]
    assert "hide-input" in cell["metadata"]["tags"]


# -------------------------------------------------------------------------------------- outputs

LIVE = ("<script", "<img", "<iframe", "onerror=", "onclick=", "javascript:", "url(")


def test_html_of_an_output_keeps_tables_and_loses_what_runs_or_loads():
    page = clean_html(f'<table class="x"><tr><td>1</td></tr></table>{HOSTILE}<b title="t">bold</b>')
    assert "<td>1</td>" in page
    assert '<b title="t">bold</b>' in page
    assert not [live for live in LIVE if live in page]


def test_html_in_a_markdown_output_is_text():
    page = convert_markdown(f"**bold** {HOSTILE}\n\n{HOSTILE}\n\n```python\nx = '<script>'\n```")
    assert "<strong>bold</strong>" in page
    assert "&lt;script&gt;window.planted" in page
    assert not [tag for tag in ("<script", "<img", "<iframe", "<p style") if tag in page]
    assert "&lt;script&gt;&#39;" in page or "&lt;script&gt;'" in page


def test_markdown_links_to_scripts_are_no_links():
    assert "href" not in convert_markdown("[x](javascript:alert(1))")


def test_an_image_becomes_a_file_with_its_description(tmp_path):
    metadata = {"image/png": {"alt": 'a < b & "c"'}}
    output = convert_output(display(metadata, image_png=PNG), tmp_path, "../figures", str)
    page = output["data"]["text/html"]
    (file,) = tmp_path.iterdir()
    assert f'src="../figures/{file.name}"' in page
    assert 'alt="a &lt; b &amp; &quot;c&quot;"' in page
    assert 'width="1" height="1"' in page


def test_an_image_without_a_description_is_refused(tmp_path):
    with pytest.raises(ValueError, match="without a description"):
        convert_output(display(image_png=PNG), tmp_path, "figures", str)


def test_progress_bars_are_left_out(tmp_path):
    bar = "notes by base: 100%|##########| 28/28 [00:03<00:00,  7.08note/s]\n"
    shown = convert_output(stream(f"{bar}28 notes\n"), tmp_path, "", str)
    assert shown["text"] == "28 notes\n"
    assert convert_output(stream(bar), tmp_path, "", str) is None


def test_a_script_as_an_output_is_not_shown(tmp_path):
    output = {"output_type": "display_data", "metadata": {}, "data": {"text/plain": "<x>"}}
    output["data"]["application/javascript"] = "alert(1)"
    assert convert_output(output, tmp_path, "", str)["data"] == {"text/plain": "<x>"}


# ---------------------------------------------------------------------------------------- links


@pytest.fixture
def links(tmp_path) -> Links:
    root = tmp_path / "root"
    for name in ("docs/exams.md", "data/README.md", "data/x.csv", "src/a.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    pages = {"docs/exams.md": "guide/exams.md", "data/README.md": "checks/data.md"}
    return Links(root, tmp_path / "source", pages, "https://example.org/x/")


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("[a](../docs/exams.md#how)", "[a](../guide/exams.md#how)"),
        ("[a](../data)", "[a](../checks/data.md)"),
        ("![a](../data/x.csv)", "![a](../files/data/x.csv)"),
        ("[a](../src/a.py)", "[a](../files/src/a.py.txt)"),
        ("[a](../src)", "[a](../files/src/index.md)"),
        ("[a](https://b.org/) [c](#d)", "[a](https://b.org/) [c](#d)"),
        ("`[a](nowhere)` ``[a](`nowhere)``", "`[a](nowhere)` ``[a](`nowhere)``"),
        ("```\n[a](nowhere)\n```\n[a](../data)", "```\n[a](nowhere)\n```\n[a](../checks/data.md)"),
    ],
)
def test_links_lead_to_pages_or_copies(links, text, moved):
    assert links.move_markdown(text, "notebooks/01.ipynb", "results/01.ipynb") == moved
    if "files/" in moved:
        assert (links.source / moved.partition("../")[2].rstrip(")")).is_file()


def test_a_link_to_a_folder_leads_to_a_page_with_its_files(links):
    (links.root / "src/part").mkdir()
    (links.root / "src/b 1.csv").write_text("b")
    page = links.move_html('<a href="../src">a</a>', "outputs/01.ipynb", "results/01.ipynb")
    assert 'href="../files/src/index.html"' in page
    text = (links.source / "files/src/index.md").read_text()
    assert text.splitlines()[4:] == [
        "# src",
        "",
        "- [`a.py`](a.py.txt)",
        "- [`b 1.csv`](b%201.csv)",
    ]
    assert (links.source / "files/src/a.py.txt").read_text() == "src/a.py"
    assert (links.source / "files/src/b 1.csv").is_file()


def test_only_committed_files_of_a_folder_are_copied(links):
    run = ["git", "-C", str(links.root)]
    subprocess.run([*run, "init", "-q"], check=True)
    subprocess.run([*run, "add", "src/a.py"], check=True)
    (links.root / "src/exam.jsonl").write_text("not ours")
    links.move_markdown("[a](src)", "README.md", "index.md")
    files = sorted(file.name for file in (links.source / "files/src").iterdir())
    assert files == ["a.py.txt", "index.md"]


@pytest.mark.parametrize("target", ["nowhere.md", "../../../etc/passwd", "/etc/passwd"])
def test_a_link_to_nothing_is_an_error_that_names_it(links, target):
    with pytest.raises(LinkError, match="docs/exams.md: .*: no such file"):
        links.move_markdown(f"[a]({target})", "docs/exams.md", "guide/exams.md")


def test_links_of_outputs_are_those_of_the_built_site(links):
    page = '<a href="../docs/exams.md#how">a</a> <a href="../data/x.csv">b</a> <a href="#c">c</a>'
    moved = links.move_html(page, "outputs/01.ipynb", "results/01.ipynb")
    assert 'href="../guide/exams.html#how"' in moved
    assert 'href="../files/data/x.csv"' in moved
    assert 'href="#c"' in moved
    assert (links.source / "extra/files/data/x.csv").is_file()


def test_a_commit_is_a_link_where_the_repository_has_an_address(links, tmp_path):
    assert links.link_commit("a" * 40).endswith(f"(https://example.org/x/commit/{'a' * 40})")
    assert Links(tmp_path, tmp_path, {}, "").link_commit("abcdefghij") == "`abcdefg`"


@pytest.mark.parametrize(
    ("repository", "address"),
    [
        (
            "https://github.com/me/x",
            "https://colab.research.google.com/github/me/x/blob/main/n.ipynb",
        ),
        ("https://github.com/me/x.git/", "google.com/github/me/x/blob/main/n.ipynb"),
        ("https://example.org/me/x", ""),
        ("", ""),
    ],
)
def test_a_notebook_opens_on_colab_where_the_repository_is_on_github(tmp_path, repository, address):
    link = Links(tmp_path, tmp_path, {}, repository).link_colab("n.ipynb")
    assert address in link
    assert bool(link) == bool(address)


def test_the_page_of_a_study_that_has_not_run_says_how_to_estimate_its_cost(tmp_path):
    def write(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")

    write("outputs/published/10_published.ipynb", "{}")
    systems = "study: published\nsystems:\n  camel:70b: big\nrecipes:\n  - other\n"
    write("params/published/10_published.yaml", systems)
    text = describe_unrun(tmp_path, "big")
    assert "`python -m clinical_camel plan big` estimates its hours, memory and cost" in text
    assert "[published systems](../published/10_published.ipynb)" in text
    assert "published" not in describe_unrun(tmp_path, "other")


# --------------------------------------------------------------------------------- built pages

GOOD = '<p id="here"><a href="b.html#there">b</a> <a href="https://x.org">x</a>'


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        (GOOD, ""),
        ('<a href="c.html">', "a.html: c.html: no such file"),
        ('<a href="b.html#x">', "a.html: b.html#x: no such place on the page"),
        ('<a href="#x">', "a.html: #x: no such place on the page"),
        ('<a href="//x.org/y">', "a.html: //x.org/y: leads elsewhere without a scheme"),
        ('<a href="javascript:f()">', "a.html: <a href>: a script as a link"),
        ('<script src="https://x.org/y.js"></script>', "a.html: loads https://x.org/y.js"),
        ('<link rel="stylesheet" href="//x.org/y.css">', "a.html: loads //x.org/y.css"),
        ('<img src="none.png" alt="a">', "a.html: none.png: no such file"),
        ('<img src="b.html">', "a.html: b.html: an image without a description"),
        ('<p onclick="f()">', "a.html: <p onclick>: code in a page"),
    ],
)
def test_the_check_of_built_pages(tmp_path, page, problem):
    (tmp_path / "a.html").write_text(page)
    (tmp_path / "b.html").write_text('<p id="there">')
    assert list(check_site(tmp_path)) == ([problem] if problem else [])


def test_a_style_sheet_that_loads_a_file_is_found(tmp_path):
    (tmp_path / "a.css").write_text("p { background: url('https://x.org/y.png') }")
    (tmp_path / "b.css").write_text("p { background: url(data:image/png;base64,xx) }")
    assert list(check_site(tmp_path)) == ["a.css: loads https://x.org/y.png"]


def test_the_toy_notebook_is_valid(tmp_path):
    nbformat = pytest.importorskip("nbformat")
    toy_site.write_toy(tmp_path)
    for file in tmp_path.rglob("*.ipynb"):
        nbformat.validate(nbformat.from_dict(json.loads(file.read_text())))
