"""Figures as a page: tables with ratios against each peer."""

import os
import platform
import time


def write(figures, revision, rounds, quick, goals, picture):
    how = "`make bench-quick`: a tenth of the work, one round" if quick else f"`make bench`, the least of {rounds} round{'s' * (rounds > 1)}"
    lines = [
        "# What Tyto costs, beside others",
        "",
        f"{how}, {f'at {revision}, ' if revision else ''}{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, {platform.machine()}. Lower is better; a ratio is Tyto's figure over the "
        "peer's. Tyto's write-ahead log is fsync'd before each answer; durability of the peers is theirs. [bench/](../bench) says what is sent and asked.",
    ]
    if goals:
        met = sum(goal.ratio <= goal.must for goal in goals)
        lines += ["", "## Goals", "", f"{met} of {len(goals)} are met.", "", f"![each goal as a bar]({picture})", ""]
        lines += ["| | beside | ratio | must | |", "|---|---|---:|---:|---|"]
        for goal in goals:
            verdict = "met" if goal.ratio <= goal.must else "**not met**"
            lines.append(f"| {goal.area.split(':')[0].split(',')[0]}: {goal.figure} | {goal.peer} | {goal.ratio:.2f} | {goal.must:.2f} | {verdict} |")
    for area, rows in figures.areas.items():
        stores = list(dict.fromkeys(store for row in rows.values() for store in row))
        peers = [store for store in stores if not store.startswith("tyto")]
        lines += ["", f"## {area[0].upper() + area[1:]}", ""]
        lines.append("| | " + " | ".join(stores) + " | " + " | ".join(f"tyto / {peer}" for peer in peers) + " |")
        lines.append("|---|" + "---:|" * (len(stores) + len(peers)))
        for figure, row in rows.items():
            cells = [number(row.get(store)) for store in stores]
            ratios = [f"{row['tyto'] / row[peer]:.2f}" if row.get(peer) and "tyto" in row else "" for peer in peers]
            lines.append(f"| {figure} | " + " | ".join(cells + ratios) + " |")
    lines += ["", "## Answers", ""]
    lines += [f"- {note}" for note in figures.notes] or ["All answers that were compared are equal by value."]
    return "\n".join(lines) + "\n"


def number(value):
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
