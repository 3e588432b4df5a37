"""Build the site from the committed results: `python -m docs.site.build`.

Then open site/index.html in a browser; no server is needed. The site needs the packages of the
extra `site`, and neither torch nor this project's package.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from docs.site.checks import check_site
from docs.site.links import EXTRA, LinkError
from docs.site.pages import write_sources
from sphinx.cmd.build import build_main

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent


def build(root: Path, target: Path) -> list[str]:
    """Build the site of the repository `root` into the folder `target`; return its problems.

    Sphinx treats each of its warnings as an error. An earlier site is replaced, unless it fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        # MyST-NB writes notebooks beside the HTML, into jupyter_execute
        source, built = Path(folder, "source").resolve(), Path(folder, "built/html")
        try:
            write_sources(root, source)
        except LinkError as error:
            return [str(error)]
        options = ["-b", "html", "-q", "-W", "--keep-going", "-d", f"{folder}/doctrees"]
        options += ["-c", str(HERE), "-D", f"html_extra_path={source / EXTRA}"]
        if build_main([*options, str(source), str(built)]):
            return ["Sphinx has warnings or errors; they are printed above"]
        shutil.rmtree(target, ignore_errors=True)
        shutil.move(built, target)
    return list(check_site(target.resolve()))


def main() -> int:
    """Build the site, print its problems, and return 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--target", type=Path, default=ROOT / "site", help="folder of the site")
    target = parser.parse_args().target
    problems = build(ROOT, target)
    print("\n".join(problems) or f"open {target / 'index.html'} in a browser")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
