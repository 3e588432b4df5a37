"""The course: drawings of the method and slides from the executed notebooks.

svg         a page of an SVG drawing: boxes, arrows and text that fit, light and dark
drawings    the six drawings of docs/drawings
slides      the slides: one offline HTML file per notebook
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "drawings": ["DRAWINGS", "write_drawings"],
        "slides": ["make_slides", "write_slides"],
        "svg": ["Page"],
    },
)
