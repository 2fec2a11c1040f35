/*
 * nosandbox.c - LD_PRELOAD shim: the last doors stay open.
 *
 * Test only, for tools that live inside the process and need calls of their
 * own (valgrind).  What the sandbox forbids is tested elsewhere.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

/* libseccomp, as far as it is used */
void *seccomp_init(uint32_t action);
int seccomp_attr_set(void *ctx, int what, uint32_t value);
int seccomp_rule_add(void *ctx, uint32_t action, int call, unsigned n, ...);
int seccomp_rule_add_array(void *ctx, uint32_t action, int call, unsigned n,
    const void *args);
int seccomp_load(const void *ctx);
void seccomp_release(void *ctx);
int close_range(unsigned first, unsigned last, int flags);

void *
seccomp_init(uint32_t action)
{
	static int something;

	(void)action;
	return &something;
}

int
seccomp_attr_set(void *ctx, int what, uint32_t value)
{
	(void)ctx;
	(void)what;
	(void)value;
	return 0;
}

int
seccomp_rule_add(void *ctx, uint32_t action, int call, unsigned n, ...)
{
	(void)ctx;
	(void)action;
	(void)call;
	(void)n;
	return 0;
}

int
seccomp_rule_add_array(void *ctx, uint32_t action, int call, unsigned n,
    const void *args)
{
	(void)args;
	return seccomp_rule_add(ctx, action, call, n);
}

int
seccomp_load(const void *ctx)
{
	(void)ctx;
	return 0;
}

void
seccomp_release(void *ctx)
{
	(void)ctx;
}

int
close_range(unsigned first, unsigned last, int flags)
{
	(void)first;
	(void)last;
	(void)flags;
	return 0;
}

int
setrlimit(__rlimit_resource_t what, const struct rlimit *limit)
{
	(void)what;
	(void)limit;
	return 0;
}
