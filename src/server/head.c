/* server/head.c: the closed grammar of request heads and trailers, byte by byte.
 *
 * It runs before llhttp and refuses what llhttp lets through (folded lines, a space in a name
 * in its loose mode, empty names, a bare LF that ends the section, other spellings of the request
 * line), as soon as the offending byte arrives, and finds the end of the section.
 */
#include <stdint.h>

#include "server/internal.h"

enum state {
    METHOD_FIRST,
    METHOD,
    TARGET_FIRST,
    TARGET,
    VERSION,
    LINE_LF, /* after the CR of the request line */
    FIELD_FIRST, /* at the begin of a header line */
    NAME,
    VALUE,
    FIELD_LF,
    END_LF, /* after the CR of the empty line */
};

/* Bytes below 128 that may stand in a name, a target, a version: a bit each. Looked at for every
 * byte of every head, hence no comparisons; the test spells the sets out. */
struct byte_set {
    uint64_t low, high;
};
static const struct byte_set token_bytes = {0x03ff6cfa00000000, 0x57ffffffc7fffffe};
static const struct byte_set target_bytes = {0xfffffff600000000, 0x7fffffffffffffff};
static const struct byte_set version_bytes = {0x03ffc00000000000, 0x07fffffe07fffffe};

static bool is_in(const struct byte_set *set, unsigned char b)
{
    return b < 128 && ((b < 64 ? set->low : set->high) >> (b & 63) & 1);
}

static bool is_value_byte(unsigned char b)
{
    return b == '\t' || (b >= 0x20 && b != 0x7f);
}

void pst_server_scan_trailer_init(struct pst_head_scan *s)
{
    *s = (struct pst_head_scan){.state = FIELD_FIRST};
}

/* What is wrong with byte b in this state, in words. */
static const char *blame(enum state state, unsigned char b)
{
    if (b == '\n')
        return "a line ends with a bare LF";
    if (state == LINE_LF || state == FIELD_LF || state == END_LF)
        return "a CR is not followed by LF";
    if (b == '\0')
        return "a NUL byte in the head";
    if (state == FIELD_FIRST && (b == ' ' || b == '\t'))
        return "a folded header line";
    if (state == NAME && (b == ' ' || b == '\t'))
        return "a blank in a header's name";
    if (b < 0x20 || b == 0x7f)
        return "a control byte in the head";
    if (state == NAME || state == FIELD_FIRST)
        return "a header's name is not a token";
    return "the request line is malformed";
}

/* The state after b, or -1. */
static int step(enum state state, unsigned char b)
{
    switch (state) {
    case METHOD_FIRST:
        return is_in(&token_bytes, b) ? METHOD : -1;
    case METHOD:
        return is_in(&token_bytes, b) ? METHOD : b == ' ' ? TARGET_FIRST : -1;
    case TARGET_FIRST:
        return b == '/' ? TARGET : -1;
    case TARGET:
        return is_in(&target_bytes, b) ? TARGET : b == ' ' ? VERSION : -1;
    case VERSION:
        return is_in(&version_bytes, b) ? VERSION : b == '\r' ? LINE_LF : -1;
    case LINE_LF:
        return b == '\n' ? FIELD_FIRST : -1;
    case FIELD_FIRST:
        return b == '\r' ? END_LF : is_in(&token_bytes, b) ? NAME : -1;
    case NAME:
        return is_in(&token_bytes, b) ? NAME : b == ':' ? VALUE : -1;
    case VALUE:
        return is_value_byte(b) ? VALUE : b == '\r' ? FIELD_LF : -1;
    case FIELD_LF:
        return b == '\n' ? FIELD_FIRST : -1;
    case END_LF:
        break;
    }
    return -1;
}

/* Targets, names and values are nearly all of a head: skip what can only be part of one. */
static size_t skip_run(enum state state, const char *bytes, size_t at, size_t len)
{
    const struct byte_set *set = state == TARGET ? &target_bytes : &token_bytes;
    if (state == VALUE) {
        while (at < len && (unsigned char)bytes[at] >= 0x20 && (unsigned char)bytes[at] < 0x7f)
            at++;
    } else if (state == TARGET || state == NAME) {
        while (at < len && is_in(set, (unsigned char)bytes[at]))
            at++;
    }
    return at;
}

enum pst_scan_result pst_server_scan_head(struct pst_head_scan *s, const char *bytes, size_t len)
{
    while (s->at < len) {
        enum state state = (enum state)s->state;
        s->at = skip_run(state, bytes, s->at, len);
        if (s->at == len)
            break;
        unsigned char b = (unsigned char)bytes[s->at];
        if (state == END_LF && b == '\n') {
            s->at++;
            return PST_SCAN_DONE;
        }
        int next = step(state, b);
        if (next < 0) {
            s->why = blame(state, b);
            return PST_SCAN_BAD;
        }
        s->at++;
        if (state == LINE_LF)
            s->line_end = s->at;
        if (state == FIELD_FIRST && next == NAME)
            s->fields++;
        s->state = (unsigned)next;
    }
    return PST_SCAN_MORE;
}
