/*
 * test_safetensors.c - good files give their values, bad ones an error.
 */
#include "arrays.h"

#include <dirent.h>

#include "model/safetensors.h"

static char dir[32];			/* a fresh directory for each test */
static int dirfd_;
static struct cw_arena *arena;

static int
set_up(void **state)
{
	struct cw_err err = { "" };

	(void)state;
	strcpy(dir, "/tmp/cw-test-XXXXXX");
	if (mkdtemp(dir) == NULL ||
	    cw_arena_open(ARENA_BYTES, &arena, &err) != CW_OK)
		return -1;
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dirfd_ == -1 ? -1 : 0;
}

static int
tear_down(void **state)
{
	char cmd[64];

	(void)state;
	cw_arena_close(&arena);
	cw_close(&dirfd_);
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	return system(cmd);
}

static void
write_file(const char *name, const void *p, size_t n)
{
	int fd = openat(dirfd_, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
	    0600);
	struct cw_err err = { "" };

	assert_true(fd != -1);
	must(cw_write_full(fd, p, n, &err), &err);
	cw_close(&fd);
}

/* A file of that header and `body` zero bytes. */
static void
write_tensors(const char *name, const char *header, size_t body)
{
	const uint64_t n = strlen(header);
	unsigned char *p = cw_arena_zalloc(arena, 1, 8 + n + body);

	for (size_t i = 0; i < 8; i++)
		p[i] = (unsigned char)(n >> 8 * i);
	memcpy(p + 8, header, n);
	write_file(name, p, 8 + n + body);
}

static enum cw_status
open_here(const char *name, struct cw_safetensors *st, struct cw_err *err)
{
	return name == NULL ?
	    cw_safetensors_open(dirfd_, dir, arena, st, err) :
	    cw_safetensors_open_file(dirfd_, dir, name, arena, st, err);
}

static void
test_each_half_widens_to_the_float_of_its_value(void **state)
{
	unsigned char two[2];
	struct cw_tensor t = { .dtype = CW_F16, .count = 1, .data = two };

	(void)state;
	for (unsigned h = 0; h < 65536; h++) {
		_Float16 f16;
		float got, want;
		uint16_t bits = (uint16_t)h;

		two[0] = (unsigned char)h;
		two[1] = (unsigned char)(h >> 8);
		memcpy(&f16, &bits, sizeof(f16));
		want = (float)f16;
		cw_tensor_widen(&t, &got);
		if (isnan(want) ? !isnan(got) :
		    memcmp(&got, &want, sizeof(got)) != 0)
			fail_msg("0x%04x: got %a, want %a", h, (double)got,
			    (double)want);
	}
}

static void
check_bits(const struct cw_safetensors *st, const struct cw_doc *doc,
    const char *name)
{
	struct cw_val list = cw_val_get(cw_doc_root(doc), name);
	const struct cw_tensor *t = cw_safetensors_find(st, name);
	float v[64];

	assert_non_null(t);
	assert_int_equal(t->count, cw_val_size(list));
	assert_true(t->count <= 64);
	cw_tensor_widen(t, v);
	for (size_t i = 0; i < t->count; i++) {
		const char *hex = "";
		uint32_t bits;
		size_t n;

		assert_true(cw_val_text(cw_val_at(list, i), &hex, &n));
		memcpy(&bits, &v[i], sizeof(bits));
		assert_int_equal(bits, strtoul(hex, NULL, 16));
	}
}

