/* Prints everything that a caller of getaddrinfo can see: results, errno and the addresses; among
 * them a failure by EAI_SYSTEM, whose reason is errno. All inside a span, so that the calls are
 * watched. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/resource.h>

#include "spans.h"

SITE(job, "job");

static void look_up(const char *host, const char *service, int flags)
{
    struct addrinfo hints = {.ai_flags = flags, .ai_socktype = SOCK_STREAM}, *found = 0;
    errno = EDOM;
    int result = getaddrinfo(host, service, &hints, &found);
    int error = errno;
    printf("%s:%s %x -> %d, errno %d\n", host ? host : "-", service ? service : "-", flags, result,
           error);
    for (struct addrinfo *a = result == 0 ? found : 0; a; a = a->ai_next) {
        char text[INET6_ADDRSTRLEN] = "";
        if (a->ai_family == AF_INET)
            inet_ntop(AF_INET, &((struct sockaddr_in *)a->ai_addr)->sin_addr, text, sizeof text);
        else
            inet_ntop(AF_INET6, &((struct sockaddr_in6 *)a->ai_addr)->sin6_addr, text, sizeof text);
        printf("  %d %d %s %s\n", a->ai_family, a->ai_socktype, text,
               a->ai_canonname ? a->ai_canonname : "");
    }
    if (result == 0)
        freeaddrinfo(found);
}

int main(void)
{
    uint64_t span = strayspan_new(&first_subscriber, &job);
    strayspan_enter(&first_subscriber, span);
    look_up("localhost", "80", 0);
    look_up("127.0.0.1", "http", AI_NUMERICHOST | AI_CANONNAME);
    look_up("::1", 0, AI_NUMERICHOST);
    look_up(0, "80", AI_PASSIVE);
    look_up(0, 0, 0);
    look_up("not a number", "80", AI_NUMERICHOST);
    look_up("localhost", "no-such-service", 0);
    look_up("localhost", "80", -1);
    /* No descriptor is to be had: the name service cannot be asked. */
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){3, 3});
    look_up("localhost", "80", 0);
    look_up("name.invalid", "80", 0);
    strayspan_exit(&first_subscriber, span);
    strayspan_close(&first_subscriber, span);
    return 0;
}
