"""Names of Dash's callbacks: all come in by one path, and the body says which one is asked.

``{"output": "graph.figure", …}`` becomes ``/_dash-update-component/graph.figure``. The output is the page's word, so the
names are bounded like those made from paths.
"""

from __future__ import annotations

import json
import re
from typing import Optional

UPDATE_PATH = "/_dash-update-component"
MOST_READ = 64 << 10
"""How much of a body is kept to find the output: Dash writes it first."""

_OUTPUT = re.compile(rb'"output"\s*:\s*("(?:[^"\\]|\\.)*")')
_HASH = re.compile(r"@?[0-9a-f]{64}")


def output_in(body: bytes) -> Optional[str]:
    """Return the output that the beginning of a callback's body names, None where it names none."""
    match = _OUTPUT.search(body)
    if match is None:
        return None
    try:
        found = json.loads(match.group(1))
    except ValueError:
        return None
    return found if isinstance(found, str) else None


def callback_name(output: str) -> str:
    """Return the readable form of an output.

    - ``..graph.figure...title.children..`` (several outputs): ``graph.figure,title.children``
    - ``{"index":3,"type":"filter"}.value`` (pattern matching): ``filter[index].value``
    - ``graph.figure@2f…`` (allow_duplicate): ``graph.figure``
    - a hash alone (no output): ``{id}``
    """
    several = output.startswith("..") and output.endswith("..") and len(output) > 4
    parts = output[2:-2].split("...") if several else [output]
    return ",".join(map(_part_name, parts))


def _part_name(part: str) -> str:
    name = _HASH.sub("", part)
    component, _, prop = name.rpartition(".")
    if not component:
        return name or "{id}"
    if component.startswith("{"):
        component = _pattern_name(component)
    return f"{component}.{prop}".replace("\\.", ".")


def _pattern_name(component: str) -> str:
    """Name a component whose id is an object: its type, and which other members tell it apart."""
    try:
        members = json.loads(component.replace("\\.", "."))
    except ValueError:
        return "{id}"
    if not isinstance(members, dict):
        return "{id}"
    others = ",".join(sorted(name for name in members if name != "type"))
    return f"{members.get('type', '')}[{others}]"