static void
test_every_dtype_of_the_shared_file_has_its_values(void **state)
{
	static const char *const names[] = { "f16", "bf16", "f32", "scalar" };
	struct cw_safetensors st;
	struct cw_err err = { "" };
	struct cw_doc doc;
	char path[512];
	int fd;

	(void)state;
	if (shared_path(path, sizeof(path), "fixtures/safetensors") == NULL)
		skip();
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd != -1);
	must(cw_safetensors_open_file(fd, path, "all.safetensors", arena, &st,
	    &err), &err);
	must(cw_doc_open(fd, path, "expected.json", 1 << 20, arena, &doc,
	    &err), &err);
	assert_int_equal(st.ntensors, 7);
	for (size_t i = 0; i < CW_COUNT(names); i++)
		check_bits(&st, &doc, names[i]);
	assert_int_equal(cw_safetensors_find(&st, "empty")->count, 0);
	assert_int_equal(cw_safetensors_find(&st, "i64")->dtype,
	    CW_DTYPE_OTHER);
	assert_null(cw_safetensors_find(&st, "absent"));
	cw_doc_close(&doc);
	cw_safetensors_close(&st);
	cw_close(&fd);
}

static void
test_every_broken_shared_file_is_refused_in_words(void **state)
{
	char path[512];
	struct dirent *e;
	int fd, seen = 0;
	DIR *d;

	(void)state;
	if (shared_path(path, sizeof(path), "fixtures/safetensors") == NULL)
		skip();
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		struct cw_safetensors st;
		struct cw_err err = { "" };

		if (strncmp(e->d_name, "bad_", 4) != 0)
			continue;
		if (cw_safetensors_open_file(fd, path, e->d_name, arena, &st,
		    &err) != CW_E_MODEL)
			fail_msg("%s was not refused", e->d_name);
		assert_non_null(strstr(err.text, e->d_name));
		seen++;
	}
	assert_int_equal(seen, 13);
	closedir(d);
	cw_close(&fd);
}

#define T(dtype, shape, offsets) "{\"dtype\":\"" dtype "\",\"shape\":" shape \
	",\"data_offsets\":" offsets "}"

