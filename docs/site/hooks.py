"""What MkDocs calls while it builds the site (its `hooks`): see https://www.mkdocs.org/user-guide/configuration/#hooks.

Owns which files beside docs/ are pages too. Only translates: links and navigation are decided in files of their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docs.site.links import DOCS, anchor, rewritten
from docs.site.navigation import expanded

BESIDE: Final = {
    "CHANGELOG.md": "changelog.md",
    "CODE_OF_CONDUCT.md": "code-of-conduct.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "reporting.md",
    "charts/purelb/README.md": "chart.md",
    "kubectl_purelb/README.md": "kubectl-purelb.md",
    "kubedouble/README.md": "kubedouble.md",
    "lab/README.md": "lab-library.md",
    "memberlist/README.md": "memberlist.md",
}
"""Pages that are no files of docs/, and where they are on the site."""
FOUND_FIRST: Final = {"troubleshooting.md"}
"""Pages that a search shows before others with the same words."""
FRONT: Final = {"README.md": "index.md"}
"""The site has a first page of its own."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Headings are linked to by the names that forges give them, and the navigation has what there is."""
    config.mdx_configs["toc"]["slugify"] = lambda heading, separator: anchor(heading)
    pages = [str(file.relative_to(config.docs_dir)) for file in Path(config.docs_dir).rglob("*.md")]
    config.nav = expanded(config.nav or [], [*pages, *BESIDE.values()])
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The files beside docs/ are pages."""
    root = Path(config.docs_dir).parent
    for source, page in BESIDE.items():
        files.append(File.generated(config, page, content=(root / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links between files become links between pages."""
    pages = {f"{DOCS}/{file.src_uri}": file.src_uri for file in files.documentation_pages()} | BESIDE | FRONT
    sources = {site: source for source, site in BESIDE.items()}
    source = sources.get(page.file.src_uri, f"{DOCS}/{page.file.src_uri}")
    if page.is_homepage:
        page.meta["hide"] = ["toc"]  # its table is wide
    if page.file.src_uri in FOUND_FIRST:
        page.meta["search"] = {"boost": 8}
    view = f"{config.repo_url.rstrip('/')}/blob/main/" if config.repo_url else ""
    return rewritten(markdown, source, pages, view)
