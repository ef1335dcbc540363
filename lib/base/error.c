/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A message is one line whatever the values in it are. */
static void make_printable(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
	}
}

/* End a text that was cut with "...", at the border of a UTF-8 character. */
static void mark_cut(char *text, size_t size)
{
	size_t end = size - sizeof("...");

	while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
		end--;
	memcpy(text + end, "...", sizeof("..."));
}

/* Whatever was to be opened: what to do about it is the same, and nobody has refused anything. */
static int too_many_files(struct error *error, int code)
{
	error->code = code;
	error->reason = BN_REASON_NONE;
	snprintf(error->message, sizeof(error->message), "%s",
		 code == -EMFILE ? "this process has as many files open as it may: raise its limit "
				   "(RLIMIT_NOFILE, ulimit -n), or close some" :
				   "this host has as many files open as it may: raise its limit "
				   "(sysctl fs.file-max), or end what has so many");
	return code;
}

int error_set(struct error *error, int code, int reason, const char *format, ...)
{
	va_list arguments;
	int len;

	if (!error)
		return code;
	/* one without a reason says it already */
	if ((code == -EMFILE || code == -ENFILE) && reason != BN_REASON_NONE)
		return too_many_files(error, code);
	error->code = code;
	error->reason = reason;
	va_start(arguments, format);
	len = vsnprintf(error->message, sizeof(error->message), format, arguments);
	va_end(arguments);
	if (len >= (int)sizeof(error->message))
		mark_cut(error->message, sizeof(error->message));
	make_printable(error->message);
	return code;
}

int error_reason(int number, int other)
{
	return number == EPERM || number == EACCES ? BN_REASON_PRIVILEGE : other;
}

int error_unknown_outcome(struct error *error, const char *what)
{
	return error_set(
		error, OUTCOME_UNKNOWN, BN_REASON_UNKNOWN_OUTCOME,
		"could not %s, or could: the kernel's answer was lost and what stands can't "
		"be seen; the next call looks again",
		what);
}

int error_oom(struct error *error)
{
	return error_set(error, -ENOMEM, BN_REASON_NONE,
			 "out of memory: nothing was changed, try again when some is free");
}

void error_set_kernel(struct error *error, const char *text)
{
	size_t size, len;

	if (!error)
		return;
	size = sizeof(error->kernel);
	len = strnlen(text, size);
	memcpy(error->kernel, text, len < size ? len + 1 : size);
	if (len == size)
		mark_cut(error->kernel, size);
	make_printable(error->kernel);
}

void error_clear(struct error *error)
{
	if (!error)
		return;
	error->code = 0;
	error->reason = BN_REASON_NONE;
	error->message[0] = '\0';
	error->kernel[0] = '\0';
}

const char *errno_text(int number)
{
#ifdef HAVE_STRERRORDESC_NP
	const char *text = strerrordesc_np(number);

	return text ? text : "unknown error";
#else
	return strerror(number);
#endif
}