static void
test_a_header_that_lies_is_refused_by_name(void **state)
{
	static const struct {
		const char	*what, *header;
		size_t		 body;
		const char	*want;
	} cases[] = {
		{ "no entry at all, but bytes", "{}", 4, "4 bytes after" },
		{ "a list", "[]", 0, "not a JSON object" },
		{ "an entry of another kind", "{\"a\":1}", 4, "\"a\"" },
		{ "no dtype", "{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}",
		    4, "unknown dtype \"\"" },
		{ "no shape", "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":"
		    "[0,4]}}", 4, "want a shape" },
		{ "nine dimensions", "{\"a\":" T("F32",
		    "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, "at most 8" },
		{ "a fraction", "{\"a\":" T("F32", "[1.5]", "[0,4]") "}", 4,
		    "dimension 0" },
		{ "a size as text", "{\"a\":" T("F32", "[\"1\"]", "[0,4]")
		    "}", 4, "dimension 0" },
		{ "a product past 64 bits", "{\"a\":" T("F32",
		    "[4294967296,4294967296]", "[0,4]") "}", 4,
		    "dimension 1" },
		{ "bytes past 64 bits", "{\"a\":" T("F64",
		    "[4294967296,1073741824]", "[0,8]") "}", 8,
		    "shape and data_offsets disagree" },
		{ "a size of 1e300", "{\"a\":" T("F32", "[1e300]", "[0,4]")
		    "}", 4, "dimension 0" },
		{ "one offset", "{\"a\":" T("F32", "[1]", "[0]") "}", 4,
		    "are not a span" },
		{ "three offsets", "{\"a\":" T("F32", "[1]", "[0,4,8]") "}",
		    8, "are not a span" },
		{ "before the data", "{\"a\":" T("F32", "[1]", "[-4,0]") "}",
		    4, "are not a span" },
		{ "a byte past the end", "{\"a\":" T("F32", "[1]", "[1,5]")
		    "}", 4, "are not a span" },
		{ "a hole", "{\"a\":" T("F32", "[1]", "[0,4]") ",\"b\":"
		    T("F32", "[1]", "[8,12]") "}", 12,
		    "\"b\": there is a hole" },
		{ "an overlap of a byte", "{\"a\":" T("F32", "[1]", "[0,4]")
		    ",\"b\":" T("U8", "[4]", "[3,7]") "}", 7,
		    "\"b\": overlaps" },
		{ "the same name twice", "{\"a\":" T("F32", "[1]", "[0,4]")
		    ",\"a\":" T("F32", "[1]", "[4,8]") "}", 8, "duplicate" },
		{ "a NUL in a name", "{\"a\\u0000b\":" T("F32", "[1]",
		    "[0,4]") "}", 4, "NUL" },
	};

	(void)state;
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		struct cw_safetensors st;
		struct cw_err err = { "" };
		enum cw_status s;

		write_tensors("x.safetensors", cases[i].header,
		    cases[i].body);
		s = open_here("x.safetensors", &st, &err);
		if (s != CW_E_MODEL || strstr(err.text, cases[i].want) == NULL)
			fail_msg("%s: got %s \"%s\"; want \"%s\"",
			    cases[i].what, cw_status_name(s), err.text,
			    cases[i].want);
	}
}

static void
test_any_byte_may_be_flipped_without_a_crash(void **state)
{
	static const char header[] = "{\"a\":" T("F32", "[2,3]", "[0,24]")
	    ",\"b\":" T("F16", "[4]", "[24,32]") "}";
	const size_t n = 8 + sizeof(header) - 1 + 32;
	unsigned char bytes[512] = { sizeof(header) - 1 };
	size_t fine = 0;

	(void)state;
	memcpy(bytes + 8, header, sizeof(header) - 1);
	for (size_t i = 0; i < n * 8; i++) {
		struct cw_safetensors st;
		struct cw_err err = { "" };
		size_t mark = cw_arena_mark(arena);

		bytes[i / 8] ^= (unsigned char)(1 << i % 8);
		write_file("x.safetensors", bytes, n);
		if (open_here("x.safetensors", &st, &err) == CW_OK) {
			for (size_t k = 0; k < st.ntensors; k++) {
				const struct cw_tensor *t = &st.tensors[k];
				float v[8];

				assert_true(t->count <= 8);
				if (t->dtype != CW_DTYPE_OTHER)
					cw_tensor_widen(t, v);
			}
			cw_safetensors_close(&st);
			fine++;
		} else {
			assert_true(err.text[0] != '\0');
		}
		bytes[i / 8] ^= (unsigned char)(1 << i % 8);
		cw_arena_release(arena, mark);
	}
	assert_true(fine >= 32 * 8);		/* flips in the data */
}

static void
test_every_cut_of_a_file_is_refused(void **state)
{
	static const char header[] = "{\"a\":" T("F32", "[2,3]", "[0,24]")
	    "}";
	const size_t n = 8 + sizeof(header) - 1 + 24;
	unsigned char bytes[256] = { sizeof(header) - 1 };

	(void)state;
	memcpy(bytes + 8, header, sizeof(header) - 1);
	for (size_t len = 0; len < n; len++) {
		struct cw_safetensors st;
		struct cw_err err = { "" };

		write_file("x.safetensors", bytes, len);
		assert_int_equal(open_here("x.safetensors", &st, &err),
		    CW_E_MODEL);
	}
}

static void
test_shards_are_one_model(void **state)
{
	struct cw_safetensors st;
	struct cw_err err = { "" };
	static const char index[] = "{\"weight_map\":{\"a\":\"1.safetensors\","
	    "\"c\":\"2.safetensors\",\"b\":\"1.safetensors\"}}";

	(void)state;
	write_tensors("1.safetensors", "{\"b\":" T("F32", "[1]", "[0,4]")
	    ",\"a\":" T("F32", "[1]", "[4,8]") "}", 8);
	write_tensors("2.safetensors", "{\"c\":" T("F32", "[2]", "[0,8]") "}",
	    8);
	write_file("model.safetensors.index.json", index, strlen(index));
	must(open_here(NULL, &st, &err), &err);
	assert_int_equal(st.nfiles, 2);
	assert_int_equal(st.ntensors, 3);
	assert_int_equal(cw_safetensors_find(&st, "c")->count, 2);
	cw_safetensors_close(&st);
}

static void
test_an_index_that_lies_is_refused_by_name(void **state)
{
	static const struct {
		const char	*what, *index, *want;
	} cases[] = {
		{ "no map", "{}", "want an object weight_map" },
		{ "a list", "{\"weight_map\":[\"1.safetensors\"]}",
		    "want an object weight_map" },
		{ "a way out", "{\"weight_map\":{\"a\":\"../1.safetensors\"}}",
		    "want the name of a file beside it" },
		{ "an absolute path", "{\"weight_map\":{\"a\":\"/etc/passwd\"}"
		    "}", "want the name of a file beside it" },
		{ "a number", "{\"weight_map\":{\"a\":1}}",
		    "want the name of a file beside it" },
		{ "a missing file", "{\"weight_map\":{\"a\":\"3.safetensors\"}"
		    "}", "3.safetensors: no such file" },
		{ "the wrong file", "{\"weight_map\":{\"a\":\"1.safetensors\","
		    "\"b\":\"2.safetensors\"}}", "is in two files" },
		{ "a missing tensor", "{\"weight_map\":{\"a\":"
		    "\"1.safetensors\",\"x\":\"1.safetensors\"}}",
		    "tensor \"x\" is not in 1.safetensors" },
	};

	(void)state;
	write_tensors("1.safetensors", "{\"a\":" T("F32", "[1]", "[0,4]")
	    "}", 4);
	write_tensors("2.safetensors", "{\"a\":" T("F32", "[1]", "[0,4]")
	    "}", 4);
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		struct cw_safetensors st;
		struct cw_err err = { "" };
		enum cw_status s;

		write_file("model.safetensors.index.json", cases[i].index,
		    strlen(cases[i].index));
		s = open_here(NULL, &st, &err);
		if (s != CW_E_MODEL || strstr(err.text, cases[i].want) == NULL)
			fail_msg("%s: got %s \"%s\"; want \"%s\"",
			    cases[i].what, cw_status_name(s), err.text,
			    cases[i].want);
	}
}

