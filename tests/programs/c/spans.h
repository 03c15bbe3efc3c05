/* What the annotated programs share: two subscribers to tell apart, and a site. */
#ifndef SPANS_H
#define SPANS_H

#include <pthread.h>
#include <stdio.h>

#include "../../../shim/strayspan.h"

/* Subscribers are told apart by address alone. */
__attribute__((unused)) static const char first_subscriber, second_subscriber;

/* A site named name, here. */
#define SITE(variable, site_name)                                                           \
    static const struct strayspan_site variable = {site_name, "sample", __FILE__, __LINE__, \
                                                   STRAYSPAN_INFO}

/* Runs start(argument) on a thread of its own, waits for its end and returns what it returned. */
static inline void *run_on_thread(void *(*start)(void *), void *argument)
{
    pthread_t thread;
    void *result = 0;
    if (pthread_create(&thread, 0, start, argument) != 0)
        return 0;
    pthread_join(thread, &result);
    return result;
}

#endif
