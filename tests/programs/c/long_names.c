/* A misuse of a span whose name, target and file are 4096 control characters each, which JSON makes
 * six times as long; with an argument, plain letters. Prints a line of its own on stderr behind
 * it. */
#include <string.h>

#include "spans.h"

int main(int argc, char **argv)
{
    static char text[4097];
    static struct strayspan_site site;
    (void)argv;
    memset(text, argc > 1 ? 'x' : 1, sizeof text - 1);
    site.name = site.target = site.file = text;
    uint64_t id = strayspan_new(&first_subscriber, &site);
    strayspan_exit(&first_subscriber, id);
    fputs("the program's own line\n", stderr);
    return 0;
}
