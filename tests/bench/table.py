"""Results as aligned text."""

from __future__ import annotations

from collections.abc import Sequence

Cell = str | float | None


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """A titled table; numbers to three significant digits, None as a dash."""
    texts = [list(columns), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(row[place]) for row in texts) for place in range(len(columns))]
    lines = ["  ".join(_pad(row, widths)).rstrip() for row in texts]
    return "\n".join(["", title, lines[0], "-" * max(map(len, lines)), *lines[1:]])


def _pad(row: list[str], widths: list[int]) -> list[str]:
    first, *rest = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
    return [first.strip().ljust(widths[0]), *rest]


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, str):
        return cell
    return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
