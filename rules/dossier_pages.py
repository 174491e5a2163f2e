"""A dossier is a title and chapters of plain words; here it becomes a page: Markdown, or HTML that needs nothing else.

Whatever stands in a chapter came from outside (a comment, a parameter, an answer of a service) and is only ever drawn
as text: in HTML all of it is escaped, no script and nothing from elsewhere may load, and text that turns the writing
direction stays inside its own cell.
"""

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rules.run_pages import literal, table

Rows = Sequence[Mapping[str, str]]
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 2rem auto; padding: 0 1rem;
  max-width: 76rem; }
h1 { font-size: 1.5rem; line-height: 1.3; } h2 { font-size: 1.1rem; margin-top: 2.2rem; }
table { border-collapse: collapse; min-width: 40%; font-size: 0.87rem; }
th, td { border: 1px solid #c9ced6; padding: 0.3rem 0.5rem; text-align: left; vertical-align: top;
  overflow-wrap: anywhere; }
td:first-child { overflow-wrap: break-word; } td:nth-child(2) { min-width: 9rem; }
th { background: #eef1f5; white-space: nowrap; }
h1, h2, p, li, td { unicode-bidi: isolate; } p, td { white-space: pre-wrap; }
@media print { body { margin: 0; max-width: none; font-size: 11px; } tr { break-inside: avoid; } }
"""


@dataclass(frozen=True, slots=True)
class Chapter:
    """Sentences, and below them one table. Every row has the same keys: the columns."""

    title: str
    sentences: tuple[str, ...] = ()
    rows: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Dossier:
    title: str
    chapters: tuple[Chapter, ...]
    """Those with nothing in them are left out."""


def markdown_page(dossier: Dossier) -> str:
    """The page as Markdown, ending with a line's end."""
    lines = [f"# {literal(dossier.title)}"]
    for chapter in dossier.chapters:
        lines += ["", f"## {literal(chapter.title)}"]
        lines += [line for sentence in chapter.sentences for line in ("", literal(sentence))]
        lines += table(chapter.rows)
    return "\n".join(lines) + "\n"


def html_page(dossier: Dossier) -> str:
    """The page as one HTML file, ending with a line's end."""
    title = escaped(dossier.title)
    head = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title><style>{STYLE}</style></head><body>",
        f"<h1>{title}</h1>",
    ]
    body = [line for chapter in dossier.chapters for line in _chapter(chapter)]
    return "\n".join([*head, *body, "</body></html>", ""])


def escaped(text: str) -> str:
    """As HTML shows it; what no page may contain (control characters, halves of a pair) becomes a visible sign."""
    return html.escape("".join(_shown(sign) for sign in text), quote=True)


def _shown(sign: str) -> str:
    half = "\ud800" <= sign <= "\udfff"
    control = (ord(sign) < ord(" ") and sign not in "\t\n") or "\x7f" <= sign <= "\x9f"
    return "\N{REPLACEMENT CHARACTER}" if half or control else sign


def _chapter(chapter: Chapter) -> Iterator[str]:
    yield f"<h2>{escaped(chapter.title)}</h2>"
    for sentence in chapter.sentences:
        yield f"<p>{escaped(sentence)}</p>"
    if chapter.rows:
        yield f"<table><thead>{_row('th', list(chapter.rows[0]))}</thead><tbody>"
        yield from (_row("td", [row.get(column, "") for column in chapter.rows[0]]) for row in chapter.rows)
        yield "</tbody></table>"


def _row(tag: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escaped(cell)}</{tag}>' for cell in cells)}</tr>"
