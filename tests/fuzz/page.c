/* tests/fuzz/page.c: an answer of the PeopleSoft service, through reader, documents, mapping: what
 * the connected system may send. The input is the body of the first call; the second is empty.
 *
 * Every document is mapped or rejected with a reason, what is mapped is strict JSON, and mapping
 * it again gives the same. */
#include "codec/json.h"
#include "codec/tz.h"
#include "connectors/peoplesoft/peoplesoft.h"
#include "crypto/crypto.h"
#include "tests/fuzz/fuzz.h"

enum { ARENA_BYTES = 32 << 20, BODY_BYTES = 16 << 10 };

struct source {
    pst_str body;
    int calls;
};

static pst_code answer(void *self, const struct pst_http_request *request, struct pst_arena *arena,
                       struct pst_http_response *response, struct pst_err *err)
{
    struct source *source = self;
    char *copy = NULL;
    pst_str body = source->calls++ == 0
                       ? source->body
                       : PST_STR("{\"status\":\"success\",\"data\":{\"query\":{\"rows\":[]}}}");
    (void)request;
    *response = (struct pst_http_response){.status = 200};
    PST_TRY(pst_arena_alloc(arena, &copy, body.len + PST_HTTP_PADDING, err));
    if (body.len)
        memcpy(copy, body.ptr, body.len);
    memset(copy + body.len, 0, PST_HTTP_PADDING);
    response->body = (pst_str){copy, body.len};
    return PST_OK;
}

static struct pst_id record_id(pst_str connection_id, pst_str entity, pst_str source_id)
{
    (void)connection_id, (void)entity, (void)source_id;
    return (struct pst_id){"rec_1"};
}

/* Made once. */
static struct {
    struct pst_manifest *manifest;
    struct pst_connector *connector;
    struct pst_tz *zone;
    struct pst_mapping *mappings[PST_ENTITIES_MAX];
} world;

static void make_world(void)
{
    struct pst_err err;
    yyjson_doc *config = NULL;
    yyjson_doc *credentials = NULL;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    FUZZ_OK(pst_crypto_init(&err));
    FUZZ_OK(pst_arena_new(&a, ARENA_BYTES, &err));
    FUZZ_OK(pst_tz_load(&world.zone, NULL, PST_STR("Europe/Berlin"), &err));
    FUZZ_OK(pst_manifest_new(&world.manifest, &pst_peoplesoft_ops, &err));
    FUZZ_OK(pst_json_read(
        PST_STR("{\"base_url\":\"http://127.0.0.1:1\",\"time_zone\":\"Europe/Berlin\"}"), NULL, a,
        &config, &err));
    FUZZ_OK(pst_json_read(PST_STR("{\"username\":\"u\",\"password\":\"p\"}"), NULL, a, &credentials,
                          &err));
    FUZZ_OK(pst_peoplesoft_ops.open(&world.connector, world.manifest, yyjson_doc_get_root(config),
                                    yyjson_doc_get_root(credentials), &err));
    const struct pst_mapping_options options = {
        .zone = world.zone, .record_id = record_id, .connection_id = PST_STR("conn_1")};
    for (size_t i = 0; i < world.manifest->stream_count; i++)
        FUZZ_OK(pst_mapping_new(&world.mappings[i], world.manifest->streams[i].entity,
                                world.manifest->streams[i].manifest, NULL, &options, &err));
}

static void check_document(struct pst_mapper *mapper, const struct pst_document *doc,
                           struct pst_arena *a)
{
    struct pst_err err;
    struct pst_mapped once;
    struct pst_mapped twice;
    yyjson_doc *json = NULL;
    FUZZ_REQUIRE(doc->row_count > 0 && (doc->source_id.len > 0 || doc->fault.len > 0));
    if (doc->fault.len)
        return;
    pst_hash128 hash = pst_mapper_source_hash(mapper, doc);
    FUZZ_OK(pst_mapper_apply(mapper, doc, a, &once, &err));
    FUZZ_OK(pst_mapper_apply(mapper, doc, a, &twice, &err));
    pst_hash128 again = pst_mapper_source_hash(mapper, doc);
    FUZZ_REQUIRE(hash.lo == again.lo && hash.hi == again.hi);
    FUZZ_REQUIRE(pst_str_eq(once.reject, twice.reject));
    if (once.reject.len)
        return;
    FUZZ_REQUIRE(once.hash.lo == twice.hash.lo && once.hash.hi == twice.hash.hi);
    FUZZ_REQUIRE(pst_str_eq(once.data, twice.data));
    FUZZ_OK(pst_json_read(once.data, NULL, a, &json, &err));
}

static void check_page(const struct pst_page *page, const struct pst_mapping *mapping,
                       struct pst_arena *a)
{
    struct pst_err err;
    struct pst_mapper *mapper = NULL;
    FUZZ_REQUIRE((page->count == 0) == (page->next_key.len == 0));
    for (size_t i = 1; i < page->count; i++)
        FUZZ_REQUIRE(pst_str_cmp(page->documents[i - 1].sort_key, page->documents[i].sort_key) < 0);
    FUZZ_OK(pst_mapper_new(&mapper, mapping, &err));
    if (page->count && pst_mapper_bind(mapper, &page->columns, &err) == PST_OK) {
        for (size_t i = 0; i < page->count; i++)
            check_document(mapper, &page->documents[i], a);
    }
    pst_mapper_free(mapper);
}

void pst_fuzz(pst_str bytes)
{
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    if (!world.manifest)
        make_world();
    unsigned choice = fuzz_take(&bytes);
    if (bytes.len > BODY_BYTES)
        return;
    size_t stream = choice % world.manifest->stream_count;
    struct source source = {.body = bytes};
    const struct pst_connector_ctx ctx = {
        .call = answer, .self = &source, .deadline = PST_MONO_NEVER, .zone = world.zone};
    const struct pst_fetch fetch = {
        .stream = &world.manifest->streams[stream],
        .mode = choice & 0x80 ? PST_FETCH_FULL : PST_FETCH_INCREMENTAL,
        .from = {1767225600LL * 1000000},
        .to = PST_WALL_NONE,
        .as_of = {1767225600LL * 1000000},
        .limit = 100,
    };
    struct pst_page page;
    FUZZ_OK(pst_arena_new(&a, ARENA_BYTES, &err));
    pst_code code = pst_peoplesoft_ops.fetch(world.connector, &ctx, &fetch, a, &page, &err);
    FUZZ_REQUIRE(source.calls <= 32);
    if (code == PST_OK)
        check_page(&page, world.mappings[stream], a);
    else
        FUZZ_REQUIRE(code == PST_E_SYSTEM || code == PST_E_UNREACHABLE ||
                     code == PST_E_DELETE_GUARD || code == PST_E_LIMIT);
}
