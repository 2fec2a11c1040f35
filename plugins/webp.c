/*
 * webp.c - decoder plugin: WebP by libwebp, animations by its demultiplexer.
 *
 * A still is fed to the incremental decoder in slices, so that CPU time is
 * looked at between them; an animation is looked at from frame to frame.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>

#include "plugins/clipward_plugin.h"

#define SLICE_MIN	65536u
#define SLICES		16u
#define LOSSY		1	/* WebPBitstreamFeatures.format */

static int
fail(struct cw_decode_out *out, int code, const char *why)
{
	snprintf(out->message, sizeof(out->message), "%s", why);
	return code;
}

static int
fail_status(struct cw_decode_out *out, VP8StatusCode st)
{
	switch (st) {
	case VP8_STATUS_NOT_ENOUGH_DATA:
	case VP8_STATUS_SUSPENDED:
		return fail(out, CW_DECODE_TRUNCATED,
		    "ends before the picture does");
	case VP8_STATUS_OUT_OF_MEMORY:
		return fail(out, CW_DECODE_NO_MEMORY, "no memory left");
	case VP8_STATUS_UNSUPPORTED_FEATURE:
		return fail(out, CW_DECODE_UNSUPPORTED,
		    "a feature this libwebp does not know");
	default:
		return fail(out, CW_DECODE_CORRUPT,
		    "its bit stream is damaged");
	}
}

static uint32_t
le32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	    (uint32_t)p[3] << 24;
}

static int
check(const struct cw_decode_in *in, struct cw_decode_out *out,
    uint64_t bytes_per_pixel)
{
	const uint64_t pixels = (uint64_t)out->width * out->height;

	if (pixels == 0)
		return fail(out, CW_DECODE_CORRUPT, "no size in its header");
	if (pixels > in->max_pixels)
		return fail(out, CW_DECODE_TOO_MANY_PIXELS,
		    "more pixels than limits.pixels");
	if (pixels * bytes_per_pixel > in->max_bytes)
		return fail(out, CW_DECODE_TOO_LARGE,
		    "would take more than limits.decoded_bytes");
	return CW_DECODE_OK;
}

static bool
take_frame(const struct cw_decode_in *in, size_t pixels, bool alpha,
    struct cw_frame *f)
{
	f->rgb = in->alloc(in->host, pixels * 3);
	f->alpha = alpha ? in->alloc(in->host, pixels) : NULL;
	return f->rgb != NULL && (!alpha || f->alpha != NULL);
}

static void
split(const uint8_t *rgba, struct cw_frame *f, size_t pixels)
{
	for (size_t i = 0; i < pixels; i++) {
		memcpy(f->rgb + 3 * i, rgba + 4 * i, 3);
		f->alpha[i] = rgba[4 * i + 3];
	}
}

/* ---- a still ---- */

static int
feed(const struct cw_decode_in *in, struct cw_decode_out *out,
    WebPIDecoder *idec)
{
	const size_t slice = in->n / SLICES > SLICE_MIN ? in->n / SLICES :
	    SLICE_MIN;
	VP8StatusCode st = VP8_STATUS_SUSPENDED;

	for (size_t at = 0; at < in->n && st == VP8_STATUS_SUSPENDED;) {
		if (in->expired(in->host))
			return fail(out, CW_DECODE_TOO_SLOW,
			    "its CPU time is used up");
		at = in->n - at > slice ? at + slice : in->n;
		st = WebPIUpdate(idec, in->bytes, at);
	}
	return st == VP8_STATUS_OK ? CW_DECODE_OK : fail_status(out, st);
}

static int
decode_still(const struct cw_decode_in *in, struct cw_decode_out *out,
    const WebPBitstreamFeatures *f)
{
	const size_t pixels = (size_t)out->width * out->height;
	const bool alpha = f->has_alpha;
	WebPDecoderConfig c;
	WebPIDecoder *idec;
	uint8_t *rgba = NULL;
	int code;

	/* The result; RGBA before it is split; what lossless works in. */
	code = check(in, out, 3u + (alpha ? 5 : 0) +
	    (f->format == LOSSY ? (alpha ? 1 : 0) : 4));
	if (code != CW_DECODE_OK)
		return code;
	if (!take_frame(in, pixels, alpha, out->frame) ||
	    (alpha && (rgba = in->alloc(in->host, pixels * 4)) == NULL) ||
	    !WebPInitDecoderConfig(&c))
		return fail(out, CW_DECODE_NO_MEMORY, "no memory left");
	c.output.colorspace = alpha ? MODE_RGBA : MODE_RGB;
	c.output.is_external_memory = 1;
	c.output.u.RGBA.rgba = alpha ? rgba : out->frame->rgb;
	c.output.u.RGBA.stride = (int)out->width * (alpha ? 4 : 3);
	c.output.u.RGBA.size = pixels * (alpha ? 4 : 3);
	if ((idec = WebPIDecode(NULL, 0, &c)) == NULL)
		return fail(out, CW_DECODE_NO_MEMORY, "no memory left");
	code = feed(in, out, idec);
	WebPIDelete(idec);
	WebPFreeDecBuffer(&c.output);
	if (code == CW_DECODE_OK && alpha)
		split(rgba, out->frame, pixels);
	out->frames = out->nframes = 1;
	return code;
}

