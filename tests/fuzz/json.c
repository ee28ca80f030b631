/* tests/fuzz/json.c: JSON of requests: what is read can be written, and says the same again. */
#include "codec/json.h"
#include "base/utf8.h"
#include "tests/fuzz/fuzz.h"

enum { ARENA_BYTES = 16 << 20 };

static void write_again(struct pst_buf *out, pst_str text, struct pst_arena *a)
{
    struct pst_err err;
    struct pst_json_writer w;
    yyjson_doc *doc = NULL;
    FUZZ_OK(
        pst_json_read(text, &(struct pst_json_limits){.allow_duplicates = true}, a, &doc, &err));
    pst_json_init(&w, out);
    pst_json_put_val(&w, yyjson_doc_get_root(doc));
    FUZZ_OK(pst_json_finish(&w, &err));
}

/* Any bytes at all make a valid string. */
static void check_quote(pst_str bytes, struct pst_arena *a)
{
    struct pst_err err;
    struct pst_buf b;
    yyjson_doc *doc = NULL;
    pst_str back = {NULL, 0};
    pst_buf_init(&b, ARENA_BYTES);
    pst_json_quote(&b, bytes);
    FUZZ_OK(pst_json_read(pst_buf_str(&b), NULL, a, &doc, &err));
    FUZZ_REQUIRE(pst_json_str(yyjson_doc_get_root(doc), &back));
    FUZZ_REQUIRE(!pst_utf8_valid(bytes, NULL) || pst_str_eq(back, bytes));
    pst_buf_fini(&b);
}

void pst_fuzz(pst_str bytes)
{
    struct pst_err err;
    struct pst_buf once;
    struct pst_buf twice;
    yyjson_doc *doc = NULL;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    unsigned flags = fuzz_take(&bytes);
    const struct pst_json_limits limits = {
        .allow_bom = flags & 1, .allow_duplicates = flags & 2, .max_depth = flags & 4 ? 8 : 0};
    FUZZ_OK(pst_arena_new(&a, ARENA_BYTES, &err));
    check_quote(bytes, a);
    if (pst_json_read(bytes, &limits, a, &doc, &err) != PST_OK)
        return;
    pst_buf_init(&once, ARENA_BYTES);
    pst_buf_init(&twice, ARENA_BYTES);
    struct pst_json_writer w;
    pst_json_init(&w, &once);
    pst_json_put_val(&w, yyjson_doc_get_root(doc));
    FUZZ_OK(pst_json_finish(&w, &err));
    write_again(&twice, pst_buf_str(&once), a);
    FUZZ_REQUIRE(pst_str_eq(pst_buf_str(&once), pst_buf_str(&twice)));
    pst_buf_fini(&once);
    pst_buf_fini(&twice);
}
