"""What MkDocs does with the pages of docs/ beside showing them: make docs.

The pages are written to be read in the repository, too. So they link to files outside docs/, which the site takes
along, and docs/library.md repeats docstrings, which mkdocstrings shows with their types instead.
"""

import posixpath
import re
from typing import Any

from library import CHAPTERS, INTRODUCTION, REPOSITORY
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

# Files of the repository that pages link to; those in Markdown are pages themselves.
TAKEN_ALONG = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "examples/library.ipynb")
CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<=\]\()(?!https?:|#)([^)#\s]+)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the files from outside docs/."""
    for name in TAKEN_ALONG:
        files.append(File.generated(config, name, abs_src_path=str(REPOSITORY / name)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Return the page with links as the site has its files."""
    name = page.file.src_uri
    if name == "library.md":
        markdown = library()
    folder = posixpath.dirname(name if name in TAKEN_ALONG else f"docs/{name}")

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, link[1]))
        in_docs = target.startswith("docs/") and target.removeprefix("docs/") not in TAKEN_ALONG
        if not in_docs and target not in TAKEN_ALONG:
            target = f"../{target}"  # the site has no such file, which MkDocs says
        return posixpath.relpath(target.removeprefix("docs/"), posixpath.dirname(name))

    texts = CODE.split(markdown)
    texts[::2] = [LINK.sub(moved, text) for text in texts[::2]]
    return "".join(texts)


def library() -> str:
    """Return the page of the library, with a name where mkdocstrings puts what it finds in the code."""
    parts = [INTRODUCTION]
    for chapter in CHAPTERS:
        module = f"equipoise.{chapter.module.removesuffix('.py').replace('/', '.')}"
        function, *others = chapter.names if chapter.title == f"eq.{chapter.names[0]}" else ("", *chapter.names)
        parts.append(_found(f"equipoise.{function}", chapter.title) if function else f"## {chapter.title}")
        parts += [f"::: {module}.{name}" for name in others]
    return "\n\n".join([*parts, _found("equipoise.losses", "eq.losses")])


def _found(name: str, title: str) -> str:
    return f"::: {name}\n    options:\n      heading: {title}\n      toc_label: {title}\n      heading_level: 2"
