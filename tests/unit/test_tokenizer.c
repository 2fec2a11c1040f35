/*
 * test_tokenizer.c - every prompt gives exactly the expected ids.
 */
#include "arrays.h"

#include "model/tokenizer.h"

static struct cw_arena *arena;

static int
set_up(void **state)
{
	struct cw_err err = { "" };

	(void)state;
	return cw_arena_open(ARENA_BYTES, &arena, &err) == CW_OK ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	cw_arena_close(&arena);
	return 0;
}

static enum cw_status
load(const char *dir, int context, int vocab, struct cw_tokenizer *t,
    struct cw_err *err)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum cw_status st;

	assert_true(fd != -1);
	st = cw_tokenizer_load(fd, dir, context, vocab, arena, arena, t, err);
	cw_close(&fd);
	return st;
}

/* Compare with a row of want[n]; what lies behind the end mark is padding. */
static void
check_ids(const struct cw_tokenizer *t, const char *text, const int *want,
    size_t n, const char *label, size_t row)
{
	struct cw_err err = { "" };
	int *ids = cw_arena_alloc(arena, (size_t)t->context * sizeof(*ids));
	int got;

	must(cw_tokenizer_encode(t, text, arena, ids, &got, &err), &err);
	for (int i = 0; i < got; i++)
		if ((size_t)i >= n || ids[i] != want[i])
			fail_msg("%s: prompt %zu \"%.40s\": id %d is %d, "
			    "want %d", label, row, text, i, ids[i],
			    (size_t)i < n ? want[i] : -1);
	assert_int_equal(ids[got - 1], t->end);
	assert_true(got <= t->context);
}

/* ---- the vocabularies of the models that have expected ids ---- */

/* The prompts behind a model's ids: in expected.json, or the shared list. */
static void
read_prompts(struct bench *b, struct cw_doc *out, struct cw_val *list)
{
	struct cw_val v = cw_val_get(cw_doc_root(&b->expected), "prompts");
	struct cw_err err = { "" };
	char *s, *wrapped, file[512];
	size_t n;

	out->root = NULL;
	*list = v;
	if (cw_val_is_array(v))
		return;
	if (shared_path(file, sizeof(file), "fixtures/prompts.json") == NULL)
		fail_msg("%s: its prompts are in CW_SHARED", b->dir);
	must(cw_read_file(AT_FDCWD, file, 1 << 20, b->a, &s, &n, &err), &err);
	wrapped = cw_arena_printf(b->a, "{\"prompts\":%s}", s);
	must(cw_doc_parse("prompts.json", wrapped, strlen(wrapped), out, &err), &err);
	*list = cw_val_get(cw_doc_root(out), "prompts");
}

static void
ids_agree(struct bench *b)
{
	const size_t C = (size_t)b->i->text.tokens;
	struct cw_err err = { "" };
	struct cw_tokenizer t;
	struct cw_doc doc;
	struct cw_val list;
	size_t n;
	const int *want = array(b, "ids", sizeof(int), &n);
	int ids[4096], got;

	must(load(b->dir, (int)C, b->i->vocab, &t, &err), &err);
	read_prompts(b, &doc, &list);
	assert_int_equal(cw_val_size(list), n / C);
	for (size_t i = 0; i < n / C; i++) {
		const char *text = NULL;
		size_t len;

		assert_true(cw_val_text(cw_val_at(list, i), &text, &len));
		if (strstr(text, CW_TEXT_END) == NULL)
			check_ids(&t, text, want + i * C, C, b->dir, i);
		else
			assert_int_equal(cw_tokenizer_encode(&t, text, arena,
			    ids, &got, &err), CW_E_FORMAT);
	}
	if (doc.root != NULL)
		cw_doc_close(&doc);
}

static void
test_prompts_give_the_ids_of_each_model(void **state)
{
	(void)state;
	each_model(ids_agree);
}

/* ---- the real vocabulary ---- */

