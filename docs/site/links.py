"""Links of the repository as links of the site.

A page of the repository (README.md, docs/exams.md, an executed notebook) links to other files of
the repository. On the site, such a link leads to the page that shows this file, or to a copy of the
file. A link to a folder leads to a page that lists its files. So the site needs no server and no
repository.
"""

import html
import posixpath
import re
import shutil
import subprocess
from pathlib import Path, PurePosixPath
from urllib.parse import quote

# a code span, which is left as it is, or the target of a link or image
_LINK = re.compile(
    r"(?P<code>(?<!`)(`+)(?!`).+?(?<!`)\2(?!`))|\]\((?P<target>[^)\s]+)\)", re.DOTALL
)
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,}).*?^ {0,3}\1[`~]*[ \t]*$", re.DOTALL | re.MULTILINE)
_NOT_RELATIVE = re.compile(r"[a-z][a-z0-9+.-]*:|#|//", re.IGNORECASE)
SHOWN_AS_TEXT = {
    ".md",
    ".ipynb",
    ".py",
    ".yaml",
    ".toml",
    ".jsonl",
    ".lock",
    "",
}  # browsers would offer to save it
EXTRA = "extra"  # the folder of the sources that Sphinx copies as it is


class LinkError(ValueError):
    """A link of a page leads to nothing."""


class Links:
    """The pages of the site, by the file or folder of the repository that each shows."""

    def __init__(self, root: Path, source: Path, pages: dict[str, str], repository: str) -> None:
        """`pages`: source of a page of the site by path in the repository.

        `source`: the folder of the site's sources, into which linked files are copied.
        `repository`: the address of the repository, or "".
        """
        self.root, self.source, self.pages = root, source, pages
        self.repository = repository.rstrip("/")

    def move_markdown(self, text: str, place: str, page: str) -> str:
        """Return the Markdown text of the repository's file `place` with the links of `page`.

        Code is not changed. Raises LinkError for a relative link to a file that does not exist.
        """
        parts, end = [], 0
        for fence in _FENCE.finditer(text):
            parts += [self._move_prose(text[end : fence.start()], place, page), fence[0]]
            end = fence.end()
        return "".join([*parts, self._move_prose(text[end:], place, page)])

    def _move_prose(self, text: str, place: str, page: str) -> str:
        def move(match: re.Match[str]) -> str:
            if match["code"] is not None or _NOT_RELATIVE.match(match["target"]):
                return match[0]
            moved, anchor = self._find(match["target"], place)
            return f"]({_relative(moved, page)}{anchor})"

        return _LINK.sub(move, text)

    def move_html(self, text: str, place: str, page: str) -> str:
        """Return the HTML of an output of a notebook with the links of the built site.

        The code of a notebook may write links as they are in notebooks/: that is tried second.
        """

        def move(match: re.Match[str]) -> str:
            target = html.unescape(match[1])
            if _NOT_RELATIVE.match(target):
                return match[0]
            try:
                moved, anchor = self._find(target, place, EXTRA)
            except LinkError:
                moved, anchor = self._find(target, f"notebooks/{Path(place).name}", EXTRA)
            moved = re.sub(r"\.(md|ipynb)$", ".html", moved.removeprefix(f"{EXTRA}/"))
            return f'href="{html.escape(_relative(moved, page) + anchor)}"'

        return re.sub(r'href="([^"]*)"', move, text)

    def _find(self, target: str, place: str, folder: str = "") -> tuple[str, str]:
        """Return the page or the copied file that a link leads to, and the anchor with its #.

        A folder without a page gets one.
        """
        name, _, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(place), name))
        if path.startswith(("..", "/")) or not (self.root / path).exists():
            raise LinkError(f"{place}: {target}: no such file")
        page = self.pages.get(path) or self.pages.get(f"{path}/README.md", "")
        if page:
            return page, f"#{anchor}" if anchor else ""
        is_folder = (self.root / path).is_dir()
        return self._write_folder(path) if is_folder else self._copy(path, folder), ""

    def link_file(self, path: str, page: str) -> str:
        """Return the link from a page to a file of the repository, or to the page that shows it."""
        return _relative(self._find(path, "")[0], page)

    def _copy(self, path: str, folder: str) -> str:
        """Copy a file into the site and return its place."""
        original = self.root / path
        ending = ".txt" if PurePosixPath(path).suffix in SHOWN_AS_TEXT else ""
        name = posixpath.join(folder, "files", f"{path}{ending}")
        copy = self.source / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(original, copy)
        return name

    def _write_folder(self, path: str) -> str:
        """Write a page with links to the files of a folder, copy them, and return its place."""
        page = posixpath.join("files", path, "index.md")
        lines = []
        for name in self._list_files(path):
            place = _relative(self._find(f"{path}/{name}", "")[0], page)
            lines.append(f"- [`{name}`]({quote(place)})\n")
        (self.source / page).parent.mkdir(parents=True, exist_ok=True)
        text = f"---\norphan: true\n---\n\n# {path}\n\n{''.join(lines)}"
        (self.source / page).write_text(text, encoding="utf-8")
        return page

    def _list_files(self, path: str) -> list[str]:
        """Return the names of a folder's files, without folders in it.

        In a git repository these are the committed ones: others may quote texts that must not be
        published.
        """
        command = ["git", "-C", str(self.root), "ls-files", "--", path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        files = sorted(file.name for file in (self.root / path).iterdir() if file.is_file())
        if done.returncode:
            return files
        committed = done.stdout.splitlines()
        return [name for name in files if f"{path}/{name}" in committed]

    def link_colab(self, path: str) -> str:
        """Return the Markdown link that opens a notebook on Colab; "" if it is not on GitHub."""
        match = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+?)(\.git)?", self.repository)
        address = f"https://colab.research.google.com/github/{match[1]}/blob/main" if match else ""
        return f"[open the notebook on Google Colab]({address}/{path})" if match else ""

    def link_commit(self, commit: str) -> str:
        """Return a commit as a Markdown link, or as text if the repository has no address."""
        short = f"`{commit[:7]}`"
        address = f"{self.repository}/commit/{quote(commit)}"
        return f"[{short}]({address})" if self.repository else short


def _relative(place: str, page: str) -> str:
    return posixpath.relpath(place, posixpath.dirname(page) or ".")
