/*
 * config.c - see config.h: the table of settings and its reader.
 *
 * config_write.c prints the table, config_check.c looks at settings together,
 * config_use.c answers what others ask of them.
 */
#include "conf/config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/config_keys.h"
#include "conf/value.h"
#include "conf/yaml.h"
#include "format/policy.h"

#ifndef CW_DATADIR
#define CW_DATADIR	"/usr/local/share/clipward"
#endif

#define DAY_MS		86400000u
#define MB		(1u << 20)
#define GB		((uint64_t)1 << 30)

#define KEY(name, type, field, min, max, def, help)			\
	{ name, KEY_##type, offsetof(struct cw_config, field), min, max, \
	    NULL, NULL, def, help }
#define KEY0(name, field, word, max, def, help)				\
	{ name, KEY_COUNT, offsetof(struct cw_config, field), 1, max,	\
	    word, NULL, def, help }
#define KEY_E(name, field, names, def, help)				\
	{ name, KEY_ENUM, offsetof(struct cw_config, field), 0, 0,	\
	    NULL, names, def, help }

static const char *
precision_word(uint64_t v)
{
	return v < CW_PRECISIONS ? cw_precision_name((enum cw_precision)v) :
	    NULL;
}

static const char *
views_word(uint64_t v)
{
	return v < CW_VIEWS ? cw_views_name((enum cw_views)v) : NULL;
}

static const char *
when_word(uint64_t v)
{
	return v < CW_WHENS ? cw_when_name((enum cw_when)v) : NULL;
}

static const char *
log_to_word(uint64_t v)
{
	return v == CW_LOG_STDERR ? "stderr" :
	    v == CW_LOG_SYSLOG ? "syslog" : NULL;
}

static const char *
level_word(uint64_t v)
{
	return v >= CW_LOG_ERR && v <= CW_LOG_DEBUG ?
	    cw_level_name((enum cw_level)v) : NULL;
}

