/* A C program that commits a misuse and then loads a C++ object which throws and catches: on main,
 * on threads of its own, and through the frames of the C host: `cpp_host OBJECT`. */
#include "spans.h"

SITE(job, "job");

static void call_back(void (*thrower)(void))
{
    thrower();
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    uint64_t span = strayspan_new(&first_subscriber, &job);
    strayspan_exit(&first_subscriber, span);
    void *object = dlopen(argv[1], RTLD_NOW);
    if (!object) {
        puts(dlerror());
        return 1;
    }
    int (*throw_and_catch)(void (*)(void (*)(void)));
    *(void **)&throw_and_catch = dlsym(object, "throw_and_catch");
    printf("caught %d\n", throw_and_catch ? throw_and_catch(call_back) : -1);
    return 0;
}
