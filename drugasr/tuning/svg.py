"""Plots as SVG text to set into a page: no pyplot, no fonts to load, readable on light and on dark.

Lines and letters of the axes take the colour of the page's text; the series have fixed colours of middle lightness.
"""

import re
from io import StringIO

import matplotlib
from matplotlib.figure import Figure

COLOURS = ("#2f81c7", "#e07b39", "#3a9d5d", "#c94f7c", "#8f6fd1", "#a38a1f", "#1fa3a3", "#d0504a", "#7a8793", "#b0689f")
"""Of the series."""

# matplotlib knows no `currentColor`: draw in a colour that nothing else uses, and put the word in its place.
TEXT = "#010203"
"""The colour of the page's text."""
STYLE = {
    "svg.fonttype": "none",  # letters stay letters: smaller, and they can be selected and read aloud
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "grid.alpha": 0.18,
    "axes.grid": True,
    "axes.axisbelow": True,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "grid.color"), TEXT
    ),
}


def to_svg(figure: Figure, name: str, description: str) -> str:
    """The figure as one `<svg>` element, its ids led by `name`, so that plots on a page do not mix them up."""
    figure.patch.set_alpha(0)
    for axes in figure.axes:
        axes.patch.set_alpha(0)
    text = StringIO()
    # A fixed salt gives the same bytes for the same trials; without metadata no date and no address is written.
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(text, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :].replace(TEXT, "currentColor")
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{description}"', 1)
