"""Small line charts in one SVG, with nothing but the standard library."""
from xml.sax.saxutils import escape

W, H, LEFT, BOTTOM, TOP, RIGHT = 460, 270, 52, 46, 34, 84
COLOURS = {"fp32": "#2458a6", "int8": "#c2571a", "worker": "#2458a6",
           "command": "#7a7a7a"}


class Panel:
    """Images a second over xs; evenly spaced, so labels may be words."""

    def __init__(self, title, axis, xs, joined=True):
        self.title, self.axis, self.xs = title, axis, xs
        self.joined, self.curves = joined, []

    def add(self, name, values):
        self.curves.append((name, values))

    def top(self):
        """A round number above all values."""
        most = max(v for _, vs in self.curves for v in vs if v)
        step = 10 ** (len(str(int(most))) - 1)
        while most > 10 * step or most / step < 2:
            step = step * 10 if most > 10 * step else step / 2
        return step * (int(most / step) + 1), step

    def draw(self, x0, y0):
        top, step = self.top()
        wide, high = W - LEFT - RIGHT, H - TOP - BOTTOM
        space = wide / max(len(self.xs) - 1, 1)

        def at(i, v):
            return (x0 + LEFT + (i * space if len(self.xs) > 1 else wide / 2),
                    y0 + TOP + high * (1 - v / top))

        out = [text(x0 + LEFT, y0 + 18, self.title + ", images/s", "start",
                    13)]
        v = 0
        while v <= top + step / 2:
            y = at(0, v)[1]
            out.append(f'<path d="M{x0 + LEFT:.1f} {y:.1f}h{wide:.1f}" '
                       'stroke="#ddd"/>')
            out.append(text(x0 + LEFT - 6, y + 4, f"{v:g}", "end"))
            v += step
        for i, x in enumerate(self.xs):
            out.append(text(at(i, 0)[0], y0 + TOP + high + 16, str(x)))
        out.append(text(x0 + LEFT + wide / 2, y0 + H - 10, self.axis))
        for name, values in self.curves:
            out += self.curve(name, values, at)
        return out

    def curve(self, name, values, at):
        colour = COLOURS[name]
        points = [at(i, v) for i, v in enumerate(values) if v]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dash = "" if self.joined else ' stroke-dasharray="3 3"'
        out = [f'<polyline points="{path}" fill="none" stroke="{colour}" '
               f'stroke-width="2"{dash}/>']
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
                for x, y in points]
        x, y = points[-1]
        last = [v for v in values if v][-1]
        return out + [text(x + 8, y + 4, f"{name} {last:.1f}", "start", 11,
                           colour)]


def text(x, y, said, anchor="middle", size=11, fill="#333"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" '
            f'font-size="{size}" fill="{fill}">{escape(said)}</text>')


def save(path, panels):
    rows = (len(panels) + 1) // 2
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * W}" '
           f'height="{rows * H}" font-family="sans-serif">',
           '<rect width="100%" height="100%" fill="#fff"/>']
    for i, panel in enumerate(panels):
        out += panel.draw(i % 2 * W, i // 2 * H)
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(out + ["</svg>", ""]))
