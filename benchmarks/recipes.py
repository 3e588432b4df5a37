"""Can every recipe be trained? Some steps of each, on a small random base of its architecture.

    python -m benchmarks.recipes                               # all studies, a few minutes
    python -m benchmarks.recipes clinical_camel_70b

What is reduced is in `tests/support/toy_recipes.py`. A row of results/recipes.csv describes what
was trained; a second run on a similar machine gives the same row.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.tables import RESULTS, append
from tests.support.toy_recipes import list_studies, try_recipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="*", default=list_studies())
    studies = parser.parse_args().studies
    (RESULTS / "recipes.csv").unlink(missing_ok=True)
    for study in studies:
        with tempfile.TemporaryDirectory() as folder:
            append("recipes", try_recipe(study, Path(folder)))


if __name__ == "__main__":
    main()
