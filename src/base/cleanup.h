/* base/cleanup.h: release at end of scope (GCC and Clang).
 *
 *   PST_DEFINE_AUTO(arena, struct pst_arena, pst_arena_free);   once, beside the type
 *   PST_AUTO(arena) struct pst_arena *a = NULL;                 freed when the scope ends
 *
 * The release function must accept NULL. Never mix with `goto` in one function.
 */
#ifndef PST_BASE_CLEANUP_H
#define PST_BASE_CLEANUP_H

#define PST_DEFINE_AUTO(name, type, release)                                                       \
    static inline void pst_auto_##name(type **p)                                                   \
    {                                                                                              \
        release(*p);                                                                               \
    }                                                                                              \
    _Static_assert(1, "swallow the semicolon")

#define PST_AUTO(name) __attribute__((cleanup(pst_auto_##name)))

/* Hand the pointer on and disarm the cleanup: *out = PST_TAKE(a); */
#define PST_TAKE(p)                                                                                \
    __extension__({                                                                                \
        __typeof__(p) pst_taken_ = (p);                                                            \
        (p) = NULL;                                                                                \
        pst_taken_;                                                                                \
    })

#define PST_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
