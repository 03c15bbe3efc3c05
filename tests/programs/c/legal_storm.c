/* Eight threads make, enter, exit and close spans while main forks, and loads and unloads an
 * object. Usage: legal_storm SPANS-PER-THREAD OBJECT. Prints how many spans each thread made in
 * all. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spans.h"

SITE(outer, "outer");
SITE(inner, "inner");

enum { THREADS = 8 };

static long rounds;
static int running = THREADS;

static void *work(void *unused)
{
    (void)unused;
    for (long i = 0; i < rounds; i += 2) {
        uint64_t a = strayspan_new(&first_subscriber, &outer);
        strayspan_enter(&first_subscriber, a);
        uint64_t b = strayspan_new(&second_subscriber, &inner);
        strayspan_enter(&second_subscriber, b);
        strayspan_exit(&second_subscriber, b);
        strayspan_close(&second_subscriber, b);
        strayspan_exit(&first_subscriber, a);
        strayspan_close(&first_subscriber, a);
    }
    __atomic_sub_fetch(&running, 1, __ATOMIC_RELEASE);
    return 0;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    int forks = 0;
    if (argc < 3)
        return 2;
    rounds = atol(argv[1]);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], 0, work, 0) != 0)
            return 1;
    while (__atomic_load_n(&running, __ATOMIC_ACQUIRE) > 0) {
        void *object = dlopen(argv[2], RTLD_NOW);
        if (!object)
            return 1;
        dlclose(object);
        pid_t child = fork();
        if (child == 0) {
            /* The child has spans of its own, and ends by its exit handlers or without them. */
            rounds = 2;
            work(0);
            if (forks % 2)
                _exit(0);
            exit(0);
        }
        int status = 0;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
            return 1;
        forks++;
        usleep(1000);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], 0);
    printf("forks %s\n", forks > 0 ? "some" : "none");
    return 0;
}
