/*
 * plugin.c - decoder plugins: load, check, ask.
 *
 * Runs in: worker; loading before the sandbox, asking inside it.  A plugin is
 * code of the operator's choice and is trusted as that; what it says about a
 * picture is checked all the same, since the picture is not.
 */
#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "plugins/clipward_plugin.h"
#include "worker/decode.h"
#include "worker/exif.h"

#define DECODERS_MAX	CW_PLUGINS_MAX

struct decoder {
	const struct cw_plugin_decoder	*p;
	void				*self;
};

static struct {
	struct decoder	 d[DECODERS_MAX];
	size_t		 n;
	char		 names[DECODERS_MAX * 33];	/* "png webp" */
	char		 said[256];	/* last line a plugin logged */
} plugins;

static void
host_log(int level, const char *line)
{
	(void)level;
	snprintf(plugins.said, sizeof(plugins.said), "%s", line);
}

static const struct cw_host host = {
	.size = sizeof(struct cw_host),
	.program = "clipward-worker",
	.log = host_log,
};

/* ---- loading ---- */

static bool
name_is_fine(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_");

	return n > 0 && n <= 32 && s[n] == '\0';
}

static const char *
kind_name(uint32_t kind)
{
	static const char *const names[] = {
		[CW_PLUGIN_DECODER] = "a decoder",
		[CW_PLUGIN_MATCHER] = "a matcher",
		[CW_PLUGIN_SOURCE] = "a source",
		[CW_PLUGIN_SINK] = "a sink",
	};

	return kind >= 1 && kind < CW_COUNT(names) ? names[kind] :
	    "of unknown kind";
}

/* Guards first: nothing behind them is read before they hold. */
static enum cw_status
plugin_check(const struct cw_plugin_decoder *p, const char *path,
    struct cw_err *err)
{
	const struct cw_plugin *h = &p->head;

	if (h->abi_major != CW_PLUGIN_ABI_MAJOR ||
	    h->abi_minor > CW_PLUGIN_ABI_MINOR)
		return cw_err_set(err, CW_E_ABI,
		    "%s: built for plugin ABI %" PRIu32 ".%" PRIu32
		    "; this daemon speaks %u.%u", path, h->abi_major,
		    h->abi_minor, CW_PLUGIN_ABI_MAJOR, CW_PLUGIN_ABI_MINOR);
	if (h->size < sizeof(struct cw_plugin))
		return cw_err_set(err, CW_E_ABI,
		    "%s: descriptor of %" PRIu32 " bytes; want %zu or more",
		    path, h->size, sizeof(struct cw_plugin));
	if (h->kind != CW_PLUGIN_DECODER)
		return cw_err_set(err, CW_E_ABI,
		    "%s: is %s; want a decoder here", path,
		    kind_name(h->kind));
	if (h->size < sizeof(*p))
		return cw_err_set(err, CW_E_ABI,
		    "%s: decoder descriptor of %" PRIu32
		    " bytes; want %zu or more", path, h->size, sizeof(*p));
	if (h->name == NULL || h->version == NULL || h->open == NULL ||
	    h->close == NULL || p->probe == NULL || p->decode == NULL)
		return cw_err_set(err, CW_E_ABI,
		    "%s: a field of its descriptor is NULL", path);
	if (!name_is_fine(h->name))
		return cw_err_set(err, CW_E_ABI,
		    "%s: its name is not of 1 to 32 of [a-z0-9_]", path);
	return CW_OK;
}

static enum cw_status
plugin_add(const struct cw_plugin_decoder *p, const char *path,
    struct cw_err *err)
{
	struct decoder *d = &plugins.d[plugins.n];
	size_t used = strlen(plugins.names);

	if (plugins.n == DECODERS_MAX)
		return cw_err_set(err, CW_E_LIMIT,
		    "%s: more than %u decoder plugins", path, DECODERS_MAX);
	for (size_t i = 0; i < plugins.n; i++)
		if (strcmp(plugins.d[i].p->head.name, p->head.name) == 0)
			return cw_err_set(err, CW_E_CONFIG,
			    "%s: a decoder \"%s\" is loaded already", path,
			    p->head.name);
	plugins.said[0] = '\0';
	if (p->head.open(&host, "", &d->self) != 0)
		return cw_err_set(err, CW_E_ABI, "%s: does not open: %s", path,
		    plugins.said[0] != '\0' ? plugins.said : "says not why");
	d->p = p;
	plugins.n++;
	snprintf(plugins.names + used, sizeof(plugins.names) - used, "%s%s",
	    used > 0 ? " " : "", p->head.name);
	return CW_OK;
}

enum cw_status
cw_plugin_load(const char *path, struct cw_err *err)
{
	const struct cw_plugin_decoder *p;
	enum cw_status st;
	void *so;

	so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (so == NULL)
		return cw_err_set(err, CW_E_CONFIG, "%s", dlerror());
	p = dlsym(so, CW_PLUGIN_SYMBOL);
	if (p == NULL)
		st = cw_err_set(err, CW_E_ABI,
		    "%s: no symbol \"%s\"; is it a clipward plugin", path,
		    CW_PLUGIN_SYMBOL);
	else if ((st = plugin_check(p, path, err)) == CW_OK)
		st = plugin_add(p, path, err);
	if (st != CW_OK)
		dlclose(so);
	return st;
}

