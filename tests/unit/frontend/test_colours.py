"""What the colours of the pages mean, and that letters on them can be read."""

import colorsys
import re
from pathlib import Path

import pytest

TOKENS = Path(__file__).parents[3] / "frontend" / "tokens.css"
LIGHT, DARK = (
    dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", text.replace("#fff;", "#ffffff;")))
    for text in TOKENS.read_text(encoding="utf-8").split("@media screen")
)
#: In the order of the features, which is how they stand beside one another.
SHADES = ("balance", "purchases", "cash", "limit", "payments")
SECOND = {"purchases", "limit"}


def _channels(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return red, green, blue


def _luminance(colour: str) -> float:
    """Return WCAG 2.2's relative luminance."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in _channels(colour)]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _contrast(one: str, other: str) -> float:
    darker, lighter = sorted([_luminance(one), _luminance(other)])
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("tokens", [LIGHT, DARK], ids=["light", "dark"])
def test_shares_are_shades_of_one_colour_since_the_others_mean_outcomes(
    tokens: dict[str, str],
) -> None:
    shades = [tokens[f"segment-{name}"] for name in SHADES]
    hues = [colorsys.rgb_to_hls(*_channels(shade))[0] * 360 for shade in shades]
    assert all(190 <= hue <= 210 for hue in hues), hues
    assert all(_contrast(*pair) > 2 for pair in zip(shades, shades[1:], strict=False))
    for name, shade in zip(SHADES, shades, strict=True):
        text = tokens["segment-text-second" if name in SECOND else "segment-text"]
        assert _contrast(text, shade) >= 4.5, name
