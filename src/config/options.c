/* config/options.c: the table of `penstock serve`, and the paths that follow from it. */
#include "config/options.h"

#define FLAGS_N 0
#define FLAGS_R PST_CONFIG_RELOADABLE
#define FLAGS_S PST_CONFIG_SECRET
#define FLAGS_F PST_CONFIG_FLAG_ONLY

/* clang-format off */
static const struct pst_config_option rows[PST_OPT_COUNT] = {
#define X(id, name, type, def, min, max, flags, choices, arg, unit, group, help) \
    [PST_OPT_##id] = {name, 0, PST_CONFIG_##type, def, min, max, FLAGS_##flags, choices, arg, unit, \
                      group, help},
#include "config/options.def"
#undef X
};
/* clang-format on */

const struct pst_config_table pst_options = {
    .program = "penstock",
    .env_prefix = "PENSTOCK_",
    .options = rows,
    .count = PST_OPT_COUNT,
};

const char *pst_env_get(const char *const *env, const char *name)
{
    size_t len = strlen(name);
    for (; env && *env; env++) {
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    }
    return NULL;
}

/* The XDG rule: an absolute path in the variable, else below the home directory. */
static pst_code resolve_xdg(struct pst_arena *a, pst_str *out, const char *const *env,
                            const char *name, const char *below_home, struct pst_err *err)
{
    const char *dir = pst_env_get(env, name);
    const char *home = pst_env_get(env, "HOME");
    *out = PST_STR("");
    if (dir && dir[0] == '/')
        return pst_arena_printf(a, out, err, "%s/penstock", dir);
    if (home && home[0] == '/')
        return pst_arena_printf(a, out, err, "%s/%s/penstock", home, below_home);
    return PST_OK;
}

static pst_code in_dir(struct pst_arena *a, pst_str *out, pst_str given, pst_str dir,
                       const char *name, struct pst_err *err)
{
    if (given.len > 0)
        return pst_arena_dup(a, out, given, err);
    return pst_arena_printf(a, out, err, "%.*s/%s", PST_STR_ARG(dir), name);
}

pst_code pst_paths_resolve(struct pst_arena *a, struct pst_paths *out, const struct pst_config *c,
                           const char *const *env, bool is_root, struct pst_err *err)
{
    struct pst_paths p = {0};
    const char *state = pst_env_get(env, "STATE_DIRECTORY"); /* set by systemd */
    pst_str dir = pst_config_str(c, PST_OPT_DATA_DIR);
    if (dir.len > 0)
        PST_TRY(pst_arena_dup(a, &p.data_dir, dir, err));
    else if (state && state[0] == '/')
        PST_TRY(pst_arena_dup(a, &p.data_dir, pst_str_from(state), err));
    else if (is_root)
        p.data_dir = PST_STR("/var/lib/penstock");
    else
        PST_TRY(resolve_xdg(a, &p.data_dir, env, "XDG_STATE_HOME", ".local/state", err));
    if (p.data_dir.len == 0)
        return PST_FAIL_AT(err, PST_E_INVALID, "data_dir",
                           "there is no home directory: say where data goes with --data-dir");
    PST_TRY(in_dir(a, &p.store, pst_config_str(c, PST_OPT_STORE), p.data_dir, "penstock.db", err));
    PST_TRY(
        in_dir(a, &p.key_file, pst_config_str(c, PST_OPT_KEY_FILE), p.data_dir, "root.key", err));
    PST_TRY(in_dir(a, &p.socket, PST_STR(""), p.data_dir, "penstock.sock", err));
    PST_TRY(in_dir(a, &p.lock, PST_STR(""), p.data_dir, "penstock.lock", err));
    *out = p;
    return PST_OK;
}

pst_code pst_config_file_names(struct pst_arena *a, struct pst_config_files *out,
                               const char *const *env, struct pst_err *err)
{
    struct pst_config_files files = {0};
    const char *named = pst_env_get(env, "PENSTOCK_CONFIG");
    if (named && *named) {
        PST_TRY(pst_arena_dup(a, &files.named, pst_str_from(named), err));
        *out = files;
        return PST_OK;
    }
    pst_str dir = {0};
    PST_TRY(resolve_xdg(a, &dir, env, "XDG_CONFIG_HOME", ".config", err));
    if (dir.len > 0)
        PST_TRY(pst_arena_printf(a, &files.user, err, "%.*s/penstock.yaml", PST_STR_ARG(dir)));
    files.system = PST_STR("/etc/penstock/penstock.yaml");
    *out = files;
    return PST_OK;
}