const char *
cw_plugin_names(void)
{
	return plugins.names;
}

/* ---- decoding ---- */

struct lender {			/* what the plugin's host pointer is */
	const struct cw_decoding *d;
	uint64_t	 left;	/* bytes it may still take */
};

static void *
lend(void *h, size_t size)
{
	struct lender *l = h;

	if (size > l->left)
		return NULL;
	l->left -= size;
	return cw_arena_alloc(l->d->a, size);
}

static int
expired(void *h)
{
	const struct lender *l = h;

	return cw_decode_expired(l->d);
}

static enum cw_status
refuse(const struct cw_decoding *d, int code, char *message)
{
	static const char *const codes[] = {
		[CW_DECODE_TRUNCATED] = "truncated",
		[CW_DECODE_CORRUPT] = "corrupt",
		[CW_DECODE_TOO_LARGE] = "too_large",
		[CW_DECODE_TOO_MANY_PIXELS] = "too_many_pixels",
		[CW_DECODE_TOO_SLOW] = "too_slow",
		[CW_DECODE_UNSUPPORTED] = "unsupported",
		[CW_DECODE_NO_MEMORY] = "too_large",
	};
	const bool known = code > 0 && code < (int)CW_COUNT(codes);

	return cw_decode_fail(d, known ? codes[code] : "corrupt", "%s",
	    message[0] != '\0' ? message : "the decoder says not why");
}

static uint8_t *
turned(const struct cw_decoding *d, uint8_t *p, int orientation, int w, int h,
    int channels)
{
	uint8_t *out;

	if (orientation == 1 || p == NULL)
		return p;
	out = cw_arena_alloc(d->a, (size_t)w * (size_t)h * (size_t)channels);
	if (out != NULL)
		cw_exif_turn(out, orientation, w, h, 0, h, p, channels);
	return out;
}

static bool
is_opaque(const uint8_t *alpha, size_t n)
{
	unsigned all = 255;

	for (size_t i = 0; i < n; i++)
		all &= alpha[i];
	return all == 255;
}

static enum cw_status
image_of(const struct cw_decoding *d, const struct cw_decode_out *out,
    const struct cw_frame *f, const char *format, struct cw_image *im)
{
	const int w = (int)out->width, h = (int)out->height;
	const int said = out->exif == NULL ? 0 :
	    cw_exif_orientation(out->exif, out->nexif);
	const int o = said == 0 ? 1 : said;
	uint8_t *alpha = f->alpha;

	if (f->rgb == NULL)
		return cw_decode_fail(d, "corrupt", "a frame has no pixels");
	if (alpha != NULL && is_opaque(alpha, (size_t)w * (size_t)h))
		alpha = NULL;
	*im = (struct cw_image){
		.format = format, .frames = (int)out->frames,
		.rgb = turned(d, f->rgb, o, w, h, 3),
		.alpha = turned(d, alpha, o, w, h, 1),
	};
	if (im->rgb == NULL || (alpha != NULL && im->alpha == NULL))
		return cw_decode_fail(d, "too_large", "no memory left");
	im->w = im->width = cw_exif_swaps(o) ? h : w;
	im->h = im->height = cw_exif_swaps(o) ? w : h;
	return CW_OK;
}

static enum cw_status
decode_by(const struct decoder *dec, const struct cw_decoding *d,
    struct cw_image **frames, int *nframes)
{
	struct lender l = { .d = d, .left = d->limits->decoded_bytes };
	const struct cw_decode_in in = {
		.size = sizeof(in), .bytes = d->bytes, .n = d->n,
		.max_pixels = d->limits->pixels,
		.max_bytes = d->limits->decoded_bytes,
		.want_frames = d->want_frames,
		.host = &l, .alloc = lend, .expired = expired,
	};
	struct cw_decode_out out = { .size = sizeof(out) };
	struct cw_image *im;
	enum cw_status st;
	int code;

	code = dec->p->decode(dec->self, &in, &out);
	out.message[sizeof(out.message) - 1] = '\0';
	if (code != CW_DECODE_OK)
		return refuse(d, code, out.message);
	if ((st = cw_decode_check(d, out.width, out.height, 0)) != CW_OK)
		return st;
	if (out.nframes < 1 || out.nframes > d->want_frames ||
	    out.frames < out.nframes || out.frames > INT32_MAX ||
	    out.frame == NULL)
		return cw_decode_fail(d, "corrupt",
		    "decoder %s miscounts frames", dec->p->head.name);
	im = cw_arena_zalloc(d->a, out.nframes, sizeof(*im));
	if (im == NULL)
		return cw_decode_fail(d, "too_large", "no memory left");
	for (uint32_t i = 0; i < out.nframes; i++)
		if ((st = image_of(d, &out, &out.frame[i],
		    dec->p->head.name, &im[i])) != CW_OK)
			return st;
	*frames = im;
	*nframes = (int)out.nframes;
	return CW_OK;
}

enum cw_status
cw_plugin_decode(const struct cw_decoding *d, struct cw_image **frames,
    int *nframes)
{
	for (size_t i = 0; i < plugins.n; i++)
		if (plugins.d[i].p->probe(d->bytes, d->n))
			return decode_by(&plugins.d[i], d, frames, nframes);
	return CW_E_NOT_FOUND;
}
