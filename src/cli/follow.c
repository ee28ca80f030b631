/* cli/follow.c: commands that go on for ever. */
#include "cli/follow.h"

#include "cli/output.h"
#include "cli/terminal.h"
#include "os/clock.h"

enum { AGAIN_MS = 1000 };

pst_str pst_follow_wait(const struct pst_follow *f)
{
    return f->is_waiting ? PST_STR("") : PST_STR("20");
}

bool pst_follow_goes_on(struct pst_follow *f, pst_code code, const struct pst_err *err)
{
    if (code == PST_OK) {
        if (f->is_waiting)
            pst_notef("it answers again\n");
        f->is_connected = true;
        f->is_waiting = false;
        return true;
    }
    if (!f->is_connected || !pst_code_retryable(err->code))
        return false;
    if (!f->is_waiting)
        pst_notef("%s; trying again until it answers (Ctrl-C ends)\n", err->msg);
    f->is_waiting = true;
    pst_sleep_ms(AGAIN_MS);
    return true;
}
