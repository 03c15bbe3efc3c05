/* Does what the shim stands in front of, in a program of another libc: threads, a look-up, polls,
 * a fork, dlopen and dlclose of the objects named, and a misuse. */
#include <dlfcn.h>
#include <netdb.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spans.h"

SITE(job, "job");

static void *exits(void *span)
{
    strayspan_exit(&first_subscriber, *(uint64_t *)span);
    return span;
}

int main(int argc, char **argv)
{
    struct addrinfo *addresses = NULL;
    struct epoll_event event;
    int epoll = epoll_create1(0), status = -1;
    printf("look-up %d\n", getaddrinfo("127.0.0.1", "80", NULL, &addresses));
    freeaddrinfo(addresses);
    printf("polls %d %d\n", poll(NULL, 0, 1), epoll_wait(epoll, &event, 1, 1));
    printf("pid %d\n", syscall(SYS_getpid) == getpid());
    pid_t child = fork();
    if (child == 0)
        _exit(7);
    waitpid(child, &status, 0);
    printf("child %d\n", WEXITSTATUS(status));
    for (int i = 1; i < argc; i++) {
        void *object = dlopen(argv[i], RTLD_NOW);
        printf("object %d %d\n", object != NULL, object ? dlclose(object) : -1);
    }
    uint64_t span = strayspan_new(&first_subscriber, &job);
    strayspan_enter(&first_subscriber, span);
    printf("thread %d\n", run_on_thread(exits, &span) == &span);
    return 3;
}
