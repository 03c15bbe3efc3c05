/* Conversion of numbers to text, exactly, without libc, memory or division by the compiler's
 * library. Pure functions; any context.
 *
 * Doubles by free-format algorithm of Steele and White, as Burger and Dybvig give it ("Printing
 * Floating-Point Numbers Quickly and Accurately", 1996), on integers of fixed size: slower than
 * newer ways by tables, and short enough to be seen to be right. */
#include "numbers.h"

#include <string.h>

/* ---- integers -------------------------------------------------------------------------------- */

static void put_integer(struct ss_line *line, bool negative, uint64_t low, uint64_t high)
{
    enum { DIGITS = 39 };
    char digits[DIGITS + 3];
    unsigned at = sizeof digits;
    bool is_number = high == 0 && low <= (uint64_t)INT64_MAX + negative;
    uint32_t limb[4] = {(uint32_t)low, (uint32_t)(low >> 32), (uint32_t)high,
                        (uint32_t)(high >> 32)};
    if (!is_number)
        digits[--at] = '"';
    do {
        uint64_t rest = 0;
        for (unsigned i = 4; i--;) {
            rest = rest << 32 | limb[i];
            limb[i] = (uint32_t)(rest / 10);
            rest %= 10;
        }
        digits[--at] = (char)('0' + rest);
    } while (limb[0] | limb[1] | limb[2] | limb[3]);
    if (negative)
        digits[--at] = '-';
    if (!is_number)
        digits[--at] = '"';
    ss_put(line, digits + at, sizeof digits - at);
}

void ss_put_u128(struct ss_line *line, uint64_t low, uint64_t high)
{
    put_integer(line, false, low, high);
}

void ss_put_i128(struct ss_line *line, uint64_t low, uint64_t high)
{
    bool negative = high >> 63;
    if (negative) {
        low = -low;
        high = ~high + (low == 0);
    }
    put_integer(line, negative, low, high);
}

/* ---- doubles --------------------------------------------------------------------------------- */

/* The largest that occur are 2^1077 or so: the exponent, and one digit's room. */
enum { LIMBS = 36 };

typedef uint32_t big[LIMBS];

/* The value is rest / scale * 10^power; what reads back as it lies between below less and above
 * more. */
struct conversion {
    unsigned limbs; /* of each that are in use: enough from the beginning */
    int power;
    bool inclusive; /* the bounds themselves read back too */
    big rest, scale, below, above;
};

static void set_bits(big number, uint64_t value, unsigned shift)
{
    unsigned at = shift / 32, bits = shift % 32;
    memset(number, 0, sizeof(big));
    number[at] = (uint32_t)(value << bits);
    value = bits ? value >> (32 - bits) : value >> 16 >> 16;
    number[at + 1] = (uint32_t)value;
    if (value >> 32)
        number[at + 2] = (uint32_t)(value >> 32);
}

