/* tests/conformance/subject.h: an adapter under test, with the simulated system that it talks to.
 *
 * A new adapter gets a struct subject of its own (subject_peoplesoft.c); the suite in
 * connector_test.c stays as it is. */
#ifndef PST_TESTS_CONFORMANCE_SUBJECT_H
#define PST_TESTS_CONFORMANCE_SUBJECT_H

#include "connector/connector.h"

/* What a system can be told to do wrong. */
enum subject_fault {
    FAULT_REFUSED, /* the credentials, by status */
    FAULT_REFUSED_IN_WORDS, /* the same inside an answer with another status */
    FAULT_DENIED,
    FAULT_NOT_FOUND,
    FAULT_ERROR, /* without a reason */
    FAULT_ERROR_IN_WORDS,
    FAULT_UNAVAILABLE,
    FAULT_SIGN_ON_PAGE,
    FAULT_REDIRECT,
    FAULT_RESET,
    FAULT_TRUNCATED,
    FAULT_GARBAGE,
    FAULT_SLOW, /* the first byte comes after 5 s */
    FAULT_ROW_CAP, /* 3 rows at most */
    FAULT_PROMPTS_IGNORED, /* every row comes, wherever a page should begin */
    FAULT_BAD_TEXT, /* the second row's text is no UTF-8 */
    FAULT_COUNT,
};

struct subject {
    const struct pst_connector_ops *ops;
    const char *zone;
    const char *credentials; /* JSON */
    const char *wrong_credentials;
    /* Start the system (its program's path), or end the test. */
    void (*start)(const char *program);
    void (*stop)(void);
    const char *(*config)(void); /* JSON, valid after start */
    void (*set_fault)(enum subject_fault fault, unsigned skip); /* after `skip` good answers */
    void (*clear_faults)(void);
    pst_wall (*now)(void); /* the system's own time */
    size_t (*count_rows)(pst_str entity); /* the truth */
    pst_code expected[FAULT_COUNT]; /* what a page gets; PST_OK for the last ones */
};

extern const struct subject SUBJECT_PEOPLESOFT;

#endif
