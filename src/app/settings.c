/* app/settings.c: finding and reading the configuration. */
#include "app/settings.h"

#include <unistd.h>

#include "os/file.h"

enum { FILE_BYTES = 1 << 20 };

static pst_code find_file(struct pst_arena *arena, pst_str *out, const char *const *args,
                          size_t arg_count, const char *const *env, struct pst_err *err)
{
    struct pst_config_files files = {0};
    const char *flag = pst_config_peek_flag(args, arg_count, "config", 0);
    if (flag) {
        *out = pst_str_from(flag);
        return PST_OK;
    }
    PST_TRY(pst_config_file_names(arena, &files, env, err));
    if (files.named.len > 0)
        *out = files.named;
    else if (files.user.len > 0 && pst_file_exists(files.user.ptr))
        *out = files.user;
    else if (files.system.len > 0 && pst_file_exists(files.system.ptr))
        *out = files.system;
    else
        *out = PST_STR("");
    return PST_OK;
}

pst_code pst_settings_load(struct pst_settings *out, struct pst_arena *arena,
                           const char *const *args, size_t arg_count, const char *const *env,
                           struct pst_err *err)
{
    PST_AUTO(config) struct pst_config *config = NULL;
    struct pst_settings s = {0};
    struct pst_config_input in = {.env = env, .args = args, .arg_count = arg_count};
    PST_TRY(find_file(arena, &s.file, args, arg_count, env, err));
    if (s.file.len > 0) {
        PST_TRY(pst_file_read(arena, &in.file_text, s.file.ptr, FILE_BYTES, err));
        in.file_name = s.file.ptr;
    }
    PST_TRY(pst_config_load(&config, &pst_options, &in, err));
    if (pst_config_has_secret_in_file(config))
        PST_TRY(pst_file_check_private(s.file.ptr, err));
    PST_TRY(pst_paths_resolve(arena, &s.paths, config, env, geteuid() == 0, err));
    s.config = PST_TAKE(config);
    *out = s;
    return PST_OK;
}
