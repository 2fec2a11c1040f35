"""One table for all rows, and which of the targets hold."""
import json
import operator
import sys

OPS = {">=": operator.ge, "<=": operator.le}
NAME, WIDE = 56, 11


class Table:
    """Rows as they come on stderr, the whole at the end on stdout."""

    def __init__(self):
        self.rows = []

    def section(self, title):
        print(title, file=sys.stderr)
        self.rows.append({"title": title})

    def row(self, name, figure, ratio=None, want=None, got=None, cosine=None,
            share=None, over=None, limit=None):
        """figure: a text.  want: (">=" or "<=", bound, unit) for got, which is
        the ratio unless given.  share: of the multipliers' limit.  over: the
        images/s that the ratio is to; with the limit it says whether more is
        wanted than the multipliers leave."""
        got = ratio if got is None else got
        row = {"name": name, "figure": figure, "ratio": ratio, "want": want,
               "cosine": cosine, "share": share, "holds": None}
        if want is not None and got is not None:
            row["holds"] = bool(OPS[want[0]](got, want[1]))
        if want is not None and over is not None and limit is not None:
            row["needs"], row["limit"] = want[1] * over, limit
        self.rows.append(row)
        print("  " + line(row).rstrip(), file=sys.stderr, flush=True)

    def absent(self, name, why, want=None):
        """A row without figures; a target that was not measured is not held."""
        self.rows.append({"name": name, "why": why, "want": want,
                          "holds": None})
        print(f"  {name}: {why}", file=sys.stderr, flush=True)

    def show(self):
        print(f"{'':{NAME}}{'figure':>{WIDE}}{'ours is':>{WIDE}}"
              f"{'want':>{WIDE}}{'cosine':>{WIDE}}{'of limit':>{WIDE}}"
              "  holds")
        for row in self.rows:
            if "title" in row:
                print(f"\n{row['title']}")
            else:
                print(line(row).rstrip())
        self.summary()

    def summary(self):
        aimed = [r for r in self.rows if r.get("want")]
        held = [r for r in aimed if r["holds"]]
        barred = [r for r in aimed if beyond(r)]
        print(f"\n{len(held)} of {len(aimed)} targets hold, {len(barred)} want "
              "more than the multipliers can do.")
        title = ""
        for row in self.rows:
            title = row.get("title", title)
            if row.get("want") and row["holds"] is False:
                print(f"  short:        {title}: " +
                      " ".join(line(row).split()))
            elif row.get("want") and row["holds"] is None:
                print(f"  not measured: {title}: {row['name']}: "
                      f"{row.get('why', '')}")
        sys.stdout.flush()

    def save(self, path):
        with open(path, "w", encoding="utf-8") as f:
            json.dump(self.rows, f, indent=1)


def beyond(row):
    """Is it missed because the CPU cannot do it?"""
    return row["holds"] is False and row.get("needs", 0) > row.get("limit", 0)


def line(row):
    if "why" in row:
        return f"{row['name']:{NAME}}  {row['why']}"
    ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}x"
    share = "" if row["share"] is None else f"{100 * row['share']:.0f} %"
    want, holds, cosine = "", "", ""
    if row["want"]:
        op, bound, unit = row["want"]
        want = f"{op} {bound:g}{unit}"
        holds = {True: "yes", False: "no", None: "-"}[row["holds"]]
    if beyond(row):
        holds += f": needs {row['needs']:.1f}/s, the limit is " \
            f"{row['limit']:.1f}/s"
    if row["cosine"] is not None:
        cosine = f"{row['cosine']:.6f}"
    return (f"{row['name']:{NAME}}{row['figure']:>{WIDE}}{ratio:>{WIDE}}"
            f"{want:>{WIDE}}{cosine:>{WIDE}}{share:>{WIDE}}  {holds}")
