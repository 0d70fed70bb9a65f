"""Renders the man pages from these documents:  python3 docs/man/render.py FOLDER

A table that fills a wide screen cannot be read in a terminal's 80 columns, so that each becomes a list here:
its first column names, the last explains, and what stands between (a default, mostly) is in brackets.
"""

from __future__ import annotations

import sys
from pathlib import Path

from docutils import nodes
from docutils.core import publish_file
from docutils.readers import standalone
from docutils.transforms import Transform
from docutils.writers import manpage

SOURCES = Path(__file__).parent


class TablesAsLists(Transform):  # type: ignore[misc]  # docutils has no types everywhere
    default_priority = 850

    def apply(self) -> None:
        for table in list(self.document.findall(nodes.table)):
            items = map(_item, table.findall(nodes.row))
            table.replace_self(nodes.definition_list("", *items))


class Reader(standalone.Reader):  # type: ignore[misc]
    def get_transforms(self) -> list[type[Transform]]:
        return [*super().get_transforms(), TablesAsLists]


def render(source: Path, target: Path) -> None:
    """Make one page. Raises `docutils.utils.SystemMessage` for whatever is wrong in it."""
    settings = {"halt_level": 2, "input_encoding": "utf-8", "output_encoding": "utf-8"}
    publish_file(
        source_path=str(source),
        destination_path=str(target),
        reader=Reader(),
        writer=manpage.Writer(),
        settings_overrides=settings,
    )


def _item(row: nodes.row) -> nodes.definition_list_item:
    name, *between, explanation = (list(entry.children) for entry in row.children)
    term = nodes.term("", "", *_inline(name))
    for cell in filter(None, between):
        term.extend([nodes.Text(" ("), *_inline(cell), nodes.Text(")")])
    return nodes.definition_list_item("", term, nodes.definition("", *explanation))


def _inline(cell: list[nodes.Node]) -> list[nodes.Node]:
    return [node for paragraph in cell for node in paragraph.children]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for page in sorted(SOURCES.glob("*.rst")):
        render(page, folder / page.stem)
