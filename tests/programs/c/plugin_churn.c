/* A plugin comes and goes on one thread, while another lets go again and again of what stays:
 * `plugin_churn TIMES FILE`. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static int times;
static atomic_int failed;
static atomic_bool done;

static void *load_and_unload(void *file)
{
    for (int i = 0; i < times; i++) {
        void *object = dlopen(file, RTLD_NOW | RTLD_LOCAL);
        if (!object || dlclose(object) != 0)
            failed++;
    }
    done = true;
    return NULL;
}

static void *let_go(void *unused)
{
    while (!done) {
        void *object = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
        if (!object || dlclose(object) != 0)
            failed++;
    }
    return unused;
}

int main(int count, char **arguments)
{
    pthread_t threads[2];
    if (count != 3)
        return 2;
    times = atoi(arguments[1]);
    pthread_create(&threads[0], NULL, load_and_unload, arguments[2]);
    pthread_create(&threads[1], NULL, let_go, NULL);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    printf("failed %d\n", failed);
    return 0;
}
