/* Prints everything that a user of pthread_create can see: return values, pthread_exit,
 * cancellation with its clean-up handlers, attributes as the new thread sees them, and failures.
 * All inside a span, so that the threads are watched. */
#define _GNU_SOURCE
#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spans.h"

SITE(job, "job");

static sem_t ready;

static void *returns(void *argument)
{
    return argument;
}

static void *exits(void *argument)
{
    pthread_exit((char *)argument + 1);
}

static void cleaned(void *argument)
{
    puts((const char *)argument);
}

static void *cancelled(void *argument)
{
    pthread_cleanup_push(cleaned, argument);
    sem_post(&ready);
    for (;;)
        pause();
    pthread_cleanup_pop(0);
    return 0;
}

static void destroyed(void *value)
{
    printf("key destructor: %s\n", (char *)value);
}

static void *with_key(void *key)
{
    pthread_setspecific(*(pthread_key_t *)key, "value");
    return 0;
}

static void *detached(void *unused)
{
    pthread_attr_t attributes;
    size_t stack = 0, guard = 0;
    int state = -1;
    (void)unused;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstacksize(&attributes, &stack);
    pthread_attr_getguardsize(&attributes, &guard);
    pthread_attr_getdetachstate(&attributes, &state);
    pthread_attr_destroy(&attributes);
    printf("stack %zu, guard %zu, detached %d\n", stack, guard, state == PTHREAD_CREATE_DETACHED);
    sem_post(&ready);
    return 0;
}

static void *inherits(void *unused)
{
    sigset_t mask;
    char name[16];
    (void)unused;
    pthread_sigmask(SIG_SETMASK, 0, &mask);
    pthread_getname_np(pthread_self(), name, sizeof name);
    printf("name %s, SIGUSR1 blocked %d, SIGUSR2 blocked %d\n", name, sigismember(&mask, SIGUSR1),
           sigismember(&mask, SIGUSR2));
    return 0;
}

int main(void)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_key_t key;
    void *result = 0;
    char cell[2];
    sigset_t mask;

    uint64_t span = strayspan_new(&first_subscriber, &job);
    strayspan_enter(&first_subscriber, span);
    setvbuf(stdout, 0, _IOLBF, 0);
    sem_init(&ready, 0, 0);

    errno = EDOM;
    pthread_create(&thread, 0, returns, cell);
    printf("errno kept %d\n", errno == EDOM);
    pthread_join(thread, &result);
    printf("returned %d\n", result == cell);

    pthread_create(&thread, 0, exits, cell);
    pthread_join(thread, &result);
    printf("exited %d\n", result == cell + 1);

    pthread_create(&thread, 0, cancelled, "cleaned up");
    sem_wait(&ready);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    printf("cancelled %d\n", result == PTHREAD_CANCELED);

    pthread_key_create(&key, destroyed);
    pthread_create(&thread, 0, with_key, &key);
    pthread_join(thread, 0);

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 << 10);
    pthread_attr_setguardsize(&attributes, 8192);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_create(&thread, &attributes, detached, 0);
    sem_wait(&ready);

    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &mask, 0);
    pthread_setname_np(pthread_self(), "parent");
    pthread_create(&thread, 0, inherits, 0);
    pthread_join(thread, 0);

    /* More stack than there are addresses; many times, so that what a failure leaks is seen. */
    pthread_attr_setstacksize(&attributes, (size_t)1 << 47);
    int failures = 0;
    for (int i = 0; i < 1000; i++)
        failures += pthread_create(&thread, &attributes, returns, 0) == EAGAIN;
    printf("failures %d\n", failures);
    pthread_attr_destroy(&attributes);

    for (int i = 0; i < 5000; i++) {
        if (pthread_create(&thread, 0, returns, 0) != 0)
            return 1;
        pthread_join(thread, 0);
    }
    strayspan_exit(&first_subscriber, span);
    strayspan_close(&first_subscriber, span);
    puts("done");
    return 0;
}
