"""A hook of MkDocs: the site has the layout of the repository.

README.md is the home page and every other page keeps its path, so that one relative link works on
a code host and on the site. What the pages link to besides (examples, schema files, pictures) is
copied as it is. A link to a folder leads nowhere on a site, so pages link to files.
"""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "README.md", "SPEC.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md",
    "SECURITY.md", "bench/RESULTS.md",
)  # fmt: skip
WIDE = ("README.md", "docs/comparison.md", "bench/RESULTS.md")  # no navigation beside the text
ASSETS = ("LICENSE", "bench/*.svg", "examples/*.py", "schema/*")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Move the files of docs/ to where they are in the repository, and add those outside it."""
    docs = Path(config.docs_dir)
    theme = [file for file in files if not _is_in(docs, file)]
    paths = [file.abs_src_path for file in files if _is_in(docs, file)]
    paths += [ROOT / page for page in PAGES]
    paths += [path for pattern in ASSETS for path in sorted(ROOT.glob(pattern)) if path.is_file()]
    own = [
        File.generated(config, Path(path).relative_to(ROOT).as_posix(), abs_src_path=str(path))
        for path in map(Path, filter(None, paths))
    ]
    return Files(theme + own)


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Return a page without the second word of a fence, which marks SPEC.md's tested examples."""
    if page.file.src_uri in WIDE:
        page.meta["hide"] = ["navigation"]
    return re.sub(r"^(```\w+) \w+$", r"\1", markdown, flags=re.MULTILINE)


def _is_in(folder: Path, file: File) -> bool:
    return file.abs_src_path is not None and Path(file.abs_src_path).is_relative_to(folder)
