/*
 * report_html.c - see report_html.h.
 *
 * Each image is a section: the decision and its reason first, the picture
 * beside its map, then how the score adds up, then every category.
 */
#include "cli/report_html.h"

#include <math.h>
#include <string.h>

#include "cli/map_print.h"
#include "format/verdict.h"

#define CATEGORIES_SHOWN	12u

static const char style[] =
":root{--for:#c2570c;--against:#1d5fa8;--line:#d5d5d2;--soft:#6b6b66;"
"--paper:#fff;--wash:#f6f5f2}"
"*{box-sizing:border-box}"
"body{font:15px/1.5 system-ui,'Segoe UI',Roboto,sans-serif;color:#1c1c1a;"
"background:var(--wash);margin:0 auto;max-width:72rem;padding:1.5rem}"
"h1{font-size:1.3rem;margin:0}h3{font-size:.95rem;margin:1.1rem 0 .4rem}"
".lead{color:var(--soft);margin:.2rem 0 1.5rem}"
"section{background:var(--paper);border:1px solid var(--line);"
"border-radius:8px;padding:1.2rem 1.4rem;margin:0 0 1.5rem}"
".head{display:flex;gap:.9rem;align-items:center;flex-wrap:wrap}"
".head h2{font-size:1.1rem;margin:0;overflow-wrap:anywhere}"
".mark{font-weight:700;letter-spacing:.04em;padding:.15rem .7rem;"
"border-radius:4px;border:2px solid;white-space:nowrap}"
".block{color:#fff;background:#8c1d18;border-color:#8c1d18}"
".review{color:#5c3c00;background:#ffe9b8;border-color:#b98900}"
".allow{color:#0b4a6e;background:#e3f1fa;border-color:#0b4a6e}"
".error{color:#333;background:#eee;border-color:#555;border-style:dashed}"
".why{font-size:1.05rem;margin:.7rem 0 .9rem}"
".pics{display:grid;grid-template-columns:repeat(auto-fit,minmax(17rem,1fr));"
"gap:1rem;align-items:start}"
"figure{margin:0}figure img{width:100%;max-height:26rem;object-fit:contain;"
"background:#fafafa;border:1px solid var(--line);border-radius:4px}"
"figcaption{font-size:.85rem;color:var(--soft);margin-top:.25rem}"
".cols{display:grid;grid-template-columns:repeat(auto-fit,"
"minmax(22rem,1fr));gap:0 2.2rem}"
"table{border-collapse:collapse;width:100%;font-size:.88rem}"
"td,th{padding:.16rem .4rem .16rem 0;text-align:left;font-weight:400;"
"vertical-align:middle}"
"td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
"tr.sum td,tr.sum th{border-top:1.5px solid #333;font-weight:700}"
".bar{position:relative;height:.95rem;min-width:8rem;background:"
"linear-gradient(#999,#999) 50%/1px 100% no-repeat}"
".bar i,.level i{position:absolute;top:.12rem;bottom:.12rem}"
".for{background:var(--for)}.against{background:repeating-linear-gradient("
"45deg,var(--against) 0 3px,#6ea3dc 3px 5px)}"
".level{position:relative;height:.95rem;min-width:8rem;background:#ecebe7}"
".level b{position:absolute;top:-.1rem;bottom:-.1rem;width:2px;"
"background:#333}.level b.second{background:#8c1d18}"
".none{background:#8a8a84}"
".words{line-height:2.1}.words span{padding:.1rem .25rem;border-radius:3px;"
"border-bottom:3px solid transparent;margin-right:.15rem}"
".key{font-size:.85rem;color:var(--soft)}"
".key i{display:inline-block;width:1.1rem;height:.7rem;margin:0 .3rem 0 .8rem}"
".weak{border-left:4px solid #b98900;padding-left:.6rem}"
"@media print{body{background:#fff;padding:0;font-size:8.8pt;max-width:none}"
".lead{margin:.1rem 0 .5rem}h3{margin:.5rem 0 .2rem}"
"section{break-inside:avoid;border-color:#999;border-radius:0;"
"padding:.5rem .7rem;margin:0 0 .7rem}"
".cols{grid-template-columns:1fr 1fr}.bar,.level{min-width:3.2cm}"
".pics{grid-template-columns:repeat(auto-fit,minmax(5.6cm,1fr))}"
"figure img{max-height:5.6cm}table,figcaption,.key{font-size:8.2pt}"
".why{font-size:10pt;margin:.3rem 0 .4rem}td,th{padding:.05rem .3rem .05rem 0}"
"*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}";

static void
put_text(FILE *f, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '<')
			fputs("&lt;", f);
		else if (*s == '&')
			fputs("&amp;", f);
		else if (*s == '"')
			fputs("&quot;", f);
		else
			fputc(*s, f);
	}
}

