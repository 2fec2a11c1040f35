/*
 * clipward_plugin.h - what a plugin and its host promise each other.
 *
 * A plugin is a shared object with one symbol, CW_PLUGIN_SYMBOL: a constant
 * descriptor.  It links against nothing of clipward; everything it may call
 * comes in through pointers.  Where it runs decides what it may do:
 *
 *	kind		loaded by	may
 *	decoder		worker, before	compute, and take memory from the
 *			its sandbox	host; no file, no socket, no thread
 *	matcher		worker		the same
 *	source		a gate of its	talk to its peer
 *			own
 *	sink		supervisor	write where open() decided; be quick
 *
 * Every struct that crosses the border begins with its size as compiled, so
 * that either side can be the older one.
 *
 * History of the ABI.  MAJOR: layout or meaning changed, others are refused.
 * MINOR: something was appended, older plugins still load.
 *
 * 1.0 (2026-11-23)
 *	struct cw_plugin, cw_host
 *	struct cw_plugin_decoder, cw_decode_in, cw_decode_out, cw_frame
 *	struct cw_plugin_sink, cw_sink_item
 *	kinds matcher and source have their numbers; their structs are
 *	appended by the version whose host loads them
 */
#ifndef CLIPWARD_PLUGIN_H
#define CLIPWARD_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#define CW_PLUGIN_ABI_MAJOR	1u
#define CW_PLUGIN_ABI_MINOR	0u
#define CW_PLUGIN_SYMBOL	"clipward_plugin"

/* Put before the descriptor's definition; its name is fixed. */
#define CW_PLUGIN_EXPORT	__attribute__((visibility("default")))

enum cw_plugin_kind {
	CW_PLUGIN_DECODER = 1,
	CW_PLUGIN_MATCHER = 2,
	CW_PLUGIN_SOURCE = 3,
	CW_PLUGIN_SINK = 4,
};

/* Levels of syslog(3): 3 err, 4 warning, 5 notice, 6 info, 7 debug. */
struct cw_host {
	uint32_t	  size;		/* sizeof(struct cw_host) of the host */
	const char	 *program;	/* "clipward-worker" ... */
	/* One line, no newline; the host adds who said it. */
	void		(*log)(int level, const char *line);
};

/* What every descriptor begins with. */
struct cw_plugin {
	/* These three guard the rest: never move them, never retype them. */
	uint32_t	  abi_major;
	uint32_t	  abi_minor;
	uint32_t	  size;		/* of the whole descriptor as compiled */

	uint32_t	  kind;		/* enum cw_plugin_kind */
	const char	 *name;		/* [a-z0-9_]+, unique, static storage */
	const char	 *version;	/* of the plugin, and its library's */

	/*
	 * Once, before any other call.  options: what the configuration
	 * says behind the plugin's path, or "".  Both are valid until
	 * close().  Return 0, or -1 after saying why through host->log.
	 */
	int		(*open)(const struct cw_host *host,
			    const char *options, void **self);
	void		(*close)(void *self);		/* never fails */
};

/* Fill the guards: .head = { CW_PLUGIN_HEAD(struct cw_plugin_sink, ...), ... } */
#define CW_PLUGIN_HEAD(type, k)						\
	.abi_major = CW_PLUGIN_ABI_MAJOR,				\
	.abi_minor = CW_PLUGIN_ABI_MINOR,				\
	.size = sizeof(type), .kind = (k)

/* ---- decoder: bytes of a stranger to pixels ---- */

enum cw_decode_code {
	CW_DECODE_OK = 0,
	CW_DECODE_TRUNCATED = 1,
	CW_DECODE_CORRUPT = 2,
	CW_DECODE_TOO_LARGE = 3,	/* decoded_bytes, or a chunk's size */
	CW_DECODE_TOO_MANY_PIXELS = 4,
	CW_DECODE_TOO_SLOW = 5,		/* in->expired() said so */
	CW_DECODE_UNSUPPORTED = 6,
	CW_DECODE_NO_MEMORY = 7,	/* in->alloc() gave NULL */
};

struct cw_decode_in {
	uint32_t	 size;
	const uint8_t	*bytes;		/* [n] valid for the call */
	size_t		 n;
	uint64_t	 max_pixels;	/* of one frame */
	uint64_t	 max_bytes;	/* of all that is taken, by any way */
	uint32_t	 want_frames;	/* >= 1: the first and others spread
					   evenly, this many at most */
	void		*host;		/* for the two calls below */
	/* Lives as long as the result; never freed; NULL: give up. */
	void		*(*alloc)(void *host, size_t size);
	/* Is the CPU time for this image used up?  Ask every few rows. */
	int		(*expired)(void *host);
};

struct cw_frame {
	uint8_t		*rgb;		/* [height][width][3] as stored */
	uint8_t		*alpha;		/* [height][width], or NULL: opaque */
};

struct cw_decode_out {
	uint32_t	 size;
	uint32_t	 width, height;	/* as stored; the host turns */
	uint32_t	 frames;	/* in the file */
	uint32_t	 nframes;	/* in frame */
	struct cw_frame	*frame;		/* [nframes] from alloc() */
	const uint8_t	*exif;		/* [nexif] TIFF block, or NULL */
	size_t		 nexif;
	char		 message[256];	/* when not OK: one line, no stop */
};

/* Which of total frames is the i-th of n: spread evenly, both ends kept. */
static inline uint32_t
cw_frame_pick(uint32_t i, uint32_t n, uint32_t total)
{
	return n < 2 ? 0 :
	    (uint32_t)((uint64_t)i * (total - 1) / (n - 1));
}

struct cw_plugin_decoder {
	struct cw_plugin head;		/* head.name is the format's name */

	/* Do the first bytes (n may be small) claim to be this format? */
	int		(*probe)(const uint8_t *bytes, size_t n);
	/*
	 * Bounds are checked from the header before memory is taken.
	 * Returns an enum cw_decode_code; out is zeroed by the host.
	 */
	int		(*decode)(void *self, const struct cw_decode_in *in,
			    struct cw_decode_out *out);
};

/* ---- sink: verdicts, each stored already, at least once ---- */

enum cw_sink_code {
	CW_SINK_OK = 0,			/* it is safe with the sink */
	CW_SINK_LATER = 1,		/* not now; the host tries again */
	CW_SINK_REFUSED = 2,		/* never; the host drops and counts */
};

struct cw_sink_item {
	uint32_t	 size;
	const char	*id;		/* of the job */
	const char	*decision;	/* "allow", "review" ... */
	const char	*json;		/* [njson] the verdict, one line, no
					   newline, NUL-terminated */
	size_t		 njson;
};

struct cw_plugin_sink {
	struct cw_plugin head;

	/* In order; must not block longer than a write to a file does. */
	int		(*deliver)(void *self, const struct cw_sink_item *item);
	/* After a run of deliver(): make them last.  0, or CW_SINK_LATER. */
	int		(*flush)(void *self);
};

#endif /* CLIPWARD_PLUGIN_H */
