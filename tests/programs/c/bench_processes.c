/* Runs a program ROUNDS times alone and ROUNDS times with SHIM preloaded, in turn, so that what else
 * the machine does falls on both alike:
 *
 *   bench_processes ROUNDS SHIM PROGRAM [ARG...]     SHIM empty: alone only
 *
 * Prints a line for each way: its name, then medians of one run: wall time and processor time in
 * microseconds, and the most that was resident in KiB. The program's output is thrown away. Status 1
 * where a run did not end with 0. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WAYS = 2, MEASURES = 3 };

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * (int64_t)1000000000 + time.tv_nsec;
}

static int64_t microseconds(struct timeval time)
{
    return time.tv_sec * (int64_t)1000000 + time.tv_usec;
}

static void run(const char *shim, char **program, int64_t measures[MEASURES])
{
    struct rusage used;
    int status;
    int64_t start = now();
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 0);
        dup2(null, 1);
        dup2(null, 2);
        if (*shim)
            setenv("LD_PRELOAD", shim, 1);
        execvp(program[0], program);
        _exit(127);
    }
    while (child > 0 && wait4(child, &status, 0, &used) < 0 && errno == EINTR)
        ;
    if (child < 0 || status != 0) {
        fprintf(stderr, "bench_processes: %s %s\n", program[0],
                child < 0 ? "was not started" : "did not end with 0");
        exit(1);
    }
    measures[0] = (now() - start) / 1000;
    measures[1] = microseconds(used.ru_utime) + microseconds(used.ru_stime);
    measures[2] = used.ru_maxrss;
}

static int compare(const void *one, const void *other)
{
    int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
    return (a > b) - (a < b);
}

int main(int argc, char **argv)
{
    static const char *const names[WAYS] = {"bare", "with"};
    int rounds = argc > 3 ? atoi(argv[1]) : 0;
    if (rounds < 1)
        return 2;
    const char *shims[WAYS] = {"", argv[2]};
    int ways = *argv[2] ? WAYS : 1;
    int64_t(*seen)[MEASURES][WAYS] = NULL, *sorted = malloc((size_t)rounds * sizeof *sorted);
    seen = malloc((size_t)rounds * sizeof *seen);
    if (!seen || !sorted)
        return 1;
    for (int round = 0; round < rounds; round++)
        for (int way = 0; way < ways; way++) {
            int64_t measures[MEASURES];
            run(shims[way], argv + 3, measures);
            for (int i = 0; i < MEASURES; i++)
                seen[round][i][way] = measures[i];
        }
    for (int way = 0; way < ways; way++) {
        printf("%s", names[way]);
        for (int i = 0; i < MEASURES; i++) {
            for (int round = 0; round < rounds; round++)
                sorted[round] = seen[round][i][way];
            qsort(sorted, (size_t)rounds, sizeof *sorted, compare);
            printf(" %lld", (long long)sorted[rounds / 2]);
        }
        putchar('\n');
    }
    return 0;
}
