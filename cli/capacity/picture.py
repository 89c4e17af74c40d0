"""The measurements of a server's capacity as an SVG picture. Pure."""

from collections.abc import Callable, Sequence
from html import escape
from typing import Final

from cli.capacity.steps import Level

_WIDTH: Final = 640
_HEIGHT: Final = 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 34, 30
_STYLE: Final = (
    "text{font:12px sans-serif;fill:#333}.t{font-weight:bold}.a{stroke:#999}.l{stroke:#b00020;"
    "stroke-dasharray:5 4}.v{stroke:#0b57d0;fill:none;stroke-width:2}.k{fill:#0b57d0}"
    ".f{fill:#b00020}"
)

type Chart = tuple[str, Callable[[Level], float], float]


def svg(title: str, levels: Sequence[Level], charts: Sequence[Chart], failed: set[int]) -> str:
    """Draw charts below each other.

    Args:
        title: of the picture.
        levels: the measurements, in any order.
        charts: of each one its title, its value, and the limit of its value.
        failed: the numbers of sessions with which the server did not keep up.
    """
    ordered = sorted(levels, key=lambda level: level.sessions)
    height = _HEIGHT * len(charts) + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" role="img">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        f'<text class="t" x="{_LEFT}" y="18">{escape(title)}</text>',
    ]
    for number, chart in enumerate(charts):
        parts.append(f'<g transform="translate(0 {24 + number * _HEIGHT})">')
        parts += _chart(ordered, chart, failed)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>"]) + "\n"


def _chart(levels: Sequence[Level], chart: Chart, failed: set[int]) -> list[str]:
    title, value, limit = chart
    most = max(level.sessions for level in levels)
    top = 1.15 * max(limit, *(value(level) for level in levels), 1e-9)
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def x(sessions: int) -> float:
        return round(_LEFT + (right - _LEFT) * sessions / most, 1)

    def y(each: float) -> float:
        return round(bottom - (bottom - _TOP) * each / top, 1)

    points = [(x(level.sessions), y(value(level)), level.sessions) for level in levels]
    line = " ".join(f"{a},{b}" for a, b, _ in points)
    return [
        f'<text x="{_LEFT}" y="{_TOP - 10}">{escape(title)}</text>',
        f'<path class="a" d="M{_LEFT} {_TOP}V{bottom}H{right}" fill="none"/>',
        f'<path class="l" d="M{_LEFT} {y(limit)}H{right}"/>',
        f'<text x="{_LEFT - 6}" y="{y(limit) + 4}" text-anchor="end">{limit:.2g}</text>',
        f'<text x="{_LEFT - 6}" y="{bottom + 4}" text-anchor="end">0</text>',
        f'<polyline class="v" points="{line}"/>',
        *(
            f'<circle class="{"f" if n in failed else "k"}" cx="{a}" cy="{b}" r="4"/>'
            f'<text x="{a}" y="{bottom + 18}" text-anchor="middle">{n}</text>'
            for a, b, n in points
        ),
    ]