/* ---- an animation ---- */

static int
read_frames(const struct cw_decode_in *in, struct cw_decode_out *out,
    WebPAnimDecoder *dec, uint32_t want)
{
	const size_t pixels = (size_t)out->width * out->height;
	uint8_t *rgba;
	int when;

	for (uint32_t i = 0; out->nframes < want; i++) {
		struct cw_frame *f = &out->frame[out->nframes];

		if (in->expired(in->host))
			return fail(out, CW_DECODE_TOO_SLOW,
			    "its CPU time is used up");
		if (!WebPAnimDecoderGetNext(dec, &rgba, &when))
			return fail(out, CW_DECODE_CORRUPT,
			    "a frame is damaged");
		if (i != cw_frame_pick(out->nframes, want, out->frames))
			continue;
		if (!take_frame(in, pixels, true, f))
			return fail(out, CW_DECODE_NO_MEMORY,
			    "no memory left");
		split(rgba, f, pixels);
		out->nframes++;
	}
	return CW_DECODE_OK;
}

static int
decode_animation(const struct cw_decode_in *in, struct cw_decode_out *out,
    uint32_t frames)
{
	const uint32_t want = in->want_frames < frames ? in->want_frames :
	    frames;
	const WebPData data = { in->bytes, in->n };
	WebPAnimDecoderOptions options;
	WebPAnimDecoder *dec;
	int code;

	out->frames = frames;
	/* Two canvases and a frame in the decoder, and what is kept. */
	code = check(in, out, 4 * (3 + (uint64_t)want));
	if (code != CW_DECODE_OK)
		return code;
	if (!WebPAnimDecoderOptionsInit(&options))
		return fail(out, CW_DECODE_UNSUPPORTED,
		    "libwebpdemux is not the one this was built with");
	options.color_mode = MODE_RGBA;
	if ((dec = WebPAnimDecoderNew(&data, &options)) == NULL)
		return fail(out, CW_DECODE_CORRUPT, "a frame is damaged");
	code = read_frames(in, out, dec, want);
	WebPAnimDecoderDelete(dec);
	return code;
}

/* ---- the file ---- */

/* Orientation is in a chunk of its own, with or without JPEG's prefix. */
static void
keep_exif(struct cw_decode_out *out, const WebPDemuxer *demux)
{
	WebPChunkIterator it;
	const size_t prefix = 6;

	if (!WebPDemuxGetChunk(demux, "EXIF", 1, &it))
		return;
	out->exif = it.chunk.bytes;
	out->nexif = it.chunk.size;
	if (out->nexif >= prefix && memcmp(out->exif, "Exif\0", prefix) == 0) {
		out->exif += prefix;
		out->nexif -= prefix;
	}
	WebPDemuxReleaseChunkIterator(&it);
}

static int
decode(void *self, const struct cw_decode_in *in, struct cw_decode_out *out)
{
	const WebPData data = { in->bytes, in->n };
	WebPBitstreamFeatures f;
	WebPDemuxer *demux;
	VP8StatusCode st;
	uint32_t frames = 1;

	(void)self;
	if (in->n < 20 || le32(in->bytes + 4) > in->n - 8)
		return fail(out, CW_DECODE_TRUNCATED,
		    "shorter than its header says");
	if ((st = WebPGetFeatures(in->bytes, in->n, &f)) != VP8_STATUS_OK)
		return fail_status(out, st);
	out->width = (uint32_t)f.width;
	out->height = (uint32_t)f.height;
	out->frame = in->alloc(in->host, in->want_frames *
	    sizeof(*out->frame));
	if (out->frame == NULL)
		return fail(out, CW_DECODE_NO_MEMORY, "no memory left");
	if ((demux = WebPDemux(&data)) != NULL) {
		frames = WebPDemuxGetI(demux, WEBP_FF_FRAME_COUNT);
		keep_exif(out, demux);
		WebPDemuxDelete(demux);
	} else if (f.has_animation)
		return fail(out, CW_DECODE_CORRUPT, "its chunks are damaged");
	if (!f.has_animation)
		return decode_still(in, out, &f);
	if (frames == 0)
		return fail(out, CW_DECODE_CORRUPT,
		    "an animation without frames");
	return decode_animation(in, out, frames);
}

static int
probe(const uint8_t *bytes, size_t n)
{
	return n >= 12 && memcmp(bytes, "RIFF", 4) == 0 &&
	    memcmp(bytes + 8, "WEBP", 4) == 0;
}

static int
plugin_open(const struct cw_host *host, const char *options, void **self)
{
	(void)options;
	*self = NULL;
	if (WebPGetDecoderVersion() < 0x010000) {
		host->log(3, "libwebp is older than 1.0");
		return -1;
	}
	return 0;
}

static void
plugin_close(void *self)
{
	(void)self;
}

CW_PLUGIN_EXPORT extern const struct cw_plugin_decoder clipward_plugin;
const struct cw_plugin_decoder clipward_plugin = {
	.head = {
		CW_PLUGIN_HEAD(struct cw_plugin_decoder, CW_PLUGIN_DECODER),
		.name = "webp",
		.version = "1.0",
		.open = plugin_open,
		.close = plugin_close,
	},
	.probe = probe,
	.decode = decode,
};
