"""A second reading of OKR documents, to judge the first: line by line, by patterns.

It shares nothing with the importer, which reads CommonMark.
"""

import re
from collections import Counter

HEADING = re.compile(r"#+ (.+?)\s*$")
LINE = re.compile(r"\s*[-*] (?:\[(.)\] )?(.*?)\s*$")
LINK_ALONE = re.compile(r"\[.*\]\([^\s()]*\)")
UNDATED = "# Objectives & Key Results at source{d}"
READ_BY_HEADING = {
    "# OKRs 2018 Q3": "2018-Q3",
    "# OKRs 2018 Q4": "2018-Q4",
    "# OKRs 2019 Q1": "2019-Q1",
}

Lines = Counter[tuple[str, str, str]]


def judged(markdown: str) -> Lines:
    """Every line of a list: its heading, its text and its mark."""
    found: Lines = Counter()
    heading = ""
    for line in markdown.splitlines():
        if above := HEADING.match(line):
            heading = above[1]
        elif (item := LINE.match(line)) and item[2]:
            box, text = item.groups()
            if box is not None or not LINK_ALONE.fullmatch(text):
                mark = {"x": "done", "X": "done", "~": "begun"}.get(box or "", "open")
                found[heading, text, mark] += 1
    return found


def running_quarter(readme: str | None) -> str | None:
    title = (readme or "").partition("\n")[0]
    if title == UNDATED and "\n* " in (readme or ""):
        return "2018-Q2"
    return READ_BY_HEADING.get(title)