static void
put_base64(FILE *f, const unsigned char *p, size_t n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < n; i += 3) {
		const size_t left = n - i;
		const unsigned v = (unsigned)p[i] << 16 |
		    (left > 1 ? (unsigned)p[i + 1] << 8 : 0) |
		    (left > 2 ? (unsigned)p[i + 2] : 0);

		fputc(digits[v >> 18], f);
		fputc(digits[v >> 12 & 63], f);
		fputc(left > 1 ? digits[v >> 6 & 63] : '=', f);
		fputc(left > 2 ? digits[v & 63] : '=', f);
	}
}

static void
put_picture(FILE *f, const char *type, const void *bytes, size_t n,
    const char *alt)
{
	fprintf(f, "<img src=\"data:image/%s;base64,", type);
	put_base64(f, bytes, n);
	fputs("\" alt=\"", f);
	put_text(f, alt);
	fputs("\">", f);
}

/* ---- bars -------------------------------------------------------------- */

/* From the middle to the right for evidence for the flag, else to the left. */
static void
put_bar(FILE *f, double value, double most)
{
	const double part = most > 0 ? 50 * fmin(fabs(value) / most, 1) : 0;

	fprintf(f, "<div class=\"bar\"><i class=\"%s\" style=\"left:%.2f%%;"
	    "width:%.2f%%\"></i></div>", value >= 0 ? "for" : "against",
	    value >= 0 ? 50 : 50 - part, part);
}

/* A score with its two thresholds, between lo and hi. */
static void
put_level(FILE *f, double v, const struct cw_thresholds *t, double lo,
    double hi)
{
	const double scale = 100 / (hi - lo);
	const double left = lo < 0 ? fmin(v, 0) - lo : 0;
	const double width = lo < 0 ? fabs(v) : v - lo;

	fprintf(f, "<div class=\"level\"><i class=\"%s\" style=\"left:%.2f%%;"
	    "width:%.2f%%\"></i><b style=\"left:%.2f%%\"></b>"
	    "<b class=\"second\" style=\"left:%.2f%%\"></b></div>",
	    v >= (double)t->review ? "for" : "none", left * scale,
	    width * scale, ((double)t->review - lo) * scale,
	    ((double)t->block - lo) * scale);
}

/* ---- one image --------------------------------------------------------- */

/* Indices of the categories that were measured, the nearest to review first. */
static uint32_t
rank_categories(const struct cw_explained *e, uint32_t *out)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < e->set->ncategories; i++) {
		const struct cw_category *c;
		const struct cw_policy *p;
		uint32_t at;
		double x;

		if (e->res->cats[i].source == CW_FROM_NONE)
			continue;
		cw_policy_set_category(e->set, i, &p, &c);
		x = (double)(e->res->cats[i].score - c->thresholds.review);
		for (at = n < CATEGORIES_SHOWN ? n : CATEGORIES_SHOWN;
		    at > 0; at--) {
			const struct cw_category *o;

			cw_policy_set_category(e->set, out[at - 1], &p, &o);
			if ((double)(e->res->cats[out[at - 1]].score -
			    o->thresholds.review) >= x)
				break;
			if (at < CATEGORIES_SHOWN)
				out[at] = out[at - 1];
		}
		if (at < CATEGORIES_SHOWN)
			out[at] = i;
		if (n < CATEGORIES_SHOWN)
			n++;
	}
	return n;
}

static void
put_nearest(FILE *f, const struct cw_explained *e)
{
	uint32_t order[CATEGORIES_SHOWN + 1];
	const struct cw_category *c;
	const struct cw_policy *p;

	if (rank_categories(e, order) == 0)
		return;
	cw_policy_set_category(e->set, order[0], &p, &c);
	fputs(" The nearest was ", f);
	put_text(f, c->id);
	fprintf(f, ": score %.2f, review starts at %.2f.",
	    (double)e->res->cats[order[0]].score,
	    (double)c->thresholds.review);
}

