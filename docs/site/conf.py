"""Settings of Sphinx for the site; `python -m docs.site.build` runs Sphinx with them."""

import tomllib
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

HERE = Path(__file__).parent
_PROJECT = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]

project = "Clinical Camel: an open, executable study"
version = release = _PROJECT["version"]
language = "en"
extensions = ["myst_nb"]
templates_path = [str(HERE / "templates")]

# notebooks are shown as they were executed, and pages load nothing from elsewhere
nb_execution_mode = "off"
nb_ipywidgets_js: dict[str, Any] = {}
nb_merge_streams = True
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # a notebook may start a part with a heading of level 3

html_theme = "furo"
html_title = "Clinical Camel"
html_static_path = [str(HERE / "static")]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # it would fetch pages, which browsers refuse for files
html_math_renderer = "mathml"
html_context = {"site_licence": _PROJECT["license"]}


def _write_math(translator: Any, node: nodes.math) -> None:
    """Write a formula as MathML, which browsers show without a script."""
    is_block = isinstance(node, nodes.math_block)
    translator.body.append(tex2mathml(node.astext(), as_block=is_block))
    raise nodes.SkipNode


def setup(app: Any) -> None:
    """Register the renderer of formulas."""
    app.add_html_math_renderer("mathml", (_write_math, None), (_write_math, None))
