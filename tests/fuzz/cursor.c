/* tests/fuzz/cursor.c: what clients hand back: cursors of lists, tokens, ids, query parameters;
 * and the page tokens of the adapter. Refused, or exactly what was issued. */
#include "api/internal.h"
#include "codec/percent.h"
#include "connectors/peoplesoft/peoplesoft.h"
#include "connectors/peoplesoft/request.h"
#include "crypto/crypto.h"
#include "tests/fuzz/fuzz.h"

enum { ARENA_BYTES = 1 << 20 };

static void check_record_cursor(unsigned choice, pst_str text)
{
    struct pst_err err;
    size_t count = 0;
    const struct pst_entity *entities = pst_model_entities(&count);
    struct pst_record_query query = {
        .entity = &entities[choice % count],
        .connection_pk = 1 + choice % 3,
        .sort = (enum pst_record_sort)(choice / 16 % 3),
        .updated_after = PST_WALL_NONE,
        .updated_before = PST_WALL_NONE,
        .created_after = PST_WALL_NONE,
        .created_before = PST_WALL_NONE,
        .synced_after = PST_WALL_NONE,
        .synced_before = PST_WALL_NONE,
        .limit = 100,
    };
    char issued[PST_RECORD_CURSOR];
    if (pst_record_cursor_parse(&query, text, &err) == PST_OK) {
        pst_record_cursor_format(issued, &query, &query.after);
        FUZZ_REQUIRE(pst_str_is(text, issued));
    }
}

static void check_list_query(struct pst_arena *a, unsigned choice, pst_str query)
{
    struct pst_err err;
    size_t count = 0;
    const struct pst_entity *entities = pst_model_entities(&count);
    struct pst_request req = {.path = PST_STR("/v1/connections"), .query = query, .arena = a};
    struct pst_api_call call = {
        .op = &pst_api_ops[choice % pst_api_op_count],
        .req = &req,
        .arena = a,
        .entity = &entities[choice % count],
    };
    if (pst_api_check_query(&call, &err) != PST_OK)
        return;
    int64_t pk = 0;
    struct pst_buf b;
    struct pst_json_writer w;
    if (pst_api_cursor_read(&call, &pk, &err) != PST_OK || pk == 0)
        return;
    pst_buf_init(&b, 1024);
    pst_json_init(&w, &b);
    pst_json_begin_object(&w);
    pst_api_cursor_write(&call, &w, true, pk);
    pst_json_end_object(&w);
    FUZZ_OK(pst_json_finish(&w, &err));
    pst_str cursor = pst_api_query(&call, "cursor");
    FUZZ_REQUIRE(memmem(b.ptr, b.len, cursor.ptr, cursor.len));
    pst_buf_fini(&b);
}

static const struct pst_connector *adapter(void)
{
    static struct pst_connector *self;
    static struct pst_arena *arena;
    static struct pst_manifest *manifest;
    struct pst_err err;
    yyjson_doc *config = NULL;
    yyjson_doc *credentials = NULL;
    if (self)
        return self;
    FUZZ_OK(pst_crypto_init(&err));
    FUZZ_OK(pst_arena_new(&arena, ARENA_BYTES, &err));
    FUZZ_OK(pst_manifest_new(&manifest, &pst_peoplesoft_ops, &err));
    FUZZ_OK(pst_json_read(PST_STR("{\"base_url\":\"http://127.0.0.1:1\",\"time_zone\":\"UTC\"}"),
                          NULL, arena, &config, &err));
    FUZZ_OK(pst_json_read(PST_STR("{\"username\":\"u\",\"password\":\"p\"}"), NULL, arena,
                          &credentials, &err));
    FUZZ_OK(pst_peoplesoft_ops.open(&self, manifest, yyjson_doc_get_root(config),
                                    yyjson_doc_get_root(credentials), &err));
    return self;
}

static void check_page_token(struct pst_arena *a, unsigned choice, pst_str token)
{
    struct pst_err err;
    struct pst_ps_after after;
    const struct pst_connector *self = adapter();
    const struct pst_ps_stream *s = &self->streams[choice % self->stream_count];
    struct pst_buf b;
    if (pst_ps_after_decode(&after, s, token, a, &err) != PST_OK || after.is_start)
        return;
    pst_buf_init(&b, ARENA_BYTES);
    for (size_t i = 0; i < s->document_parts; i++) {
        char digits[32];
        (void)snprintf(digits, sizeof(digits), "%lld", (long long)after.key.number[i]);
        pst_source_id_add(&b, s->key[i].is_number ? pst_str_from(digits) : after.key.text[i],
                          i == 0);
    }
    FUZZ_REQUIRE(pst_str_eq(pst_buf_str(&b), token));
    pst_buf_fini(&b);
}

static void check_tokens(pst_str text)
{
    struct pst_token token;
    uint8_t raw[PST_ID_RAW];
    if (pst_token_parse(&token, text))
        FUZZ_REQUIRE(pst_token_matches(&token, token.hash));
    if (pst_id_parse(raw, "conn_", text)) {
        struct pst_id id = pst_id_format("conn_", raw);
        FUZZ_REQUIRE(pst_str_eq(pst_id_str(&id), text));
    }
}

void pst_fuzz(pst_str bytes)
{
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    unsigned choice = fuzz_take(&bytes);
    FUZZ_OK(pst_arena_new(&a, ARENA_BYTES, &err));
    check_record_cursor(choice, bytes);
    check_tokens(bytes);
    if (bytes.len <= 4096) {
        check_list_query(a, choice, bytes);
        check_page_token(a, choice, bytes);
    }
}
