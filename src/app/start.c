/* app/start.c: what has to be there before anything is built: directory, key, egress rules. */
#include "app/internal.h"
#include "app/rotate.h"
#include "base/log.h"
#include "os/file.h"
#include "os/net.h"

#include <limits.h>

pst_code pst_start_data_dir(const struct pst_paths *paths, struct pst_err *err)
{
    PST_TRY(pst_dir_make(paths->data_dir.ptr, 0700, err));
    PST_TRY(pst_file_check_private(paths->data_dir.ptr, err));
    return pst_dir_sweep(paths->data_dir.ptr, PST_STAGED, err);
}

static pst_code load_text_key(struct pst_key **out, pst_str text, struct pst_err *err)
{
    if (pst_key_from_text(out, text, err) != PST_OK)
        return pst_err_wrap(err, "root_key");
    return PST_OK;
}

pst_code pst_start_root_key(struct pst_key **out, const struct pst_config *config,
                            const struct pst_paths *paths, struct pst_err *err)
{
    bool created = false;
    pst_str text = pst_config_str(config, PST_OPT_ROOT_KEY);
    if (text.len > 0)
        return load_text_key(out, text, err);
    bool store_exists = pst_file_exists(paths->store.ptr);
    if (store_exists && !pst_file_exists(paths->key_file.ptr))
        return PST_FAIL_AT(err, PST_E_NOT_FOUND, "key_file",
                           "the store '%.*s' exists, but its root key '%.*s' does not: bring the "
                           "key file back, or name it with --key-file",
                           PST_STR_ARG(paths->store), PST_STR_ARG(paths->key_file));
    PST_TRY(pst_key_load_or_create(out, paths->key_file.ptr, &created, err));
    if (created)
        PST_LOG(PST_LOG_INFO, "made a new root key; keep a copy of it apart from backups",
                PST_F_STR("key_file", paths->key_file), PST_F_Z("key_id", pst_key_id(*out)));
    return PST_OK;
}

pst_code pst_start_vault(struct pst_db *db, struct pst_key **root, const struct pst_paths *paths,
                         struct pst_err *err)
{
    struct pst_key *key = NULL;
    char kept[PATH_MAX];
    pst_code rc = pst_vault_open(db, *root, err);
    if (rc != PST_E_INVALID)
        return rc;
    PST_TRY(pst_rotate_finish(db, paths->key_file.ptr, &key, kept, err));
    pst_key_free(*root);
    *root = key;
    PST_LOG(PST_LOG_INFO, "finished the rotation of the root key that was broken off",
            PST_F_Z("old_key_file", kept));
    return PST_OK;
}

static pst_code read_ranges(struct pst_egress *out, enum pst_zone zone,
                            const struct pst_config *config, size_t option, struct pst_arena *arena,
                            struct pst_err *err)
{
    const char *name = pst_options.options[option].name;
    struct pst_range *ranges = NULL;
    const pst_str *texts = NULL;
    size_t count = pst_config_list(config, option, &texts);
    PST_TRY(pst_arena_array(arena, &ranges, count, sizeof(*ranges), err));
    for (size_t i = 0; i < count; i++) {
        if (!pst_range_parse(&ranges[i], texts[i]))
            return PST_FAIL_AT(err, PST_E_INVALID, name,
                               "%s: '%.*s' is no address range such as 10.0.0.0/8", name,
                               PST_STR_ARG(texts[i]));
    }
    out->ranges[zone] = ranges;
    out->range_counts[zone] = count;
    return PST_OK;
}

pst_code pst_start_egress(struct pst_egress *out, const struct pst_config *config,
                          struct pst_arena *arena, struct pst_err *err)
{
    *out = (struct pst_egress){.allow_loopback = pst_config_bool(config, PST_OPT_DEV)};
    PST_TRY(read_ranges(out, PST_ZONE_SYSTEM, config, PST_OPT_SYSTEM_RANGES, arena, err));
    return read_ranges(out, PST_ZONE_PUBLIC, config, PST_OPT_WEBHOOK_RANGES, arena, err);
}

pst_code pst_start_receivers_ca(const char **out, const struct pst_config *config,
                                struct pst_arena *arena, struct pst_err *err)
{
    enum { FILE_MAX = 4 << 20 };
    PST_AUTO(arena) struct pst_arena *scratch = NULL;
    pst_str name = pst_config_str(config, PST_OPT_WEBHOOK_CA_FILE);
    pst_str path = {0};
    pst_str text = {0};
    *out = NULL;
    if (name.len == 0)
        return PST_OK;
    PST_TRY(pst_arena_dup(arena, &path, name, err));
    PST_TRY(pst_arena_new(&scratch, 2 * FILE_MAX, err));
    if (pst_file_read(scratch, &text, path.ptr, FILE_MAX, err) != PST_OK)
        return pst_err_wrap(err, "webhook_ca_file");
    if (!memmem(text.ptr, text.len, "-----BEGIN CERTIFICATE-----", 27))
        return PST_FAIL_AT(err, PST_E_INVALID, "webhook_ca_file",
                           "webhook_ca_file: there is no PEM certificate in '%s'", path.ptr);
    *out = path.ptr;
    return PST_OK;
}

/* The host of "host:port" or "[host]:port". */
static pst_str host_of(pst_str listen)
{
    size_t end = listen.len;
    while (end > 0 && listen.ptr[end - 1] != ':')
        end--;
    pst_str host = pst_str_sub(listen, 0, end > 0 ? end - 1 : 0);
    if (host.len >= 2 && host.ptr[0] == '[')
        return pst_str_sub(host, 1, host.len - 2);
    return host;
}

/* A wildcard listener has every address of the machine, and a name may have any of them. The
 * unspecified address, last, stands for all of loopback. */
static pst_code add_machine(struct pst_address **out, size_t *count, struct pst_arena *arena,
                            struct pst_err *err)
{
    struct pst_net_address *all = NULL;
    PST_TRY(pst_net_addresses(arena, &all, count, err));
    PST_TRY(pst_arena_array(arena, out, *count + 1, sizeof(**out), err));
    for (size_t i = 0; i < *count; i++)
        memcpy((*out)[i].ip, all[i].ip, sizeof(all[i].ip));
    ++*count;
    return PST_OK;
}

pst_code pst_start_own_address(struct pst_egress *egress, pst_str listen, int port,
                               struct pst_arena *arena, struct pst_err *err)
{
    struct pst_address *own = NULL;
    size_t count = 1;
    pst_str host = host_of(listen);
    PST_TRY(pst_arena_array(arena, &own, 1, sizeof(*own), err));
    if (!pst_address_parse(own, host) || pst_str_is(host, "0.0.0.0") || pst_str_is(host, "::"))
        PST_TRY(add_machine(&own, &count, arena, err));
    for (size_t i = 0; i < count; i++)
        own[i].port = (uint16_t)port;
    egress->own = own;
    egress->own_count = count;
    return PST_OK;
}
