/* A library whose constructor registers fork handlers, before those of any preload that comes later: before
 * a fork it joins its thread, after it makes one again, as runtimes with helper threads do. */
#include "../spans.h"

SITE(site, "in_handler");

static int forks;

static void *work(void *unused)
{
    uint64_t id = strayspan_new(&second_subscriber, &site);
    strayspan_enter(&second_subscriber, id);
    strayspan_exit(&second_subscriber, id);
    strayspan_close(&second_subscriber, id);
    return unused;
}

static void before_and_after(void)
{
    (void)run_on_thread(work, 0);
    (void)work(0);
}

static void after(void)
{
    forks++;
    before_and_after();
}

__attribute__((constructor)) static void start(void)
{
    pthread_atfork(before_and_after, after, 0);
}

int fork_library_forks(void);
int fork_library_forks(void)
{
    return forks;
}