static void multiply(big number, unsigned limbs, uint32_t factor)
{
    uint64_t carry = 0;
    for (unsigned i = 0; i < limbs; i++) {
        carry += (uint64_t)number[i] * factor;
        number[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

static void multiply_by_power(big number, unsigned limbs, unsigned power)
{
    for (; power >= 9; power -= 9)
        multiply(number, limbs, 1000000000);
    for (; power > 0; power--)
        multiply(number, limbs, 10);
}

static void subtract(big number, const big less, unsigned limbs)
{
    uint64_t borrow = 0;
    for (unsigned i = 0; i < limbs; i++) {
        uint64_t difference = (uint64_t)number[i] - less[i] - borrow;
        number[i] = (uint32_t)difference;
        borrow = difference >> 63;
    }
}

static int compare(const big a, const big b, unsigned limbs)
{
    for (unsigned i = limbs; i--;)
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    return 0;
}

/* a + b with c. */
static int compare_sum(const big a, const big b, const big c, unsigned limbs)
{
    int order = 0;
    uint64_t carry = 0;
    for (unsigned i = 0; i < limbs; i++) {
        carry += (uint64_t)a[i] + b[i];
        if ((uint32_t)carry != c[i])
            order = (uint32_t)carry < c[i] ? -1 : 1;
        carry >>= 32;
    }
    return carry ? 1 : order;
}

/* Whether the upper bound is at 1 or beyond. */
static bool reaches_one(const struct conversion *c)
{
    int order = compare_sum(c->rest, c->above, c->scale, c->limbs);
    return c->inclusive ? order >= 0 : order > 0;
}

static void begin(struct conversion *c, uint64_t fraction, int exponent, bool closer_below)
{
    unsigned up = exponent > 0 ? (unsigned)exponent : 0;
    unsigned down = exponent < 0 ? (unsigned)-exponent : 0;
    /* Everything twofold, so that half the distance to the next double is whole; and twofold again
     * where the next smaller one is closer by half. */
    c->limbs = (up + down + 64) / 32 + 1;
    c->inclusive = fraction % 2 == 0;
    set_bits(c->rest, fraction, up + 1 + closer_below);
    set_bits(c->scale, 1, down + 1 + closer_below);
    set_bits(c->above, 1, up + closer_below);
    set_bits(c->below, 1, up);

    /* The power of ten, by the logarithm of 2 to base 10: never too large, at most 3 too small. */
    int bits = 63 - __builtin_clzll(fraction) + exponent;
    c->power = (bits * 78913) >> 18;
    if (c->power >= 0) {
        multiply_by_power(c->scale, c->limbs, (unsigned)c->power);
    } else {
        multiply_by_power(c->rest, c->limbs, (unsigned)-c->power);
        multiply_by_power(c->above, c->limbs, (unsigned)-c->power);
        multiply_by_power(c->below, c->limbs, (unsigned)-c->power);
    }
    for (; reaches_one(c); c->power++)
        multiply(c->scale, c->limbs, 10);
}

/* Writes the digits after the point. Returns how many: 1 to 17. */
static unsigned put_digits(struct conversion *c, char digits[17])
{
    unsigned count = 0;
    for (;;) {
        multiply(c->rest, c->limbs, 10);
        multiply(c->above, c->limbs, 10);
        multiply(c->below, c->limbs, 10);
        char digit = '0';
        for (; compare(c->rest, c->scale, c->limbs) >= 0; digit++)
            subtract(c->rest, c->scale, c->limbs);
        int order = compare(c->rest, c->below, c->limbs);
        bool may_stop = c->inclusive ? order <= 0 : order < 0, may_round_up = reaches_one(c);
        if (may_stop && may_round_up)
            digit += compare_sum(c->rest, c->rest, c->scale, c->limbs) >= 0;
        else
            digit += may_round_up;
        digits[count++] = digit;
        if (may_stop || may_round_up || count == 17)
            return count;
    }
}

/* 0.DIGITS * 10^power: with an exponent from 1e16 on and below 1e-4. */
static void put_decimal(struct ss_line *line, const char *digits, unsigned count, int power)
{
    static const char zeros[] = "0000000000000000";
    if (power > 16 || power < -3) {
        ss_put(line, digits, 1);
        if (count > 1)
            ss_put(line, ".", 1);
        ss_put(line, digits + 1, count - 1);
        ss_put(line, "e", 1);
        ss_put_signed(line, power - 1);
    } else if (power <= 0) {
        ss_put(line, "0.", 2);
        ss_put(line, zeros, (unsigned)-power);
        ss_put(line, digits, count);
    } else {
        unsigned whole = (unsigned)power, given = whole < count ? whole : count;
        ss_put(line, digits, given);
        ss_put(line, zeros, whole - given);
        ss_put(line, ".", 1);
        if (given < count)
            ss_put(line, digits + given, count - given);
        else
            ss_put(line, "0", 1);
    }
}

void ss_put_double(struct ss_line *line, double value)
{
    enum { FRACTION_BITS = 52, EXPONENT_MAX = 0x7FF, BIAS = 1075 };
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint64_t fraction = bits & ((1ull << FRACTION_BITS) - 1);
    int exponent = (int)(bits >> FRACTION_BITS & EXPONENT_MAX);
    bool negative = bits >> 63;

    if (exponent == EXPONENT_MAX) {
        ss_puts(line, fraction ? "\"NaN\"" : negative ? "\"-inf\"" : "\"inf\"");
        return;
    }
    if (negative)
        ss_put(line, "-", 1);
    if (exponent == 0 && fraction == 0) {
        ss_puts(line, "0.0");
        return;
    }
    struct conversion c;
    bool closer_below = fraction == 0 && exponent > 1;
    if (exponent > 0)
        fraction |= 1ull << FRACTION_BITS;
    else
        exponent = 1; /* of what is too small for a leading bit */
    begin(&c, fraction, exponent - BIAS, closer_below);
    char digits[17];
    unsigned count = put_digits(&c, digits);
    put_decimal(line, digits, count, c.power);
}
