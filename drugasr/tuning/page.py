"""Pages that open offline and ask the network for nothing: what all of them share. Their looks are in `page.html.j2`."""

import base64
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def environment_of(folder: Path) -> Environment:
    """Templates of `folder`, which may extend `page.html.j2`; everything that is set in is escaped."""
    environment = Environment(
        loader=FileSystemLoader([folder, Path(__file__).parent]), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": percent, "number": number, "data_uri": data_uri}
    return environment


def data_uri(flac: bytes) -> str:
    return f"data:audio/flac;base64,{base64.b64encode(flac).decode()}"


def plain(value: object) -> dict[str, Any]:
    """A fact for the end of a page: a dict or a list is shown as JSON, folded."""
    folded = isinstance(value, (Mapping, list, tuple))
    return {"folded": folded, "text": json.dumps(value, indent=2, ensure_ascii=False, default=str) if folded else str(value)}


def percent(value: float) -> str:
    return f"{100 * value:.1f} %" if math.isfinite(value) else "–"


def number(value: float, digits: int = 3) -> str:
    return f"{value:,.{digits}f}" if math.isfinite(value) else "–"