/* Every setting there is, in the order of config.yaml. */
static const struct cw_config_key keys[] = {
	KEY("model.path", DATA_PATH, model.path, 0, 0, "models/starter",
	    "Directory of the CLIP model in Hugging Face layout: config.json, "
	    "model.safetensors, vocab.json and merges.txt or tokenizer.json."),
	KEY_E("model.precision", model.precision, precision_word, "auto",
	    "auto, fp32 or int8. auto is fp32, the reference's own numbers. "
	    "int8 is faster and moves scores a little; it is never taken "
	    "unasked."),
	KEY("model.kernel", STRING, model.kernel, 0, 64, "\"\"",
	    "Force one set of CPU kernels by name; empty: the best this "
	    "processor has. `clipward bench` prints the one in use."),
	{ "model.cache", KEY_PATH, offsetof(struct cw_config, model.cache), 0,
	    0, "auto", NULL, "auto",
	    "Directory for packed weights and the hash of the model's files, "
	    "made at the first start and shared by all workers; auto: packed/ "
	    "in spool.path; empty: each worker hashes and packs its own, at "
	    "every start." },

	KEY("policies", DATA_PATHS, policies, 1, CW_CONFIG_LIST_MAX,
	    "policies/",
	    "A directory, whose *.yaml are read in sorted order, or a list of "
	    "directories and files. See clipward-policy(5)."),

	KEY("queue.submit", STRING, queue.submit, 0, 255,
	    "\"tcp://127.0.0.1:5771\"",
	    "ZeroMQ ROUTER endpoint for clients that want an answer (DEALER, "
	    "REQ); empty: none. ipc:// works too."),
	KEY("queue.pull", STRING, queue.pull, 0, 255,
	    "\"tcp://127.0.0.1:5772\"",
	    "ZeroMQ PULL endpoint for senders that want no answer; empty: "
	    "none."),
	KEY("queue.pull_connect", STRINGS, queue.pull_connect, 0, 16, "[]",
	    "PUSH endpoints of ventilators elsewhere that the daemon connects "
	    "to. A name is looked up at the start, as IPv4 if it is that, too."),

	KEY("verdicts.pub", STRING, verdicts.pub, 0, 255,
	    "\"tcp://127.0.0.1:5773\"",
	    "ZeroMQ PUB endpoint; topics are verdict.DECISION.POLICY. Empty: "
	    "none."),

	KEY("curve.secret_key_file", PATH, curve.secret_key_file, 0, 0, "\"\"",
	    "File with the daemon's Z85 secret key (`clipward keygen` makes "
	    "one); empty: no encryption, and binding to loopback only."),
	KEY("curve.clients_file", PATH, curve.clients_file, 0, 0, "\"\"",
	    "File of client keys and their rights, one a line: KEY "
	    "submit,watch,reload NAME. Read again at each reload."),

	KEY0("workers.count", workers.count, "auto", 256, "auto",
	    "Worker processes; auto: one per usable CPU core, divided by "
	    "threads."),
	KEY("workers.batch", COUNT, workers.batch, 1, 256, "8",
	    "Most images scored together. More is faster and slower to "
	    "answer."),
	KEY("workers.batch_wait", MSEC, workers.batch_wait_ms, 0, 1000, "5ms",
	    "How long the first image of a batch waits for company."),
	KEY("workers.deadline", MSEC, workers.deadline_ms, 100, 600000, "30s",
	    "Time one batch may take to its first answer, and from answer to "
	    "answer, before its worker is killed and its images are tried "
	    "again alone."),
	KEY("workers.threads", COUNT, workers.threads, 1, 64, "1",
	    "Threads of each worker. One per core in separate processes "
	    "scales best."),
	KEY("workers.sandbox", BOOL, workers.sandbox, 0, 1, "true",
	    "Enter the seccomp sandbox before reading any image. false is for "
	    "debugging, and logged at every start."),

	KEY("limits.bytes", BYTES, limits.bytes, 1024, 256 * MB, "32M",
	    "Largest encoded image."),
	KEY("limits.decoded_bytes", BYTES, limits.decoded_bytes, 65536,
	    4 * GB, "192M",
	    "Most memory one image may take to decode, estimated from its "
	    "header before anything is decoded."),
	KEY("limits.pixels", BYTES, limits.pixels, 4096, GB, "100M",
	    "Most pixels of one image."),
	KEY("limits.scans", COUNT, limits.scans, 1, 100000, "500",
	    "Most scans of a progressive JPEG."),
	KEY("limits.frames", COUNT, limits.frames, 1, 256, "8",
	    "Most frames of an animation that are looked at."),
	KEY("limits.cpu", MSEC, limits.cpu_ms, 50, 60000, "2s",
	    "Processor time that decoding one image may take."),
	KEY("limits.pending", COUNT, limits.pending, 1, 10000000, "10000",
	    "Most jobs accepted and not yet scored; beyond it senders get "
	    "BUSY."),
	KEY("limits.pending_bytes", BYTES, limits.pending_bytes, MB,
	    1024 * GB, "512M",
	    "Most bytes of such jobs."),
	KEY("limits.reply_bytes", BYTES, limits.reply_bytes, MB, 64 * GB,
	    "128M",
	    "Most bytes of answers held for senders that read slowly, half "
	    "of it for one."),

	KEY_E("views", views, views_word, "auto",
	    "What the model sees of an image: center (CLIP's own crop), whole "
	    "(padded), cover (overlapping squares, every pixel seen) or auto "
	    "(center; with whole when that hides more than a 32nd at an end, or "
	    "cover when the sides differ by more than 1.3).  Frames of an "
	    "animation share 32 views."),

	KEY_E("explain.when", explain.when, when_word, "flagged",
	    "Make attention maps for flagged images, always or never, where a "
	    "policy does not say."),
	KEY0("explain.layers", explain.layers, "all", 1000, "all",
	    "Last layers of the vision tower that maps are made from. What the "
	    "others add is in the remainder, so the sum is exact either way."),
	KEY("explain.top", COUNT, explain.top, 1, 64, "3",
	    "Most maps per image and policy, where a policy does not say."),

	KEY("spool.path", PATH, spool.path, 0, 0, "/var/lib/clipward",
	    "Directory of the database: accepted jobs, verdicts, embeddings."),
	KEY("spool.retain", MSEC, spool.retain_ms, 1000,
	    (uint64_t)3650 * DAY_MS, "30d",
	    "Verdicts older than this are deleted."),
	KEY("spool.retain_bytes", BYTES, spool.retain_bytes, MB,
	    1024 * GB, "10G",
	    "Beyond this the oldest embeddings are deleted, then pictures, "
	    "then verdicts; the quarantine has a quarter of it at most."),
	KEY("spool.embeddings", BOOL, spool.embeddings, 0, 1, "true",
	    "Keep the embedding of each image, so that `clipward policy "
	    "rescore` needs no images."),

	KEY("control.socket", PATH, control.socket, 0, 0,
	    "/run/clipward/control.sock",
	    "Unix socket for `clipward status`, get, watch, drain and "
	    "reload."),

	KEY("http.listen", STRING, http.listen, 0, 255, "\"127.0.0.1:5780\"",
	    "host:port for /healthz, /readyz and /metrics; empty: no HTTP."),
	KEY("http.token_file", PATH, http.token_file, 0, 0, "\"\"",
	    "File whose first line is the bearer token that /metrics wants; "
	    "health is told without it. Needed beyond loopback."),

	KEY_E("log.to", log.to, log_to_word, "syslog",
	    "syslog or stderr."),
	KEY_E("log.level", log.level, level_word, "info",
	    "err, warning, notice, info (one line per verdict) or debug."),

	KEY("plugins", PLUGINS, plugins, 0, CW_CONFIG_LIST_MAX,
	    "[png, webp, gif]",
	    "Plugins to load, each a name (png), a path, or a mapping of path "
	    "and the plugin's options. See clipward-plugin(7)."),
};

