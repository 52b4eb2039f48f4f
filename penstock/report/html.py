"""The pieces of a report's HTML: escaped text, numbers, tables, and any JSON document as tables."""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

DEPTH = 4
"""How deep a document is unfolded; what lies below is left to the JSON file."""
ROWS = 200
"""Rows of a table that has no limit of its own."""
SENTENCE = 40
"""Characters from which a cell is a sentence."""


class Html(str):
    """Text that is HTML already; everything else is escaped where it is put in."""

    __slots__ = ()


def text(value: Any) -> Html:
    """A value as HTML: numbers with as many digits as they need, nothing as a dash, anything else escaped."""
    if isinstance(value, Html):
        return value
    if value is None:
        return Html("–")
    if isinstance(value, bool):
        return Html("yes" if value else "no")
    if isinstance(value, int | float):
        return Html(escape(number(value)))
    return Html(escape(str(value)))


def number(value: float) -> str:
    """A number for people: four decimals below a thousand, as the gates' sentences have them."""
    if isinstance(value, int) or not math.isfinite(value):
        return f"{value:,}"
    if value == 0 or 0.001 <= abs(value) < 1000:
        return f"{value:.4f}"
    if 1e-5 <= abs(value) < 0.001:
        return f"{value:.6f}"
    return f"{value:,.1f}" if 1000 <= abs(value) < 1e9 else f"{value:.3e}"


def brief(value: float) -> str:
    """A number without the zeros at its end."""
    said = number(value)
    return said.rstrip("0").rstrip(".") if "." in said and "e" not in said else said


def percent(share: float | None) -> str:
    """A share as per cent."""
    return "–" if share is None else f"{share:.1%}"


def tag(name: str, *content: Any, css: str = "") -> Html:
    """An element around its content."""
    about = f' class="{escape(css)}"' if css else ""
    return Html(f"<{name}{about}>{''.join(text(item) for item in content)}</{name}>")


def join(parts: Iterable[Any]) -> Html:
    """Parts after each other."""
    return Html("".join(text(part) for part in parts))


def code(value: Any) -> Html:
    """A name for machines: a digest, a key."""
    return tag("code", value)


def table(heads: Sequence[Any], rows: Iterable[Sequence[Any]]) -> Html:
    """A table that scrolls by itself where the page is narrow; its first column names the row."""
    found = [list(row) for row in rows]
    kinds = [_kind([row[index] for row in found]) for index in range(len(heads))]
    named = zip(heads, kinds, strict=True)
    head = tag("thead", tag("tr", *(Html(f'<th scope="col"{kind}>{text(item)}</th>') for item, kind in named)))
    body = tag("tbody", *(_row(row, kinds) for row in found))
    return Html(f'<div class="wide" tabindex="0"><table>{head}{body}</table></div>')


def _kind(cells: Sequence[Any]) -> str:
    """A column of numbers is aligned as one; one of sentences gets room for them."""
    given = [cell for cell in cells if cell is not None]
    if given and all(_is_number(cell) for cell in given):
        return ' class="number"'
    return ' class="words"' if any(isinstance(cell, str) and len(cell) > SENTENCE for cell in given) else ""


def _row(row: Sequence[Any], kinds: Sequence[str]) -> Html:
    cells = (Html(f"<td{kind}>{text(item)}</td>") for item, kind in zip(row[1:], kinds[1:], strict=True))
    return tag("tr", Html(f'<th scope="row">{text(row[0])}</th>'), *cells)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def facts(pairs: Iterable[tuple[str, Any]]) -> Html:
    """Names and what they stand for; those without a value are left out."""
    found = [(name, value) for name, value in pairs if value is not None]
    return tag("dl", *(join((tag("dt", name), tag("dd", value))) for name, value in found))


def section(title: str, *content: Any) -> Html:
    """A part of the report that can be folded; open, so that print has it too."""
    inside = join(content)
    if not inside:
        return Html("")
    return Html(f"<details open><summary><h2>{text(title)}</h2></summary>{inside}</details>")


def document(value: Any, depth: int = 0) -> Html:
    """Any JSON document: records as tables, the rest as lists; what is not known by name is shown all the same."""
    if depth >= DEPTH:
        return text("…")
    if isinstance(value, Mapping):
        return _mapping(value, depth)
    if isinstance(value, Sequence) and not isinstance(value, str):
        records = [item for item in value if isinstance(item, Mapping)]
        if records and len(records) == len(value):
            heads = _names(records)
            rows = [[_cell(item.get(name), depth + 1) for name in heads] for item in records[:ROWS]]
            return join((table([_words(name) for name in heads], rows), _more(len(records))))
        shown = [document(item, depth + 1) for item in value[:ROWS]]
        return join((Html(", ").join(shown), _more(len(value))))
    return text(value)


def _mapping(value: Mapping[str, Any], depth: int) -> Html:
    records = [item for item in value.values() if isinstance(item, Mapping)]
    if records and len(records) == len(value) and all(_flat(item) for item in records):
        heads = _names(records)
        rows = [[name, *(item.get(head) for head in heads)] for name, item in list(value.items())[:ROWS]]
        return join((table(["", *map(_words, heads)], rows), _more(len(value))))
    return facts((_words(name), document(item, depth + 1)) for name, item in value.items())


def _cell(value: Any, depth: int) -> Any:
    return document(value, depth) if isinstance(value, Mapping | list) else value


def _flat(record: Mapping[str, Any]) -> bool:
    return not any(isinstance(item, Mapping | list) for item in record.values())


def _names(records: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record))


def _words(name: str) -> str:
    return str(name).replace("_", " ")


def _more(count: int) -> Html:
    return tag("p", f"and {count - ROWS:,} more", css="note") if count > ROWS else Html("")
