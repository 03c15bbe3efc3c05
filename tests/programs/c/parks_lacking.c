/* Looks for epoll_pwait2, which not every libc has, and prints what comes of it: with strayspan the
 * same where libc lacks it as where libc has it. Built against musl too. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

typedef int epoll_pwait2_fn(int epoll, struct epoll_event *events, int size,
                            const struct timespec *timeout, const sigset_t *mask);

int main(void)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = 7};
    const struct timespec soon = {0, 1000000};
    sigset_t mask;
    int ends[2];
    epoll_pwait2_fn *wait_for_events = (epoll_pwait2_fn *)dlsym(RTLD_DEFAULT, "epoll_pwait2");
    if (!wait_for_events) {
        puts("there is none");
        return 0;
    }
    if (pipe(ends) != 0)
        return 1;
    sigemptyset(&mask);
    int epoll = epoll_create1(0);
    epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event);
    errno = EDOM;
    int result = wait_for_events(epoll, &event, 1, &soon, &mask);
    printf("nothing ready: %d, errno kept %d\n", result, errno == EDOM);
    if (write(ends[1], "x", 1) != 1)
        return 1;
    event.data.u32 = 0;
    result = wait_for_events(epoll, &event, 1, NULL, &mask);
    printf("ready: %d, event %u\n", result, event.data.u32);
    result = wait_for_events(-1, &event, 1, NULL, NULL);
    printf("no descriptor: %d, EBADF %d\n", result, errno == EBADF);
    printf("poll of nothing: %d\n", poll(NULL, 0, 0));
    return 0;
}
