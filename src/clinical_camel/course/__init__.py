"""The course: drawings of the method and slides from the executed notebooks.

svg         a page of an SVG drawing: boxes, arrows and text that fit, light and dark
drawings    the six drawings of docs/drawings
slides      the slides: one offline HTML file per notebook
"""