const struct cw_config_key *
cw_config_keys(size_t *n)
{
	*n = CW_COUNT(keys);
	return keys;
}

/* ---- one value -------------------------------------------------------- */

/* What reading a file needs on the way down. */
struct reading {
	struct cw_config	*cfg;
	struct cw_arena		*arena;
	struct cw_err		*err;
};

static enum cw_status
no_room(struct reading *r)
{
	return cw_err_set(r->err, CW_E_LIMIT, "no room for the settings");
}

static const char *
resolve(struct reading *r, const char *path, bool data)
{
	const char *here;

	if (path[0] == '\0' || path[0] == '/')
		return path;
	here = strcmp(r->cfg->dir, ".") == 0 ? path :
	    cw_arena_printf(r->arena, "%s/%s", r->cfg->dir, path);
	if (data && here != NULL && access(here, F_OK) == -1) {
		const char *there = cw_arena_printf(r->arena, "%s/%s",
		    CW_DATADIR, path);

		if (there != NULL && access(there, F_OK) == 0)
			return there;
	}
	return here;
}

static enum cw_status
bad_value(struct reading *r, const struct cw_config_key *k,
    const struct cw_yaml *n)
{
	char show[CW_YAML_SHOW], want[160];

	cw_config_key_want(k, want, sizeof(want));
	return cw_yaml_err(r->err, &n->at, "%s is %s; want %s", k->name,
	    cw_yaml_show(n, show), want);
}

static enum cw_status
set_number(struct reading *r, const struct cw_config_key *k,
    const struct cw_yaml *n)
{
	uint64_t v = 0;
	bool ok = n->kind == CW_YAML_SCALAR;

	if (!ok)
		return bad_value(r, k, n);
	if (k->zero != NULL && strcmp(n->text, k->zero) == 0) {
		memcpy((char *)r->cfg + k->at, &v, sizeof(v));
		return CW_OK;
	}
	switch (k->type) {
	case KEY_COUNT:
		ok = cw_value_count(n->text, &v);
		break;
	case KEY_BYTES:
		ok = cw_value_bytes(n->text, &v);
		break;
	case KEY_MSEC:
		ok = cw_value_msec(n->text, &v);
		break;
	case KEY_BOOL:
		ok = cw_value_bool(n->text, &v);
		break;
	default:
		CW_CHECK(!"a number's type");
	}
	if (!ok || v < k->min || v > k->max)
		return bad_value(r, k, n);
	memcpy((char *)r->cfg + k->at, &v, sizeof(v));
	return CW_OK;
}

static enum cw_status
set_enum(struct reading *r, const struct cw_config_key *k,
    const struct cw_yaml *n)
{
	if (n->kind == CW_YAML_SCALAR) {
		for (uint64_t v = 0; v < CW_CONFIG_WORDS; v++) {
			const char *word = k->word(v);

			if (word == NULL || strcmp(word, n->text) != 0)
				continue;
			memcpy((char *)r->cfg + k->at, &v, sizeof(v));
			return CW_OK;
		}
	}
	return bad_value(r, k, n);
}

static enum cw_status
set_string(struct reading *r, const struct cw_config_key *k,
    const struct cw_yaml *n)
{
	const char *s = n->text;

	if (n->kind != CW_YAML_SCALAR ||
	    (k->type == KEY_STRING && strlen(s) > k->max))
		return bad_value(r, k, n);
	if (k->type != KEY_STRING &&
	    (k->zero == NULL || strcmp(s, k->zero) != 0))
		s = resolve(r, s, k->type == KEY_DATA_PATH);
	if (s == NULL)
		return no_room(r);
	memcpy((char *)r->cfg + k->at, &s, sizeof(s));
	return CW_OK;
}

