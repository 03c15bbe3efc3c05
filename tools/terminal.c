/* The way out to a terminal: colour marks become escape sequences on a terminal that wants them,
 * other control characters never get through. Called by the renderers. */
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "text.h"

enum { SOURCE_MAX = 4 * 1024 * 1024 };

int ss_colour_of(const char *word)
{
    static const char *const words[] = {"auto", "always", "never"};
    for (int i = 0; i < 3; i++)
        if (strcmp(word, words[i]) == 0)
            return i;
    return -1;
}

static bool wants_colour(FILE *out, enum ss_colour colour)
{
    if (colour != SS_COLOUR_AUTO)
        return colour == SS_COLOUR_ALWAYS;
    const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return isatty(fileno(out)) && !(no_colour && *no_colour) &&
           !(terminal && strcmp(terminal, "dumb") == 0);
}

bool ss_terminal_write(FILE *out, enum ss_colour colour, const char *text, size_t length)
{
    static const char *const sequences[] = {"\033[0m",    "\033[1m",    "\033[1;31m",
                                            "\033[1;33m", "\033[1;34m", "\033[1;32m"};
    if (ferror(out))
        return false; /* errno stays that of the write that failed */
    int before = errno;
    bool coloured = wants_colour(out, colour);
    errno = before;
    for (size_t at = 0; at < length;) {
        uint32_t code = 0;
        /* The buffer is terminated, so a character cut at its end is no character. */
        size_t bytes = ss_text_character(text + at, &code);
        if (bytes == 0) {
            fprintf(out, "\\x%02x", (unsigned char)text[at]);
            bytes = 1;
        } else if (code >= 0x0e && code <= 0x13) {
            if (coloured)
                fputs(sequences[code - 0x0e], out);
        } else if (code != '\n' && ss_text_is_control(code)) {
            fprintf(out, code < 0x100 ? "\\x%02x" : "\\u{%04x}", code);
        } else {
            fwrite(text + at, 1, bytes, out);
        }
        at += bytes;
    }
    return fflush(out) == 0 && !ferror(out);
}

/* The text of a source file, NULL where it cannot be shown. */
static char *read_source(const char *file, const char *program, int64_t time)
{
    struct stat source, binary;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return NULL;
    char *text = NULL;
    /* A file that was written after the program was built may have other lines at that number; and the program may
     * have been built again since. */
    bool usable =
        fstat(fd, &source) == 0 && S_ISREG(source.st_mode) && source.st_size <= SOURCE_MAX &&
        (!program || stat(program, &binary) != 0 || source.st_mtime <= binary.st_mtime) &&
        (time < 0 ||
         (int64_t)source.st_mtim.tv_sec * 1000000 + source.st_mtim.tv_nsec / 1000 <= time);
    if (usable && (text = calloc(1, (size_t)source.st_size + 1))) {
        ssize_t got = read(fd, text, (size_t)source.st_size);
        if (got <= 0) {
            free(text);
            text = NULL;
        }
    }
    close(fd);
    return text;
}

bool ss_terminal_source(FILE *out, const char *file, unsigned line, const char *program,
                        int64_t time, const char *const *words, const char *note)
{
    char *text = file && line ? read_source(file, program, time) : NULL;
    if (!text)
        return false;
    char *at = text;
    for (unsigned i = 1; i < line && at; i++) {
        at = strchr(at, '\n');
        at = at ? at + 1 : NULL;
    }
    const char *found = NULL;
    if (at && *at && *at != '\n') {
        at[strcspn(at, "\r\n")] = 0;
        for (char *tab = at; (tab = strchr(tab, '\t'));)
            *tab = ' ';
        const char *clean = ss_text_clean_to(at, 96);
        size_t length = 0;
        for (; words && *words && !found; words++) {
            found = strstr(clean, *words);
            length = strlen(*words);
        }
        /* Which of several it is, the line's number does not tell. */
        if (found && strstr(found + length, words[-1]))
            found = NULL;
        int digits = fprintf(out, SS_BLUE "%u |" SS_PLAIN " ", line) - 3;
        fprintf(out, "%s\n", clean);
        if (found) {
            size_t before = (size_t)(found - clean);
            char *lead = ss_text_copy(clean, before);
            size_t skip = strspn(found, ".");
            fprintf(out, SS_BLUE "%*s|" SS_PLAIN " %*s" SS_RED, digits - 1, "",
                    (int)(ss_text_width(lead) + skip), "");
            for (size_t i = skip; i < length; i++)
                putc('^', out);
            fprintf(out, " %s" SS_PLAIN "\n", note);
        }
    }
    free(text);
    return found != NULL;
}