static void
put_why(FILE *f, const struct cw_explained *e, const struct cw_decision *d)
{
	const struct cw_category *c;
	const struct cw_policy *p;

	fputs("<p class=\"why\">", f);
	if (e->res->failed) {
		fprintf(f, "Not scored: %s, %s: ",
		    cw_stage_name(e->res->stage), e->res->code);
		put_text(f, e->res->message);
	} else if (d->action == CW_ALLOW) {
		fputs("Nothing reached its threshold.", f);
		put_nearest(f, e);
	} else {
		const bool words = e->res->cats[d->category].source ==
		    CW_FROM_TEXT;

		cw_policy_set_category(e->set, d->category, &p, &c);
		fputs("<strong>", f);
		put_text(f, c->title);
		fprintf(f, "</strong>, %s severity", cw_severity_name(
		    c->severity));
		if (c->reason.code[0] != '\0') {
			fputs(" (", f);
			put_text(f, c->reason.code);
			fputs(")", f);
		}
		fprintf(f, ". %s most like “", words ? "Its text reads" :
		    "It looks");
		put_text(f, c->prompts[e->res->cats[d->category].prompt].text);
		fprintf(f, "”: score %.2f, %s starts at %.2f.",
		    (double)d->score, cw_action_name(d->action),
		    d->action == CW_BLOCK ? (double)c->thresholds.block :
		    (double)c->thresholds.review);
	}
	fputs("</p>\n", f);
}

static const struct cw_picture *
find_overlay(const struct cw_explained *e, const char *category)
{
	for (size_t i = 0; i < e->npictures; i++)
		if (e->pictures[i].kind == CW_ART_OVERLAY &&
		    strcmp(e->pictures[i].name, category) == 0)
			return &e->pictures[i];
	return NULL;
}

static void
put_pictures(FILE *f, const struct cw_explained *e)
{
	const char *type = e->res->format[0] != '\0' ? e->res->format :
	    "jpeg";

	fputs("<div class=\"pics\">", f);
	if (e->image != NULL && !e->res->failed) {
		fputs("<figure>", f);
		put_picture(f, type, e->image, e->nimage, e->path);
		fprintf(f, "<figcaption>As received: %s, %u × %u"
		    "</figcaption></figure>\n", type, e->res->width,
		    e->res->height);
	}
	for (uint32_t i = 0; i < e->res->nmaps; i++) {
		const struct cw_map *m = &e->res->maps[i];
		const struct cw_picture *p;
		const struct cw_category *c;
		const struct cw_policy *pol;

		cw_policy_set_category(e->set, m->category, &pol, &c);
		if ((p = find_overlay(e, c->id)) == NULL)
			continue;
		fputs("<figure>", f);
		put_picture(f, "png", p->bytes, p->n,
		    "map of the evidence on the image");
		fputs("<figcaption>What argues for <strong>", f);
		put_text(f, c->id);
		fputs("</strong> (orange) and against it (blue)"
		    "</figcaption></figure>\n", f);
	}
	fputs("</div>\n", f);
}

static void
put_part(FILE *f, const char *name, double value, double most)
{
	fprintf(f, "<tr><th>%s</th><td>", name);
	put_bar(f, value, most);
	fprintf(f, "</td><td class=\"n\">%+.3f</td></tr>\n", value);
}

/* What the patches say in sum, what remains, and what that makes. */
static void
put_sum(FILE *f, const struct cw_map *m)
{
	double with = 0, against = 0, most = fabs((double)m->total);
	struct cw_map_part parts[CW_MAP_PARTS];

	for (uint32_t i = 0; i < m->gw * m->gh; i++) {
		if (m->values[i] > 0)
			with += (double)m->values[i];
		else
			against += (double)m->values[i];
	}
	cw_map_parts(m, parts);
	most = fmax(most, fmax(with, -against));
	for (size_t i = 0; i < CW_MAP_PARTS; i++)
		most = fmax(most, fabs((double)parts[i].value));
	fputs("<table>", f);
	put_part(f, "patches for it", with, most);
	put_part(f, "patches against it", against, most);
	for (size_t i = 0; i < CW_MAP_PARTS; i++)
		if (fabs((double)parts[i].value) >= 0.0005)
			put_part(f, parts[i].name, (double)parts[i].value,
			    most);
	fputs("<tr class=\"sum\"><th>margin</th><td>", f);
	put_bar(f, (double)m->total, most);
	fprintf(f, "</td><td class=\"n\">%+.3f</td></tr></table>\n",
	    (double)m->total);
}

static void
put_map(FILE *f, const struct cw_explained *e, const struct cw_map *m)
{
	const struct cw_category *c;
	const struct cw_policy *p;

	cw_policy_set_category(e->set, m->category, &p, &c);
	fputs("<div><h3>How “", f);
	put_text(f, c->prompts[m->prompt].text);
	fputs("” adds up</h3>", f);
	if (m->method == CW_M_ADDITIVE)
		put_sum(f, m);
	if (m->measured)
		fprintf(f, "<p class=\"key%s\">Covering the %u strongest "
		    "patches moves the margin by %+.2f, covering as many "
		    "others by %+.2f. %s</p>",
		    cw_map_weak(m) ? " weak" : "", m->masked,
		    -(double)m->drop, -(double)m->random_drop,
		    cw_map_weak(m) ? "<strong>Weak: this map says little."
		    "</strong>" : "The map points at what counts.");
	fputs("</div>\n", f);
}

