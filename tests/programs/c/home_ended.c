/* A span is entered on a thread that ends without its exit, which then happens on main. */
#include "spans.h"

SITE(site, "left_open");

static uint64_t id;

static void *enter(void *unused)
{
    id = strayspan_new(&first_subscriber, &site);
    strayspan_enter(&first_subscriber, id);
    return unused;
}

int main(void)
{
    (void)run_on_thread(enter, 0);
    strayspan_exit(&first_subscriber, id);
    strayspan_close(&first_subscriber, id);
    puts("done");
    return 0;
}
