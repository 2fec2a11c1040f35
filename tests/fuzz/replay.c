/*
 * replay.c - run a harness over a corpus without a fuzzer.
 *
 * usage: replay FILE/DIR...   Prints how many inputs were run; a crash is the
 * sanitizer's or the kernel's to report.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long
run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *buf;
	long n;

	if (f == NULL || fseek(f, 0, SEEK_END) == -1 || (n = ftell(f)) < 0) {
		perror(path);
		exit(1);
	}
	rewind(f);
	/* Exactly n bytes, so that a sanitizer sees a read past the end. */
	buf = malloc(n == 0 ? 1 : (size_t)n);
	if (buf == NULL || fread(buf, 1, (size_t)n, f) != (size_t)n) {
		perror(path);
		exit(1);
	}
	fclose(f);
	LLVMFuzzerTestOneInput(buf, (size_t)n);
	free(buf);
	return 1;
}

static unsigned long
run_path(const char *path)
{
	unsigned long n = 0;
	struct dirent *e;
	struct stat sb;
	DIR *d;

	if (stat(path, &sb) == -1)
		return 0;
	if (!S_ISDIR(sb.st_mode))
		return run_file(path);
	d = opendir(path);
	if (d == NULL) {
		perror(path);
		exit(1);
	}
	while ((e = readdir(d)) != NULL) {
		char child[4096];

		if (e->d_name[0] == '.')
			continue;
		snprintf(child, sizeof(child), "%s/%s", path, e->d_name);
		n += run_path(child);
	}
	closedir(d);
	return n;
}

int
main(int argc, char **argv)
{
	unsigned long n = 0;

	for (int i = 1; i < argc; i++)
		n += run_path(argv[i]);
	printf("%lu inputs\n", n);
	return n == 0;
}