static void
put_categories(FILE *f, const struct cw_explained *e)
{
	uint32_t order[CATEGORIES_SHOWN + 1];
	const uint32_t n = rank_categories(e, order);

	fputs("<div><h3>Every category</h3><table>", f);
	for (uint32_t i = 0; i < n; i++) {
		const struct cw_cat_result *r = &e->res->cats[order[i]];
		const struct cw_category *c;
		const struct cw_policy *p;
		double lo, hi;

		cw_policy_set_category(e->set, order[i], &p, &c);
		lo = p->scoring == CW_SOFTMAX || c->calibration.present ? 0 :
		    -1;
		hi = 1;
		fputs("<tr><th>", f);
		put_text(f, c->id);
		fprintf(f, "</th><td>");
		put_level(f, (double)r->score, &c->thresholds, lo, hi);
		fprintf(f, "</td><td class=\"n\">%.3f%s</td></tr>\n",
		    (double)r->score, r->source == CW_FROM_TEXT ?
		    " (text)" : "");
	}
	fputs("</table><p class=\"key\">The lines are the thresholds for "
	    "review (black) and block (red, right).</p></div>\n", f);
}

static void
put_words(FILE *f, const struct cw_explained *e)
{
	const struct cw_text_result *t = &e->res->text;
	const struct cw_category *c;
	const struct cw_policy *p;
	double most = 0;

	if (t->ntokens == 0)
		return;
	cw_policy_set_category(e->set, t->category, &p, &c);
	for (uint32_t i = 0; i < t->ntokens; i++)
		most = fmax(most, fabs((double)t->values[i]));
	fputs("<h3>The words that came with it, for ", f);
	put_text(f, c->id);
	fputs("</h3><p class=\"words\">", f);
	for (uint32_t i = 0; i < t->ntokens; i++) {
		const double v = (double)t->values[i];
		const double a = most > 0 ? fabs(v) / most : 0;

		fprintf(f, "<span style=\"background:rgba(%s,%.2f);"
		    "border-color:%s\" title=\"%+.3f\">",
		    v >= 0 ? "194,87,12" : "29,95,168", a * 0.45,
		    a < 0.25 ? "transparent" : v >= 0 ? "#c2570c" :
		    "#1d5fa8", v);
		put_text(f, t->tokens[i]);
		if (a >= 0.25)
			fprintf(f, "<sub>%+.1f</sub>", v);
		fputs("</span>", f);
	}
	fputs("</p>\n", f);
}

void
cw_html_add(FILE *f, const struct cw_explained *e)
{
	const struct cw_decision d = cw_verdict_decide(e->set, e->res);
	const char *name = cw_action_name(d.action);
	static const char *const signs[] = { "✓", "?", "✕", "!" };
	bool words_first;

	fprintf(f, "<section><div class=\"head\"><span class=\"mark %s\">"
	    "%s %s</span><h2>", name, signs[d.action], name);
	put_text(f, e->path);
	fputs("</h2></div>\n", f);
	put_why(f, e, &d);
	words_first = d.action != CW_ALLOW && d.action != CW_ERROR &&
	    e->res->cats[d.category].source == CW_FROM_TEXT;
	if (words_first)
		put_words(f, e);
	put_pictures(f, e);
	if (!e->res->failed) {
		fputs("<div class=\"cols\">", f);
		for (uint32_t i = 0; i < e->res->nmaps; i++)
			put_map(f, e, &e->res->maps[i]);
		put_categories(f, e);
		fputs("</div>\n", f);
		if (!words_first)
			put_words(f, e);
	}
	fputs("</section>\n", f);
}

void
cw_html_open(FILE *f, const struct cw_model_facts *m, size_t images)
{
	fprintf(f, "<!DOCTYPE html>\n<html lang=\"en\"><head>"
	    "<meta charset=\"utf-8\"><meta name=\"viewport\" "
	    "content=\"width=device-width\"><title>clipward report</title>"
	    "<style>%s</style></head><body>\n<h1>clipward report</h1>"
	    "<p class=\"lead\">%zu image%s, model ", style, images,
	    images == 1 ? "" : "s");
	put_text(f, m->name);
	fprintf(f, " (%.12s). <span class=\"key\"><i class=\"for\"></i>argues "
	    "for the flag<i class=\"against\"></i>argues against it (striped)"
	    "</span></p>\n", m->sha256);
}

void
cw_html_close(FILE *f)
{
	fputs("<p class=\"lead\">A score says what an image looks like to the "
	    "model, not what it means. Every row of a table is a part of the "
	    "margin, and the parts add up to it.</p></body></html>\n", f);
}