static enum cw_status
set_strings(struct reading *r, const struct cw_config_key *k,
    const struct cw_yaml *n)
{
	const struct cw_yaml *first =
	    n->kind == CW_YAML_SCALAR ? n : n->first;
	struct cw_strings list = { .n = n->kind == CW_YAML_SCALAR ? 1 : n->n };

	/* One word stands for a list of one, where the list must hold any. */
	if (n->kind == CW_YAML_MAP ||
	    (n->kind == CW_YAML_SCALAR && k->min == 0) ||
	    list.n < k->min || list.n > k->max)
		return bad_value(r, k, n);
	list.item = cw_arena_zalloc(r->arena, list.n, sizeof(*list.item));
	if (list.item == NULL)
		return no_room(r);
	for (size_t i = 0; i < list.n; i++, first = first->next) {
		if (first->kind != CW_YAML_SCALAR || first->text[0] == '\0')
			return bad_value(r, k, first);
		list.item[i] = k->type == KEY_STRINGS ? first->text :
		    resolve(r, first->text, true);
		if (list.item[i] == NULL)
			return no_room(r);
	}
	memcpy((char *)r->cfg + k->at, &list, sizeof(list));
	return CW_OK;
}

static enum cw_status
set_plugin(struct reading *r, const struct cw_config_key *k,
    const struct cw_yaml *n, struct cw_plugin_conf *out)
{
	const struct cw_yaml *path =
	    n->kind == CW_YAML_MAP ? cw_yaml_get(n, "path") : n;
	struct cw_strings *o = &out->options;

	if (path == NULL)
		return cw_yaml_err(r->err, &n->at,
		    "plugin without a path; want {path: ..., option: ...}");
	if (path->kind != CW_YAML_SCALAR || path->text[0] == '\0')
		return bad_value(r, k, path);
	out->path = strchr(path->text, '/') == NULL ?
	    cw_config_plugin_path(path->text, r->arena) :
	    resolve(r, path->text, false);
	o->item = cw_arena_zalloc(r->arena, n->n + 1, sizeof(*o->item));
	if (out->path == NULL || o->item == NULL)
		return no_room(r);
	for (const struct cw_yaml *c = n->first; c != NULL; c = c->next) {
		if (c == path)
			continue;
		if (c->kind != CW_YAML_SCALAR)
			return cw_yaml_err(r->err, &c->at,
			    "plugin option %s is %s; want a word", c->key,
			    c->kind == CW_YAML_MAP ? "a mapping" : "a list");
		o->item[o->n] = cw_arena_printf(r->arena, "%s=%s", c->key,
		    c->text);
		if (o->item[o->n++] == NULL)
			return no_room(r);
	}
	return CW_OK;
}

static enum cw_status
set_plugins(struct reading *r, const struct cw_config_key *k,
    const struct cw_yaml *n)
{
	struct cw_plugin_conf *list;
	size_t i = 0;

	if (n->kind != CW_YAML_LIST || n->n > k->max)
		return bad_value(r, k, n);
	list = cw_arena_zalloc(r->arena, n->n, sizeof(*list));
	if (list == NULL)
		return no_room(r);
	for (const struct cw_yaml *c = n->first; c != NULL; c = c->next) {
		enum cw_status st = set_plugin(r, k, c, &list[i++]);

		if (st != CW_OK)
			return st;
	}
	r->cfg->plugins = list;
	r->cfg->nplugins = i;
	return CW_OK;
}

static enum cw_status
set_value(struct reading *r, const struct cw_config_key *k,
    const struct cw_yaml *n)
{
	switch (k->type) {
	case KEY_ENUM:
		return set_enum(r, k, n);
	case KEY_STRING:
	case KEY_PATH:
	case KEY_DATA_PATH:
		return set_string(r, k, n);
	case KEY_STRINGS:
	case KEY_DATA_PATHS:
		return set_strings(r, k, n);
	case KEY_PLUGINS:
		return set_plugins(r, k, n);
	default:
		return set_number(r, k, n);
	}
}

/* ---- the whole file --------------------------------------------------- */

static bool
is_section(const char *name)
{
	const size_t n = strlen(name);

	for (size_t i = 0; i < CW_COUNT(keys); i++)
		if (strncmp(keys[i].name, name, n) == 0 &&
		    keys[i].name[n] == '.')
			return true;
	return false;
}

