/* tests/fuzz/yaml.c: YAML files: refused with a place, or one strict JSON value; then as a
 * connector's manifest, and each of its streams as a mapping. */
#include "codec/yaml.h"
#include "codec/tz.h"
#include "connector/connector.h"
#include "tests/fuzz/fuzz.h"

enum { ARENA_BYTES = 16 << 20 };

static struct pst_id record_id(pst_str connection_id, pst_str entity, pst_str source_id)
{
    (void)connection_id, (void)entity, (void)source_id;
    return (struct pst_id){"rec_1"};
}

static void check_mapping(const struct pst_entity *entity, yyjson_val *stream)
{
    static struct pst_tz *utc;
    struct pst_err err;
    struct pst_mapping *mapping = NULL;
    if (!utc)
        FUZZ_OK(pst_tz_load(&utc, NULL, PST_STR("UTC"), &err));
    const struct pst_mapping_options options = {
        .zone = utc, .record_id = record_id, .connection_id = PST_STR("conn_1")};
    if (pst_mapping_new(&mapping, entity, stream, NULL, &options, &err) != PST_OK) {
        FUZZ_REQUIRE(err.msg[0]);
        return;
    }
    struct pst_buf b;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    yyjson_doc *doc = NULL;
    FUZZ_OK(pst_arena_new(&a, ARENA_BYTES, &err));
    pst_buf_init(&b, ARENA_BYTES);
    pst_mapping_describe(mapping, &b);
    FUZZ_OK(pst_json_read(pst_buf_str(&b), NULL, a, &doc, &err));
    pst_buf_fini(&b);
    pst_mapping_free(mapping);
}

static void check_manifest(pst_str text)
{
    struct pst_err err;
    struct pst_manifest *manifest = NULL;
    const struct pst_connector_ops ops = {
        .name = "fuzz", .manifest_yaml = text.ptr, .manifest_len = text.len};
    if (pst_manifest_new(&manifest, &ops, &err) != PST_OK) {
        FUZZ_REQUIRE(err.msg[0]);
        return;
    }
    for (size_t i = 0; i < manifest->stream_count; i++)
        check_mapping(manifest->streams[i].entity, manifest->streams[i].manifest);
    pst_manifest_free(manifest);
}

void pst_fuzz(pst_str bytes)
{
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    struct pst_buf b;
    yyjson_doc *doc = NULL;
    FUZZ_OK(pst_arena_new(&a, ARENA_BYTES, &err));
    pst_buf_init(&b, ARENA_BYTES);
    pst_code code = pst_yaml_to_json(bytes, &b, &err);
    if (code == PST_OK) {
        FUZZ_OK(pst_json_read(pst_buf_str(&b), NULL, a, &doc, &err));
        check_manifest(bytes);
        size_t count = 0;
        const struct pst_entity *entities = pst_model_entities(&count);
        check_mapping(&entities[bytes.len % count], yyjson_doc_get_root(doc));
    } else {
        FUZZ_REQUIRE(code == PST_E_INVALID || code == PST_E_LIMIT);
        FUZZ_REQUIRE(err.msg[0]);
    }
    pst_buf_fini(&b);
}
