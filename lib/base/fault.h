/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Failures on demand, for the tests of undoing: nothing but 0 outside the testing library. */
#ifndef BN_BASE_FAULT_H
#define BN_BASE_FAULT_H

#ifdef BN_TESTING
/* Called at every step that can fail; a negative errno makes it fail. */
extern int (*fault_hook)(const char *step);
#define FAULT(step) (fault_hook ? fault_hook(step) : 0)
#define FAULTS (fault_hook != NULL)
#else
#define FAULT(step) ((void)(step), 0)
#define FAULTS 0
#endif

#endif
