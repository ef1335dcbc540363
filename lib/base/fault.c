/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/fault.h"

#ifdef BN_TESTING
int (*fault_hook)(const char *step);
#endif
