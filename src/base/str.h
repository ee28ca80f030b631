/* base/str.h: borrowed byte strings ("slices").
 *
 * A pst_str points at bytes that somebody else owns. It is passed by value, is not
 * NUL-terminated, and may hold NUL bytes. It is valid for as long as its owner (an arena, a
 * buffer, a literal) is; storing one in a struct means writing down, beside the field, who
 * the owner is.
 *
 * Thread-safety: plain values; no function here touches shared state.
 */
#ifndef PST_BASE_STR_H
#define PST_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct pst_str {
    const char *ptr; /* may be NULL only when len is 0 */
    size_t len; /* bytes, never counting a terminator */
} pst_str;

/* Literal to slice; passing a char pointer instead is a compile error. The second form is
 * for initialisers of static data. */
/* clang-format off */
#define PST_STR(lit)      ((pst_str)PST_STR_INIT(lit))
#define PST_STR_INIT(lit) {.ptr = "" lit, .len = sizeof(lit) - 1}
/* clang-format on */

/* For "%.*s" in log and error text only, never to build SQL, HTML or JSON. Shows at most
 * 4096 bytes. s is evaluated twice. */
#define PST_STR_ARG(s) pst_str_arg_len_(s), pst_str_arg_ptr_(s)

static inline int pst_str_arg_len_(pst_str s)
{
    return s.len < 4096 ? (int)s.len : 4096;
}

static inline const char *pst_str_arg_ptr_(pst_str s)
{
    return s.ptr ? s.ptr : "";
}

/* The NUL-terminated text z (NULL gives the empty slice). */
static inline pst_str pst_str_from(const char *z)
{
    return (pst_str){z, z ? strlen(z) : 0};
}

static inline bool pst_str_eq(pst_str a, pst_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool pst_str_is(pst_str a, const char *z)
{
    return pst_str_eq(a, pst_str_from(z));
}

/* ASCII letters compare equal in either case; every other byte exactly. */
bool pst_str_eq_nocase(pst_str a, pst_str b);

/* Byte order, a prefix before its extensions: <0, 0, >0. */
int pst_str_cmp(pst_str a, pst_str b);

bool pst_str_starts(pst_str s, pst_str prefix);
bool pst_str_ends(pst_str s, pst_str suffix);

/* Index of the first c, or s.len where there is none. */
size_t pst_str_index(pst_str s, char c);

/* From byte `from` on (clamped), at most len bytes. */
pst_str pst_str_sub(pst_str s, size_t from, size_t len);

bool pst_is_space(char c); /* blank, tab, CR, LF */

/* Without such at both ends. */
pst_str pst_str_trim(pst_str s);

/* Cut off *rest up to the first sep and return that part; *rest is what follows it (not NULL,
 * even when nothing follows). When there is no sep the whole of *rest is returned and *rest
 * becomes {NULL, 0}: rest.ptr tells whether there was one. */
pst_str pst_str_split(pst_str *rest, char sep);

/* The host of scheme://host:port, which may be cut or "". Ports of one machine have one host. */
pst_str pst_str_host(pst_str origin);

/* Copy to a C buffer of `size` bytes with a NUL. false, and an empty text, when s does not
 * fit or holds a NUL byte. */
bool pst_str_copy(char *out, size_t size, pst_str s);

#endif
