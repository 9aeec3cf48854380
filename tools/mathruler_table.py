#!/usr/bin/env python3
"""Asks mathruler 0.1.0 about every pair of crates/grade/tests/mathruler.jsonl and writes its verdicts there, and
the list of disagreements into docs/grader.md. Uses no network.

    python3 -m venv /tmp/mathruler
    /tmp/mathruler/bin/pip install mathruler==0.1.0 sympy==1.13.3 pylatexenc==2.10 tqdm
    /tmp/mathruler/bin/python tools/mathruler_table.py            # --check: fail if anything would change

A line is {"kind", "given", "truth", "mathruler"}, and "reason" where this project's grader says the opposite.
The test crates/grade/tests/grade/mathruler.rs holds the grader to the table. To add a pair, write a line with any
verdict and run this.
"""

import json
import sys
from pathlib import Path

from mathruler.grader import grade_answer

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "crates/grade/tests/mathruler.jsonl"
PAGE = ROOT / "docs/grader.md"
MARK = "<!-- from here on written by tools/mathruler_table.py -->\n"


def main(check: bool) -> None:
    rows = [json.loads(line) for line in TABLE.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        row["mathruler"] = bool(grade_answer(row["given"], row["truth"]))
    lines = [json.dumps({key: row[key] for key in ORDER if key in row}, ensure_ascii=False) for row in rows]
    files = {TABLE: "".join(line + "\n" for line in lines)}
    head, mark, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
    if not mark:
        raise SystemExit(f"{PAGE} has no line {MARK!r}")
    files[PAGE] = head + MARK + listing(rows)
    for path, text in files.items():
        if check and path.read_text(encoding="utf-8") != text:
            raise SystemExit(f"{path} is not what this script writes; run it without --check")
        if not check:
            path.write_text(text, encoding="utf-8", newline="\n")


ORDER = ["kind", "given", "truth", "mathruler", "reason"]


def listing(rows) -> str:
    """Every disagreement, under its reason, reasons in the order of the table."""
    reasons = {}
    for row in rows:
        if "reason" in row:
            reasons.setdefault(row["reason"], []).append(row)
    count = sum(len(found) for found in reasons.values())
    text = f"\n{len(rows)} pairs, {count} disagreements for {len(reasons)} reasons.\n"
    for reason, found in reasons.items():
        text += f"\n**{reason}**\n\n"
        for row in found:
            sign = "=" if not row["mathruler"] else "≠"
            text += f"- {code(row['given'])} {sign} {code(row['truth'])}\n"
    return text


def code(text: str) -> str:
    """`text` as code in Markdown, whatever it holds."""
    shown = json.dumps(text, ensure_ascii=False)[1:-1].replace("\\\\", "\\").replace('\\"', '"') or " "
    fence = "``" if "`" in shown else "`"
    pad = " " if "`" in shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--check"]):
        raise SystemExit(__doc__)
    main(bool(sys.argv[1:]))
