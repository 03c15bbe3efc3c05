/* A misuse below a frame without call frame information, while the program holds a file of its own
 * on every descriptor up to 99: `no_fde FILE`. Ends with 0 where no byte and no offset changed, and
 * no descriptor below 100 came or went. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spans.h"

SITE(job, "job");

enum { LAST = 99 };

/* Calls function(argument); no .cfi directive, hence no FDE. */
void call_without_fde(void (*function)(void *), void *argument);
__asm__(".text\n"
        ".type call_without_fde, @function\n"
        "call_without_fde:\n"
        "    sub $40, %rsp\n"
        "    mov %rdi, %rax\n"
        "    mov %rsi, %rdi\n"
        "    call *%rax\n"
        "    add $40, %rsp\n"
        "    ret\n"
        ".size call_without_fde, . - call_without_fde\n");

static void misuse(void *unused)
{
    (void)unused;
    uint64_t span = strayspan_new(&first_subscriber, &job);
    strayspan_exit(&first_subscriber, span);
}

int main(int argc, char **argv)
{
    char name[4096], content[4] = "mine", now[4];
    ino_t inode[LAST + 1];
    struct stat st;
    if (argc < 2)
        return 2;
    for (int fd = 3; fd <= LAST; fd++) {
        if (fcntl(fd, F_GETFD) != -1)
            return 3; /* somebody's, and not the program's */
        snprintf(name, sizeof name, "%s.%d", argv[1], fd);
        if (open(name, O_RDWR | O_CREAT | O_EXCL, 0600) != fd)
            return 4;
        if (write(fd, content, 4) != 4 || lseek(fd, 1, SEEK_SET) != 1 || fstat(fd, &st) != 0)
            return 5;
        inode[fd] = st.st_ino;
    }
    call_without_fde(misuse, 0);
    for (int fd = 3; fd <= LAST; fd++) {
        if (fstat(fd, &st) != 0 || st.st_ino != inode[fd] || lseek(fd, 0, SEEK_CUR) != 1)
            return 6;
        if (st.st_size != 4 || pread(fd, now, 4, 0) != 4 || memcmp(now, content, 4) != 0)
            return 7;
    }
    for (int fd = 50; fd <= LAST; fd++)
        close(fd);
    call_without_fde(misuse, 0);
    for (int fd = 50; fd <= LAST; fd++)
        if (fcntl(fd, F_GETFD) != -1)
            return 8;
    puts("done");
    return 0;
}
