/* Text that is kept until the command ends. It is bounded by what is reported, not by what is read:
 * logs are read line by line, and only what is new of a line is kept. One thread. */
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_SIZE = 64 * 1024, CLEAN_MAX = 240 };

void *ss_keep(size_t size)
{
    static char *block;
    static size_t left;
    size = (size + 16) & ~(size_t)15; /* at least 16, also for nothing */
    if (!block || size > left) {
        size_t wanted = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        block = calloc(1, wanted);
        if (!block) {
            fputs("strayspan: out of memory\n", stderr);
            _Exit(125);
        }
        left = wanted;
    }
    void *result = block;
    block += size;
    left -= size;
    return result;
}

char *ss_text_copy(const char *text, size_t length)
{
    char *copy = ss_keep(length + 1);
    memcpy(copy, text, length);
    return copy;
}

char *ss_text(const char *format, ...)
{
    char *text = NULL;
    va_list list;
    va_start(list, format);
    int length = vasprintf(&text, format, list);
    va_end(list);
    char *result = ss_text_copy(length < 0 ? "" : text, length < 0 ? 0 : (size_t)length);
    if (length >= 0)
        free(text);
    return result;
}

size_t ss_text_character(const char *text, uint32_t *code)
{
    const unsigned char *at = (const unsigned char *)text;
    static const struct {
        unsigned char mask, lead, length;
        uint32_t least;
    } forms[] = {{0x80, 0x00, 1, 0},
                 {0xe0, 0xc0, 2, 0x80},
                 {0xf0, 0xe0, 3, 0x800},
                 {0xf8, 0xf0, 4, 0x10000}};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if ((at[0] & forms[i].mask) != forms[i].lead)
            continue;
        uint32_t value = at[0] & (unsigned char)~forms[i].mask;
        for (size_t j = 1; j < forms[i].length; j++) {
            if ((at[j] & 0xc0) != 0x80)
                return 0;
            value = value << 6 | (at[j] & 0x3f);
        }
        if (value < forms[i].least || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
            return 0;
        *code = value;
        return forms[i].length;
    }
    return 0;
}

bool ss_text_is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0x061c || code == 0x200e ||
           code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069) || code == 0xfeff || (code & 0xfffe) == 0xfffe;
}

char *ss_text_clean_to(const char *text, size_t max)
{
    if (!text)
        return ss_text_copy("", 0);
    size_t length = strnlen(text, max * 4 + 1);
    /* The longest escape is `\u{202e}`, for a character of at least two bytes. */
    char *result = ss_keep(length * 5 + 8), *out = result;
    size_t columns = 0;
    for (size_t at = 0; text[at];) {
        if (columns >= max) {
            out = stpcpy(out, "\xe2\x80\xa6");
            break;
        }
        uint32_t code = 0;
        size_t bytes = ss_text_character(text + at, &code);
        char *before = out;
        if (bytes == 0)
            out += sprintf(out, "\\x%02x", (unsigned char)text[at++]);
        else if (code == '\n' || code == '\t' || code == '\r')
            out += sprintf(out, "\\%c", code == '\n' ? 'n' : code == '\t' ? 't' : 'r');
        else if (ss_text_is_control(code) && code < 0x100)
            out += sprintf(out, "\\x%02x", code);
        else if (ss_text_is_control(code))
            out += sprintf(out, "\\u{%04x}", code);
        else {
            memcpy(out, text + at, bytes);
            out += bytes;
            before = out - 1;
        }
        columns += (size_t)(out - before);
        at += bytes;
    }
    *out = 0;
    return result;
}

char *ss_text_clean(const char *text)
{
    return ss_text_clean_to(text, CLEAN_MAX);
}

size_t ss_text_width(const char *text)
{
    size_t columns = 0;
    for (; *text; text++)
        columns += ((unsigned char)*text & 0xc0) != 0x80;
    return columns;
}

const char *ss_text_shell(const char *text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-+:,=@%";
    char *quoted = ss_text("'");
    if (*text && !text[strspn(text, plain)])
        return text;
    for (const char *end; *(end = text + strcspn(text, "'")); text = end + 1)
        quoted = ss_text("%s%.*s'\\''", quoted, (int)(end - text), text);
    return ss_text("%s%s'", quoted, text);
}

bool ss_text_starts(const char *text, const char *prefix)
{
    return text && strncmp(text, prefix, strlen(prefix)) == 0;
}

bool ss_text_ends(const char *text, const char *suffix)
{
    size_t length = text ? strlen(text) : 0, wanted = strlen(suffix);
    return text && length >= wanted && strcmp(text + length - wanted, suffix) == 0;
}

const char *ss_count_text(uint64_t count, const char *one)
{
    const char *plural = count == 1 ? "" : ss_text_ends(one, "s") ? "es" : "s";
    return ss_text("%llu %s%s", (unsigned long long)count, one, plural);
}

size_t ss_text_trim_lines(char *text, size_t length)
{
    size_t kept = 0;
    for (size_t i = 0; i < length; i++) {
        while (text[i] == '\n' && kept && text[kept - 1] == ' ')
            kept--;
        text[kept++] = text[i];
    }
    if (kept < length)
        text[kept] = 0;
    return kept;
}
