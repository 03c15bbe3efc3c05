/* Nothing to see: built statically and against musl too. */
#include <stdio.h>

int main(void)
{
    puts("hello");
    return 0;
}
