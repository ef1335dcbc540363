/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BN_BASE_ERROR_H
#define BN_BASE_ERROR_H

#include <errno.h>

#include "bridgenet.h"
#include "base/macro.h"

#define KERNEL_TEXT_MAX 256

/* The kernel's answer is lost, and whether it did what it was asked can't be seen. Between link/ or
 * firewall/ and ops/ alone, which leaves the operation to the next look. */
#define OUTCOME_UNKNOWN (-EILSEQ)
/* How often it is looked at, and how long that may take beyond the end of the call. */
#define OUTCOME_LOOKS 3
#define OUTCOME_LOOK_MS 500

/* Why a call failed: kept in the context, filled where the failure is met, read by bn_error_*(). */
struct error {
	int code;   /* negative errno, 0 for none */
	int reason; /* BN_REASON_* */
	char message[512];
	char kernel[KERNEL_TEXT_MAX]; /* the kernel's own text (extended ack), "" for none */
};

/* Fill *error (may be NULL) and return code, so that a caller can `return error_set(...)`. The
 * sentence names the thing, the value and what to do. */
int error_set(struct error *error, int code, int reason, const char *format, ...) PRINTF(4, 5);

/* BN_REASON_PRIVILEGE for EPERM and EACCES, else the other. */
int error_reason(int number, int other);

/* OUTCOME_UNKNOWN with its sentence; `what`: "create bridge bn0". */
int error_unknown_outcome(struct error *error, const char *what);

/* -ENOMEM with its sentence. */
int error_oom(struct error *error);

/* Keep what the kernel said; call before or after error_set(). */
void error_set_kernel(struct error *error, const char *text);

void error_clear(struct error *error);

/* What the C library says of an errno, for a sentence. */
const char *errno_text(int number);

#endif
