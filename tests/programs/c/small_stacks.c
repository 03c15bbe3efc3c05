/* Threads with the smallest stack that there is: each makes a thread, looks a number up and commits
 * a misuse. */
#define _GNU_SOURCE
#include <netdb.h>
#include <unistd.h>

#include "spans.h"

SITE(job, "job");

static pthread_attr_t smallest;

static void *nothing(void *unused)
{
    return unused;
}

static void *work(void *unused)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *found = 0;
    pthread_t thread;
    if (pthread_create(&thread, &smallest, nothing, 0) != 0)
        return "pthread_create";
    pthread_join(thread, 0);
    uint64_t span = strayspan_new(&first_subscriber, &job);
    strayspan_enter(&first_subscriber, span);
    if (getaddrinfo("127.0.0.1", "80", &hints, &found) != 0)
        return "getaddrinfo";
    freeaddrinfo(found);
    strayspan_exit(&first_subscriber, span);
    strayspan_exit(&first_subscriber, span);
    strayspan_close(&first_subscriber, span);
    return unused;
}

int main(void)
{
    pthread_attr_init(&smallest);
    pthread_attr_setstacksize(&smallest, (size_t)sysconf(_SC_THREAD_STACK_MIN));
    for (int i = 0; i < 100; i++) {
        pthread_t thread;
        void *failed = 0;
        if (pthread_create(&thread, &smallest, work, 0) != 0)
            return 1;
        pthread_join(thread, &failed);
        if (failed) {
            printf("%s failed\n", (const char *)failed);
            return 1;
        }
    }
    puts("done");
    return 0;
}
