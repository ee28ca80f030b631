/* peoplesim/account.c: Basic authentication. */
#include "peoplesim/account.h"

#include <stdio.h>

void pst_sim_account_init(struct pst_sim_account *a, const char *user, const char *password,
                          uint64_t lock_after)
{
    *a = (struct pst_sim_account){.lock_after = lock_after};
    (void)snprintf(a->user, sizeof(a->user), "%s", user);
    (void)snprintf(a->password, sizeof(a->password), "%s", password);
    pthread_mutex_init(&a->lock, NULL);
}

void pst_sim_account_fini(struct pst_sim_account *a)
{
    pthread_mutex_destroy(&a->lock);
}

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool pst_sim_base64_decode(char *out, size_t cap, size_t *len, pst_str text)
{
    size_t n = 0;
    if (text.len % 4 != 0)
        return false;
    for (size_t i = 0; i < text.len; i += 4) {
        bool is_last = i + 4 == text.len;
        size_t pad =
            is_last ? (size_t)(text.ptr[i + 3] == '=') + (size_t)(text.ptr[i + 2] == '=') : 0;
        uint32_t bits = 0;
        for (size_t k = 0; k < 4; k++) {
            int v = k >= 4 - pad ? 0 : sextet(text.ptr[i + k]);
            if (v < 0)
                return false;
            bits = bits << 6 | (uint32_t)v;
        }
        for (size_t k = 0; k < 3 - pad; k++) {
            if (n == cap)
                return false;
            out[n++] = (char)(bits >> (16 - 8 * k) & 0xff);
        }
    }
    *len = n;
    return true;
}

static bool matches(const struct pst_sim_account *a, pst_str authorization)
{
    char plain[2 * PST_SIM_ACCOUNT_TEXT];
    size_t len = 0;
    pst_str scheme = pst_str_sub(authorization, 0, 6);
    if (!pst_str_eq_nocase(scheme, PST_STR("basic ")) ||
        !pst_sim_base64_decode(plain, sizeof(plain), &len,
                               pst_str_trim(pst_str_sub(authorization, 6, authorization.len))))
        return false;
    pst_str password = {plain, len};
    pst_str user = pst_str_split(&password, ':');
    return pst_str_is(user, a->user) && pst_str_is(password, a->password);
}

bool pst_sim_account_admits(struct pst_sim_account *a, pst_str authorization)
{
    pthread_mutex_lock(&a->lock);
    bool fits = matches(a, authorization);
    if (fits && !a->is_locked)
        a->refused_in_a_row = 0;
    else if (++a->refused_in_a_row == a->lock_after)
        a->is_locked = true;
    bool admitted = fits && !a->is_locked;
    pthread_mutex_unlock(&a->lock);
    return admitted;
}

bool pst_sim_account_set_password(struct pst_sim_account *a, pst_str password)
{
    pthread_mutex_lock(&a->lock);
    bool fits = password.len && pst_str_copy(a->password, sizeof(a->password), password);
    pthread_mutex_unlock(&a->lock);
    return fits;
}

void pst_sim_account_set_locked(struct pst_sim_account *a, bool is_locked)
{
    pthread_mutex_lock(&a->lock);
    a->is_locked = is_locked;
    a->refused_in_a_row = 0;
    pthread_mutex_unlock(&a->lock);
}

bool pst_sim_account_is_locked(struct pst_sim_account *a)
{
    pthread_mutex_lock(&a->lock);
    bool is_locked = a->is_locked;
    pthread_mutex_unlock(&a->lock);
    return is_locked;
}