static void
test_a_pickle_is_refused_with_the_command_that_converts_it(void **state)
{
	static const char *const names[] = { "pytorch_model.bin",
	    "ViT-B-32.pt" };

	(void)state;
	for (size_t i = 0; i < CW_COUNT(names); i++) {
		struct cw_safetensors st;
		struct cw_err err = { "" };

		write_file(names[i], "\x80\x02}q", 4);
		assert_int_equal(open_here(NULL, &st, &err), CW_E_MODEL);
		assert_non_null(strstr(err.text, names[i]));
		assert_non_null(strstr(err.text, "weights_only=True"));
		unlinkat(dirfd_, names[i], 0);
	}
}

static void
test_a_pointer_to_weights_is_told_from_weights(void **state)
{
	static const char lfs[] = "version https://git-lfs.github.com/spec/v1"
	    "\noid sha256:00\nsize 605157884\n";
	struct cw_safetensors st;
	struct cw_err err = { "" };

	(void)state;
	write_file("model.safetensors", lfs, sizeof(lfs) - 1);
	assert_int_equal(open_here(NULL, &st, &err), CW_E_MODEL);
	assert_non_null(strstr(err.text, "git lfs pull"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_each_half_widens_to_the_float_of_its_value),
		TEST(test_every_dtype_of_the_shared_file_has_its_values),
		TEST(test_every_broken_shared_file_is_refused_in_words),
		TEST(test_a_header_that_lies_is_refused_by_name),
		TEST(test_any_byte_may_be_flipped_without_a_crash),
		TEST(test_every_cut_of_a_file_is_refused),
		TEST(test_shards_are_one_model),
		TEST(test_an_index_that_lies_is_refused_by_name),
		TEST(test_a_pickle_is_refused_with_the_command_that_converts_it),
		TEST(test_a_pointer_to_weights_is_told_from_weights),
	};

	return cmocka_run_group_tests_name("safetensors", tests, NULL, NULL);
}
