"""Read Vega-Lite objects: the data behind the marks, and the titles of the axes."""

from collections.abc import Iterator
from typing import Any


def parts(value: object) -> Iterator[dict[str, Any]]:
    """Yields a chart and all objects inside it, without the rows of data."""
    if isinstance(value, dict):
        yield value
        for key, inner in value.items():
            if key not in ("values", "datasets"):
                yield from parts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from parts(inner)


def rows_of(chart: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """Returns the distinct rows of data that have a key."""
    found: list[dict[str, Any]] = []
    inline = [part.get("values") for part in parts(chart)]
    for values in (*chart.get("datasets", {}).values(), *inline):
        if isinstance(values, list):
            found += [row for row in values if isinstance(row, dict) and key in row]
    return [row for place, row in enumerate(found) if row not in found[:place]]


def axis_titles(chart: dict[str, Any]) -> set[str]:
    """Returns the titles of all quantitative x and y axes, first lines only.

    Raises:
        AssertionError: No mark on a quantitative axis names it.
    """
    titles: set[str] = set()
    named: dict[str, bool] = {}
    for part in parts(chart):
        for channel in ("x", "y"):
            encoding = (part.get("encoding") or {}).get(channel, {})
            if encoding.get("type") != "quantitative" or encoding.get("axis", "") is None:
                continue
            title = encoding.get("title")
            named[channel] = named.get(channel, False) or title is not None
            if title:
                titles.add(title if isinstance(title, str) else title[0])
    assert all(named.values()), named
    return titles


def literal_colours(chart: dict[str, Any]) -> set[str]:
    """Returns colours in a chart, which would be the same on light and on dark pages."""
    found = set()
    for part in parts(chart):
        for key in ("color", "fill", "stroke"):
            value = part.get(key)
            if isinstance(value, str):
                found.add(value)
            elif isinstance(value, dict) and isinstance(value.get("value"), str):
                found.add(value["value"])
    return found
