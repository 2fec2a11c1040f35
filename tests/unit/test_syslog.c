/*
 * test_syslog.c - lines reach a log, and a log that hangs stops nobody.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/syslog.h"

static char dir[] = "/tmp/cw-syslog-XXXXXX";
static char path[64];

static int
listen_here(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	memcpy(sun.sun_path, path, strlen(path));
	unlink(path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

/*
 * What a line takes is its processor time, as long as the process gave the
 * processor up of itself never: a machine's other work is not the log's.
 */
static double
processor_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void
test_a_line_arrives_with_its_level_and_program(void **state)
{
	int fd = listen_here();
	char buf[256];
	ssize_t n;

	(void)state;
	cw_syslog_open(path, "prog");
	assert_int_equal(cw_syslog_send(6, "verdict job=1"), 0);
	n = recv(fd, buf, sizeof(buf) - 1, 0);
	assert_true(n > 0);
	buf[n] = '\0';
	assert_memory_equal(buf, "<30>", 4);
	assert_non_null(strstr(buf, " prog["));
	assert_non_null(strstr(buf, "]: verdict job=1"));
	close(fd);
}

static void
test_a_log_that_hangs_costs_lines_and_no_time(void **state)
{
	int fd = listen_here(), lost = 0;
	struct rusage before, after;
	double slowest = 0, from;
	char buf[256];
	ssize_t n;
	long waits;

	(void)state;
	cw_syslog_open(path, "prog");
	getrusage(RUSAGE_SELF, &before);
	for (int i = 0; i < 5000; i++) {
		from = processor_ms();
		lost -= cw_syslog_send(6, "nobody reads this");
		slowest = fmax(slowest, processor_ms() - from);
	}
	getrusage(RUSAGE_SELF, &after);
	waits = after.ru_nvcsw - before.ru_nvcsw;
	printf("figure 5,000 lines to a syslog that hangs: it waited %ld "
	    "times (bound 0), slowest line %.2f ms (bound 10), %d dropped "
	    "and counted\n", waits, slowest, lost);
	assert_true(lost > 1000);
	assert_int_equal(waits, 0);
	assert_true(slowest < 10);
	/* It reads again: the count comes first. */
	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(cw_syslog_send(6, "back"), 0);
	n = recv(fd, buf, sizeof(buf) - 1, 0);
	assert_true(n > 0);
	buf[n] = '\0';
	assert_non_null(strstr(buf, "log dropped="));
	close(fd);
}

static void
test_a_log_that_was_restarted_is_found_again(void **state)
{
	int fd = listen_here(), again;
	char buf[256];

	(void)state;
	cw_syslog_open(path, "prog");
	assert_int_equal(cw_syslog_send(6, "one"), 0);
	close(fd);
	again = listen_here();
	assert_int_equal(cw_syslog_send(6, "two"), 0);
	assert_true(recv(again, buf, sizeof(buf), MSG_DONTWAIT) > 0);
	close(again);
	unlink(path);
	cw_syslog_close();
	assert_int_equal(cw_syslog_send(6, "nobody there"), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_line_arrives_with_its_level_and_program),
		cmocka_unit_test(test_a_log_that_hangs_costs_lines_and_no_time),
		cmocka_unit_test(test_a_log_that_was_restarted_is_found_again),
	};
	int failed;

	if (mkdtemp(dir) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/log", dir);
	failed = cmocka_run_group_tests_name("syslog", tests, NULL, NULL);
	unlink(path);
	rmdir(dir);
	return failed;
}
