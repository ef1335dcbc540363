/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How long programs take to start and end: start ROUNDS PROGRAM... prints of each the tenth part and
 * the median, in microseconds. The rounds go round all of them, so that a busy machine is busy for all. */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Negative if it can't be run or fails. */
static double start_us(char *program)
{
	char *arguments[] = { program, NULL }, *environment[] = { NULL };
	double begin = now_us();
	int status;
	pid_t pid;

	if (posix_spawn(&pid, program, NULL, NULL, arguments, environment) != 0 ||
	    waitpid(pid, &status, 0) != pid || status != 0)
		return -1;
	return now_us() - begin;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int main(int argc, char **argv)
{
	int rounds = argc > 2 ? atoi(argv[1]) : 0;
	double *times;

	if (rounds < 1) {
		fprintf(stderr, "usage: start ROUNDS PROGRAM...\n");
		return 2;
	}
	times = calloc((size_t)rounds * (size_t)argc, sizeof(*times));
	if (!times)
		return 1;
	for (int round = -1; round < rounds; round++) {
		for (int i = 2; i < argc; i++) {
			double time = start_us(argv[i]);

			if (time < 0) {
				fprintf(stderr, "start: %s fails\n", argv[i]);
				return 1;
			}
			/* the first round only fills the page cache */
			if (round >= 0)
				times[i * rounds + round] = time;
		}
	}
	for (int i = 2; i < argc; i++) {
		qsort(&times[i * rounds], (size_t)rounds, sizeof(*times), compare);
		printf("%.1f %.1f\n", times[i * rounds + rounds / 10],
		       times[i * rounds + rounds / 2]);
	}
	free(times);
	return 0;
}
