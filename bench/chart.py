"""The goals as a picture: a bar is own / peer, a tick is what it must not pass."""

import math
from xml.sax.saxutils import escape

ROW, TEXT, PLOT, LEFT, TOP = 20, 400, 440, 10, 44
LEAST, MOST = 0.05, 20.0
MET, MISSED, INK, FAINT = "#2f9e63", "#c9703a", "#30343b", "#b9bec7"


def place(ratio):
    """Where a ratio lies, on a scale on which half and twice are as far from one."""
    ratio = min(max(ratio, LEAST), MOST)
    return LEFT + TEXT + PLOT * math.log(ratio / LEAST) / math.log(MOST / LEAST)


def draw(goals):
    height = TOP + ROW * len(goals) + 12
    width = LEFT + TEXT + PLOT + 70
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="18" fill="{INK}" font-weight="600">Tyto\'s cost over the peer\'s: left of the tick is better than promised</text>',
    ]
    for ratio in (0.1, 0.25, 0.5, 1, 2, 4, 10):
        x = place(ratio)
        weight = "" if ratio == 1 else ' stroke-dasharray="2 4"'
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height - 8}" stroke="{FAINT}"{weight}/>')
        parts.append(f'<text x="{x:.1f}" y="{TOP - 10}" fill="{INK}" text-anchor="middle" font-size="11">{ratio:g}x</text>')
    for index, goal in enumerate(goals):
        y = TOP + ROW * index
        label = f"{goal.area.split(':')[0].split(',')[0]}: {goal.figure.split(',')[0]} / {goal.peer}"
        color = MET if goal.ratio <= goal.must else MISSED
        x, end, tick = place(LEAST), place(goal.ratio), place(goal.must)
        parts.append(f'<text x="{LEFT + TEXT - 8}" y="{y + 14}" fill="{INK}" text-anchor="end">{escape(label)}</text>')
        parts.append(f'<rect x="{x:.1f}" y="{y + 4}" width="{max(end - x, 1):.1f}" height="{ROW - 8}" fill="{color}"/>')
        parts.append(f'<line x1="{tick:.1f}" x2="{tick:.1f}" y1="{y + 1}" y2="{y + ROW - 1}" stroke="{INK}" stroke-width="2"/>')
        parts.append(f'<text x="{max(end, tick) + 6:.1f}" y="{y + 14}" fill="{INK}" font-size="11">{goal.ratio:.2f}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
