"""Every text on a page can be read: WCAG 2 AA, on the light side and on the dark one."""

import re
from importlib.resources import files

import pytest

TEXTS = ("ink", "muted", "line", "good", "warning", "bad", "neutral")
GROUNDS = ("paper", "sheet")
CONTRAST_MIN = 4.5
STYLE = files("services.reports").joinpath("templates", "page.css").read_text("utf-8")


def colours(side: int) -> dict[str, str]:
    """The named colours: 0 of the light side, 1 of the dark one."""
    block = re.findall(r":root \{(.*?)\n\s*\}", STYLE, re.DOTALL)[side]
    return dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))


def luminance(colour: str) -> float:
    """As WCAG 2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("text", TEXTS)
def test_text_stands_out_from_its_ground(side: int, ground: str, text: str) -> None:
    named = colours(side)
    lighter, darker = sorted((luminance(named[text]), luminance(named[ground])), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= CONTRAST_MIN