/* `hf` of prompts.json: content ids, without marks, not truncated. */
static void
check_real(const struct cw_tokenizer *t, const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct cw_err err = { "" };
	struct cw_val list;
	struct cw_doc doc;

	must(cw_doc_open(fd, dir, "prompts.json", 1 << 20, arena, &doc, &err),
	    &err);
	list = cw_val_get(cw_doc_root(&doc), "prompts");
	assert_int_equal(cw_val_size(list), 70);
	for (size_t i = 0; i < cw_val_size(list); i++) {
		struct cw_val hf = cw_val_get(cw_val_at(list, i), "hf");
		const char *text = NULL;
		size_t len, n = cw_val_size(hf);
		int want[80] = { t->start };

		assert_true(cw_val_text(cw_val_get(cw_val_at(list, i), "text"),
		    &text, &len));
		if (strstr(text, CW_TEXT_END) != NULL)
			continue;
		n = n > 75 ? 75 : n;
		for (size_t k = 0; k < n; k++) {
			int64_t id;

			assert_true(cw_val_whole(cw_val_at(hf, k), &id));
			want[k + 1] = (int)id;
		}
		want[n + 1] = t->end;
		check_ids(t, text, want, n + 2, "clip-bpe", i);
	}
	cw_doc_close(&doc);
	cw_close(&fd);
}

static void
test_prompts_give_the_ids_of_the_real_vocabulary(void **state)
{
	struct cw_tokenizer t;
	struct cw_err err = { "" };
	char path[512];
	uint64_t from;

	(void)state;
	if (shared_path(path, sizeof(path), "clip-bpe") == NULL)
		skip();
	from = cw_now_us();
	must(load(path, 77, 49408, &t, &err), &err);
	print_message("figure real vocabulary loaded in %.1f ms\n",
	    (double)(cw_now_us() - from) / 1000);
	assert_int_equal(t.start, 49406);
	assert_int_equal(t.end, 49407);
	check_real(&t, path);
}

/* ---- the same vocabulary as one file ---- */

static void
put_json(FILE *f, const char *s, size_t n)
{
	putc('"', f);
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '"' || s[i] == '\\')
			putc('\\', f);
		putc(s[i], f);
	}
	putc('"', f);
}

/* dir/tokenizer.json from the two files of `from`; merges as pairs or not. */
static void
write_one_file(const char *from, const char *dir, bool pairs)
{
	int fd = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct cw_err err = { "" };
	char *vocab, *merges, *line, path[64];
	size_t n;
	FILE *f;

	must(cw_read_file(fd, "vocab.json", 1 << 24, arena, &vocab, &n, &err),
	    &err);
	must(cw_read_file(fd, "merges.txt", 1 << 24, arena, &merges, &n,
	    &err), &err);
	cw_close(&fd);
	snprintf(path, sizeof(path), "%s/tokenizer.json", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "{\"model\":{\"type\":\"BPE\",\"end_of_word_suffix\":"
	    "\"</w>\",\"vocab\":%s,\"merges\":[", vocab);
	line = strchr(merges, '\n') + 1;
	for (bool first = true; *line != '\0'; first = false) {
		size_t len = strcspn(line, "\n"), gap = strcspn(line, " ");

		fputs(first ? "" : ",", f);
		if (pairs) {
			putc('[', f);
			put_json(f, line, gap);
			putc(',', f);
			put_json(f, line + gap + 1, len - gap - 1);
			putc(']', f);
		} else {
			put_json(f, line, len);
		}
		line += len + (line[len] == '\n');
	}
	fputs("]}}", f);
	fclose(f);
}

static void
test_one_file_holds_the_same_tokenizer_as_two(void **state)
{
	char dir[] = "/tmp/cw-test-XXXXXX", path[512], cmd[64];
	struct cw_tokenizer t;
	struct cw_err err = { "" };

	(void)state;
	if (shared_path(path, sizeof(path), "clip-bpe") == NULL)
		skip();
	assert_non_null(mkdtemp(dir));
	for (int pairs = 0; pairs < 2; pairs++) {
		write_one_file(path, dir, pairs);
		must(load(dir, 77, 49408, &t, &err), &err);
		check_real(&t, path);
	}
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	assert_int_equal(system(cmd), 0);
}

/* ---- text that is no prompt ---- */

static void
golden(struct cw_tokenizer *t)
{
	struct cw_err err = { "" };

	must(load("tests/golden/vit", 20, 600, t, &err), &err);
}

