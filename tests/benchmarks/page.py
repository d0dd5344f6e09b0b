"""The tables of a page, each between two markers and replaced as a whole."""

import re
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.measure import Row, Table


def replace(page: Path, part: str, tables: Sequence[Table], heading: str) -> bool:
    """Write the tables of one part into a page, between "<!-- benchmark: PART -->" and "<!-- end -->".

    Returns whether the page has a place for them.

    Args:
        page: A Markdown file.
        part: The name in the marker.
        tables: What stands there afterwards.
        heading: A line above them: the command and the machine.
    """
    pattern = re.compile(rf"(<!-- benchmark: {re.escape(part)} -->\n).*?(<!-- end -->)", re.DOTALL)
    body = "\n".join([heading, "", *(markdown(table) for table in tables)])
    text, places = pattern.subn(lambda match: match[1] + body + match[2], page.read_text())
    if places:
        page.write_text(text)
    return places > 0


def markdown(table: Table) -> str:
    """Return a table in Markdown, with what was skipped below it."""
    with_ratio = any(row.ratio is not None for row in table.rows)
    with_p95 = any(row.p95 is not None for row in table.rows)
    head = [table.title, "median", *(["p95"] if with_p95 else []), *(["ratio", "quartiles"] if with_ratio else [])]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(_cells(row, with_ratio=with_ratio, with_p95=with_p95)) + " |" for row in table.rows]
    notes = [f"Ratios are over {table.over}."] if with_ratio else []
    notes += [f"Skipped: {reason}." for reason in table.skipped]
    return "\n".join([*lines, "", *([" ".join(notes), ""] if notes else [])])


def _cells(row: Row, *, with_ratio: bool, with_p95: bool) -> list[str]:
    is_command = row.what.startswith(("vaegen ", "python ", "model.")) and "batch" not in row.what
    what = f"`{row.what}`" if is_command else row.what
    cells = [what, f"{_number(row.value)} {row.unit}"]
    if with_p95:
        cells.append("" if row.p95 is None else f"{_number(row.p95)} {row.unit}")
    if with_ratio:
        cells.append("" if row.ratio is None else f"{row.ratio:.2f}")
        cells.append("" if row.low is None else f"{row.low:.2f} to {row.high:.2f}")
    return cells


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
