/* A C host of Rust plugins: `plugin_host [TIMES] WORD...`, the words in order, TIMES over.
 *
 *   FILE     loads it, from now on the newest
 *   =WHAT    has the newest do it, `run(WHAT)`
 *   -        unloads the newest, and says whether it is gone
 *   @FILE    loads it into a namespace of its own (dlmopen), from now on the newest
 *   @        says whether the newest lies where the one before it in this place did
 *   !WHAT    has a shell do it
 *
 * Ends with 1 where a word could not be done. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OBJECTS_MAX = 64 };

static void *objects[OBJECTS_MAX];
static uintptr_t places[OBJECTS_MAX + 1]; /* where an object was last loaded as the nth */
static unsigned count;

static int fail(const char *word)
{
    const char *why = dlerror();
    printf("%s: %s\n", word, why ? why : "cannot be done");
    return 1;
}

static int load(const char *word)
{
    int flags = RTLD_NOW | RTLD_LOCAL;
    void *object = word[0] == '@' ? dlmopen(LM_ID_NEWLM, word + 1, flags) : dlopen(word, flags);
    if (!object || count == OBJECTS_MAX)
        return fail(word);
    objects[count++] = object;
    return 0;
}

static void *run_there(void *word)
{
    int (*function)(const char *);
    *(void **)&function = count ? dlsym(objects[count - 1], "run") : NULL;
    return function && function(word) ? word : NULL;
}

/* On a thread of its own: what Rust keeps for a thread keeps the object loaded until that ends. */
static int run(const char *word)
{
    pthread_t thread;
    void *done = NULL;
    if (pthread_create(&thread, NULL, run_there, (void *)(word + 1)) == 0)
        pthread_join(thread, &done);
    return done ? 0 : fail(word);
}

static int unload(const char *word)
{
    struct link_map *map;
    if (!count || dlinfo(objects[count - 1], RTLD_DI_LINKMAP, &map) != 0)
        return fail(word);
    char *name = strdup(map->l_name);
    places[count] = map->l_addr;
    dlclose(objects[--count]);
    puts(dlopen(name, RTLD_NOW | RTLD_NOLOAD) ? "stays" : "gone");
    free(name);
    return 0;
}

static int tell_place(const char *word)
{
    struct link_map *map;
    if (!count || dlinfo(objects[count - 1], RTLD_DI_LINKMAP, &map) != 0)
        return fail(word);
    puts(map->l_addr == places[count] ? "same place" : "another place");
    return 0;
}

static int have_done(const char *word)
{
    return system(word + 1) == 0 ? 0 : fail(word);
}

int main(int argc, char **argv)
{
    int first = argc > 1 && atoi(argv[1]) > 0 ? 2 : 1;
    int times = first == 2 ? atoi(argv[1]) : 1, failed = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (times-- > 0)
        for (int i = first; i < argc && !failed; i++)
            failed = argv[i][0] == '='           ? run(argv[i])
                     : argv[i][0] == '!'         ? have_done(argv[i])
                     : strcmp(argv[i], "-") == 0 ? unload(argv[i])
                     : strcmp(argv[i], "@") == 0 ? tell_place(argv[i])
                                                 : load(argv[i]);
    return failed;
}