static void
test_text_that_is_not_utf8_is_refused(void **state)
{
	static const char *const bad[] = { "\xff", "a\xc3", "\xed\xa0\x80",
	    "\xc0\x80", "\xf4\x90\x80\x80", "ok \x80 ok" };
	struct cw_tokenizer t;
	int ids[20], n;

	(void)state;
	golden(&t);
	for (size_t i = 0; i < CW_COUNT(bad); i++) {
		struct cw_err err = { "" };

		assert_int_equal(cw_tokenizer_encode(&t, bad[i], arena, ids,
		    &n, &err), CW_E_FORMAT);
		assert_non_null(strstr(err.text, "UTF-8"));
	}
}

static void
test_a_literal_end_mark_is_refused(void **state)
{
	struct cw_tokenizer t;
	struct cw_err err = { "" };
	int ids[20], n;

	(void)state;
	golden(&t);
	assert_int_equal(cw_tokenizer_encode(&t, "a gun <|endoftext|> a dog",
	    arena, ids, &n, &err), CW_E_FORMAT);
	assert_non_null(strstr(err.text, "<|endoftext|>"));
	/* In capitals it is only punctuation and letters. */
	must(cw_tokenizer_encode(&t, "<|ENDOFTEXT|>", arena, ids, &n, &err),
	    &err);
	assert_true(n > 3);
}

static void
test_a_long_word_is_cut_and_costs_little(void **state)
{
	struct cw_tokenizer t;
	struct cw_err err = { "" };
	char *text = cw_arena_alloc(arena, CW_TEXT_MAX + 2);
	int ids[20], n, whole;

	(void)state;
	golden(&t);
	for (size_t i = 0; i < CW_TEXT_MAX; i++)
		text[i] = "inthean"[i % 7];
	text[CW_TEXT_MAX] = '\0';
	must(cw_tokenizer_encode(&t, text, arena, ids, &n, &err), &err);
	assert_int_equal(n, 20);
	assert_int_equal(ids[19], t.end);
	must(cw_tokenizer_measure(&t, text, arena, &n, &err), &err);
	assert_true(n > (int)CW_TEXT_MAX / 8);	/* no entry is longer */
	must(cw_tokenizer_measure(&t, "in the", arena, &n, &err), &err);
	must(cw_tokenizer_encode(&t, "in the", arena, ids, &whole, &err),
	    &err);
	assert_int_equal(n, whole);
	text[CW_TEXT_MAX] = 'x';
	text[CW_TEXT_MAX + 1] = '\0';
	assert_int_equal(cw_tokenizer_encode(&t, text, arena, ids, &n, &err),
	    CW_E_LIMIT);
}

static void
test_a_text_of_letters_that_grow_stays_in_its_buffer(void **state)
{
	struct cw_tokenizer t;
	struct cw_err err = { "" };
	char text[2 * 1000 + 1] = "";
	int ids[20], n;

	(void)state;
	golden(&t);
	/* Each becomes two code points in lower case. */
	for (size_t i = 0; i < 1000; i++)
		memcpy(text + 2 * i, "\xc4\xb0", 3);
	must(cw_tokenizer_encode(&t, text, arena, ids, &n, &err), &err);
	assert_int_equal(n, 20);
	must(cw_tokenizer_measure(&t, text, arena, &n, &err), &err);
	assert_true(n > 1000);
}

static void
test_a_token_is_shown_as_people_read_it(void **state)
{
	struct cw_tokenizer t;
	struct cw_err err = { "" };
	char shown[256];
	int ids[20], n;

	(void)state;
	golden(&t);
	must(cw_tokenizer_encode(&t, "The dog, caf\xc3\xa9", arena, ids, &n,
	    &err), &err);
	shown[0] = '\0';
	for (int i = 1; i + 1 < n; i++)
		strcat(shown, cw_tokenizer_text(&t, ids[i], arena));
	/* The two bytes of the last letter are two tokens. */
	assert_string_equal(shown, "the dog , caf\xef\xbf\xbd\xef\xbf\xbd ");
	assert_string_equal(cw_tokenizer_text(&t, t.end, arena),
	    "<|endoftext|>");
	assert_string_equal(cw_tokenizer_text(&t, -1, arena), "");
	assert_string_equal(cw_tokenizer_text(&t, 1 << 30, arena), "");
}

