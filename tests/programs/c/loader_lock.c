/* What holds the loader's lock while the program does something that natively does not need it:
 *
 *     order      starts a thread while it holds a lock that another's dl_iterate_phdr waits for
 *     children   forks while another thread is in dl_iterate_phdr: its children, which nobody gives
 *                that lock back, start threads, wait, ask for an address and exit */
#define _GNU_SOURCE
#include <link.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 5, SECONDS_AT_MOST = 10 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool inside, enough;

static void *nothing(void *argument)
{
    return argument;
}

static int wait_for_mutex(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)info, (void)size, (void)context;
    inside = true;
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
    return 1;
}

static int wait_for_end(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)info, (void)size, (void)context;
    inside = true;
    while (!enough)
        usleep(1000);
    return 1;
}

static void *walk(void *each)
{
    dl_iterate_phdr((int (*)(struct dl_phdr_info *, size_t, void *))each, NULL);
    return NULL;
}

static void start_and_join(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, nothing, NULL) != 0 || pthread_join(thread, NULL) != 0)
        abort();
}

static int order(void)
{
    pthread_t walker;
    pthread_mutex_lock(&mutex);
    pthread_create(&walker, NULL, walk, wait_for_mutex);
    while (!inside)
        usleep(1000);
    start_and_join();
    pthread_mutex_unlock(&mutex);
    pthread_join(walker, NULL);
    return 0;
}

static void be_child(void)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *found;
    alarm(SECONDS_AT_MOST);
    start_and_join();
    (void)poll(NULL, 0, 1);
    if (getaddrinfo("127.0.0.1", "1", &hints, &found) == 0)
        freeaddrinfo(found);
    exit(0);
}

static int children(void)
{
    pthread_t walker;
    int ended = 0;
    pthread_create(&walker, NULL, walk, wait_for_end);
    while (!inside)
        usleep(1000);
    for (int i = 0; i < CHILDREN; i++) {
        int status = -1;
        pid_t child = fork();
        if (child == 0)
            be_child();
        ended +=
            waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    enough = true;
    pthread_join(walker, NULL);
    return ended == CHILDREN ? 0 : 1;
}

int main(int count, char **arguments)
{
    alarm(CHILDREN * SECONDS_AT_MOST);
    int status = count > 1 && strcmp(arguments[1], "order") == 0 ? order() : children();
    puts(status == 0 ? "done" : "a child did not end");
    return status;
}
