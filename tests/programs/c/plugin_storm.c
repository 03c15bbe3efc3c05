/* Loads and unloads plugins on several threads at once, while another one forks and starts threads:
 * `plugin_storm TIMES FILE...`, a thread for each file. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FILES_MAX = 16 };

static int times;
static atomic_int failed, left;

static void *run(void *function)
{
    if (!((int (*)(const char *))function)("legal"))
        failed++;
    return NULL;
}

static void *nothing(void *argument)
{
    return argument;
}

static void *load_and_unload(void *file)
{
    for (int i = 0; i < times; i++) {
        void *object = dlopen(file, RTLD_NOW | RTLD_LOCAL);
        void *function = object ? dlsym(object, "run") : NULL;
        pthread_t thread;
        if (function && pthread_create(&thread, NULL, run, function) == 0)
            pthread_join(thread, NULL);
        else
            failed++;
        if (object)
            dlclose(object);
    }
    left--;
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[FILES_MAX], thread;
    int count = argc - 2 < FILES_MAX ? argc - 2 : FILES_MAX, forks = 0, status = 0;
    times = argc > 1 ? atoi(argv[1]) : 0;
    left = count;
    for (int i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, load_and_unload, argv[i + 2]) != 0)
            return 2;
    while (left) {
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        forks += child > 0 && waitpid(child, &status, 0) == child && status == 0;
        if (pthread_create(&thread, NULL, nothing, NULL) == 0)
            pthread_join(thread, NULL);
        usleep(500);
    }
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    printf("failed %d, forked %d\n", failed, forks > 0);
    return 0;
}
