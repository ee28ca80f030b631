/* peoplesim/account.h: the one user of the gateway: Basic authentication and locking.
 *
 * As PeopleSoft's password controls do: after so many refused logins in a row the account is
 * locked and even the right password is refused. Thread-safety: any thread.
 */
#ifndef PEOPLESIM_ACCOUNT_H
#define PEOPLESIM_ACCOUNT_H

#include <pthread.h>

#include "base/str.h"

#include <stdint.h>

enum { PST_SIM_ACCOUNT_TEXT = 128 };

struct pst_sim_account {
    pthread_mutex_t lock;
    char user[PST_SIM_ACCOUNT_TEXT];
    char password[PST_SIM_ACCOUNT_TEXT];
    uint64_t lock_after; /* refusals in a row; 0 = never */
    uint64_t refused_in_a_row;
    bool is_locked;
};

void pst_sim_account_init(struct pst_sim_account *a, const char *user, const char *password,
                          uint64_t lock_after);
void pst_sim_account_fini(struct pst_sim_account *a);

/* Whether the value of an Authorization header lets in; a refusal counts towards locking. */
bool pst_sim_account_admits(struct pst_sim_account *a, pst_str authorization);

/* false when it does not fit. */
bool pst_sim_account_set_password(struct pst_sim_account *a, pst_str password);
void pst_sim_account_set_locked(struct pst_sim_account *a, bool is_locked);
bool pst_sim_account_is_locked(struct pst_sim_account *a);

/* Standard base 64 with padding; false when text is anything else or out is too small. */
bool pst_sim_base64_decode(char *out, size_t cap, size_t *len, pst_str text);

#endif