/* A wrong word at the top is compared with sections, below with settings. */
static enum cw_status
unknown_key(struct reading *r, const char *name, const struct cw_yaml *n)
{
	const bool top = strchr(name, '.') == NULL;
	const char *names[CW_COUNT(keys)];
	char show[CW_YAML_SHOW];

	for (size_t i = 0; i < CW_COUNT(keys); i++) {
		const size_t len = strcspn(keys[i].name, ".");

		names[i] = top ? cw_arena_strndup(r->arena, keys[i].name,
		    len) : keys[i].name;
		if (names[i] == NULL)
			return no_room(r);
	}
	return cw_yaml_err(r->err, &n->key_at,
	    "unknown setting %s; nearest is \"%s\"",
	    cw_yaml_quote(name, show),
	    cw_value_nearest(name, names, CW_COUNT(keys)));
}

static enum cw_status
set_key(struct reading *r, const char *name, const struct cw_yaml *n)
{
	for (size_t i = 0; i < CW_COUNT(keys); i++)
		if (strcmp(keys[i].name, name) == 0)
			return set_value(r, &keys[i], n);
	return unknown_key(r, name, n);
}

static enum cw_status
set_section(struct reading *r, const struct cw_yaml *section)
{
	enum cw_status st = CW_OK;
	char show[CW_YAML_SHOW];
	const char *name;

	/* "model:" with all its settings commented out says nothing. */
	if (section->kind == CW_YAML_SCALAR && section->plain &&
	    section->text[0] == '\0')
		return CW_OK;
	if (section->kind != CW_YAML_MAP)
		return cw_yaml_err(r->err, &section->at,
		    "%s is %s; want a mapping of settings", section->key,
		    cw_yaml_show(section, show));
	for (const struct cw_yaml *c = section->first;
	    c != NULL && st == CW_OK; c = c->next) {
		name = cw_arena_printf(r->arena, "%s.%s", section->key,
		    c->key);
		st = name == NULL ? no_room(r) : set_key(r, name, c);
	}
	return st;
}

/* Each row's default is parsed like a value in the file. */
static enum cw_status
set_defaults(struct reading *r)
{
	for (size_t i = 0; i < CW_COUNT(keys); i++) {
		const struct cw_config_key *k = &keys[i];
		enum cw_status st;
		struct cw_yaml *n;

		st = cw_yaml_parse("default", k->def, strlen(k->def),
		    r->arena, &n, r->err);
		if (st == CW_OK)
			st = set_value(r, k, n);
		if (st != CW_OK)
			return st;
	}
	return CW_OK;
}

/* Settings that follow from others, once all are known. */
static enum cw_status
finish(struct reading *r)
{
	struct cw_config *cfg = r->cfg;

	if (strcmp(cfg->model.cache, "auto") == 0)
		cfg->model.cache = cw_arena_printf(r->arena, "%s/packed",
		    cfg->spool.path);
	return cfg->model.cache == NULL || cw_arena_overflowed(r->arena) ?
	    no_room(r) : CW_OK;
}

enum cw_status
cw_config_defaults(const char *dir, struct cw_arena *a,
    struct cw_config *out, struct cw_err *err)
{
	struct cw_config cfg = { .file = "", .dir = dir };
	struct reading r = { &cfg, a, err };
	enum cw_status st = set_defaults(&r);

	if (st == CW_OK)
		st = finish(&r);
	if (st == CW_OK)
		*out = cfg;
	return st;
}

enum cw_status
cw_config_read(const char *path, struct cw_arena *a, struct cw_config *out,
    struct cw_err *err)
{
	const char *slash = strrchr(path, '/');
	struct cw_config cfg = { .file = path };
	struct reading r = { &cfg, a, err };
	struct cw_yaml *root;
	enum cw_status st;

	cfg.file = cw_arena_strdup(a, path);
	cfg.dir = slash == NULL ? "." : slash == path ? "/" :
	    cw_arena_strndup(a, path, (size_t)(slash - path));
	if (cfg.file == NULL || cfg.dir == NULL)
		return no_room(&r);
	if ((st = set_defaults(&r)) != CW_OK)
		return st;
	st = cw_yaml_read(cfg.file, CW_CONFIG_BYTES, a, &root, err);
	if (st != CW_OK)
		return st;
	if (root->kind != CW_YAML_MAP)
		return cw_yaml_err(err, &root->at,
		    "not a mapping; want sections such as model and queue");
	for (const struct cw_yaml *c = root->first;
	    c != NULL && st == CW_OK; c = c->next)
		st = is_section(c->key) ? set_section(&r, c) :
		    set_key(&r, c->key, c);
	if (st == CW_OK)
		st = cw_config_check(&cfg, root, err);
	if (st == CW_OK)
		st = finish(&r);
	if (st == CW_OK)
		*out = cfg;
	return st;
}