/* ---- vocabularies that are none ---- */

#define MARKS "\"<|startoftext|>\": 3, \"<|endoftext|>\": 4"

static void
test_a_wrong_vocabulary_is_refused_with_file_and_line(void **state)
{
	static const struct {
		const char	*what, *vocab, *merges, *want;
	} cases[] = {
		{ "no marks", "{\"a\": 0}", "", "no entry \"<|startoftext|>" },
		{ "an id too large", "{\"a\": 5, " MARKS "}", "",
		    "want an id from 0 to 4" },
		{ "a negative id", "{\"a\": -1, " MARKS "}", "",
		    "want an id from 0 to 4" },
		{ "an id as text", "{\"a\": \"0\", " MARKS "}", "",
		    "want an id from 0 to 4" },
		{ "an id twice", "{\"a\": 0, \"b\": 0, " MARKS "}", "",
		    "its id 0 is taken" },
		{ "an entry twice", "{\"a\": 0, \"a\": 1, " MARKS "}", "",
		    "duplicate" },
		{ "a list", "[\"a\"]", "", "not a JSON object" },
		{ "a merge of three", "{\"a\": 0, " MARKS "}",
		    "#version: 0.2\na a a\n", "merges.txt:2:" },
		{ "a merge of one", "{\"a\": 0, " MARKS "}", "a\n",
		    "merges.txt:1:" },
		{ "a merge that makes nothing known", "{\"a\": 0, " MARKS "}",
		    "a a\n", "merges.txt:1:" },
		{ "a merge of unknown parts", "{\"a\": 0, \"ab\": 1, " MARKS
		    "}", "\n\na b\n", "merges.txt:3:" },
	};
	char dir[] = "/tmp/cw-test-XXXXXX", path[64], cmd[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < CW_COUNT(cases); i++) {
		const char *const text[] = { cases[i].vocab,
		    cases[i].merges };
		static const char *const names[] = { "vocab.json",
		    "merges.txt" };
		struct cw_tokenizer t;
		struct cw_err err = { "" };
		enum cw_status st;

		for (size_t k = 0; k < 2; k++) {
			FILE *f;

			snprintf(path, sizeof(path), "%s/%s", dir, names[k]);
			f = fopen(path, "w");
			assert_non_null(f);
			fputs(text[k], f);
			fclose(f);
		}
		st = load(dir, 20, 5, &t, &err);
		if (st != CW_E_MODEL || strstr(err.text, cases[i].want) == NULL)
			fail_msg("%s: got %s \"%s\"; want \"%s\"",
			    cases[i].what, cw_status_name(st), err.text,
			    cases[i].want);
	}
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	assert_int_equal(system(cmd), 0);
}

static void
test_a_tokenizer_of_another_kind_is_refused(void **state)
{
	static const char other[] = "{\"model\":{\"type\":\"Unigram\","
	    "\"vocab\":[]}}";
	char dir[] = "/tmp/cw-test-XXXXXX", path[64], cmd[64];
	struct cw_tokenizer t;
	struct cw_err err = { "" };
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(load(dir, 20, 5, &t, &err), CW_E_MODEL);
	assert_non_null(strstr(err.text, "no tokenizer"));
	snprintf(path, sizeof(path), "%s/tokenizer.json", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(other, f);
	fclose(f);
	assert_int_equal(load(dir, 20, 5, &t, &err), CW_E_MODEL);
	assert_non_null(strstr(err.text, "want \"BPE\""));
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	assert_int_equal(system(cmd), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_prompts_give_the_ids_of_each_model),
		TEST(test_prompts_give_the_ids_of_the_real_vocabulary),
		TEST(test_one_file_holds_the_same_tokenizer_as_two),
		TEST(test_text_that_is_not_utf8_is_refused),
		TEST(test_a_literal_end_mark_is_refused),
		TEST(test_a_long_word_is_cut_and_costs_little),
		TEST(test_a_text_of_letters_that_grow_stays_in_its_buffer),
		TEST(test_a_token_is_shown_as_people_read_it),
		TEST(test_a_wrong_vocabulary_is_refused_with_file_and_line),
		TEST(test_a_tokenizer_of_another_kind_is_refused),
	};

	return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
