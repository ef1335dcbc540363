# SPDX-License-Identifier: LGPL-2.1-or-later

# BN_APPEND_CFLAGS(VARIABLE, FLAGS): append to VARIABLE each of FLAGS that the compiler takes.
# -Werror makes clang refuse the flags that it would only warn about.
AC_DEFUN([BN_APPEND_CFLAGS], [
	for flag in $2; do
		AS_VAR_PUSHDEF([cached], [bn_cv_cflag_$flag])
		AC_CACHE_CHECK([whether $CC takes $flag], [cached], [
			bn_save_CFLAGS=$CFLAGS
			CFLAGS="$CFLAGS -Werror $flag"
			AC_COMPILE_IFELSE([AC_LANG_PROGRAM()],
				[AS_VAR_SET([cached], [yes])], [AS_VAR_SET([cached], [no])])
			CFLAGS=$bn_save_CFLAGS
		])
		AS_VAR_IF([cached], [yes], [AS_VAR_APPEND([$1], [" $flag"])])
		AS_VAR_POPDEF([cached])
	done
])

# BN_APPEND_LDFLAGS(VARIABLE, FLAGS): the same for the linker, as it is called by the compiler.
AC_DEFUN([BN_APPEND_LDFLAGS], [
	for flag in $2; do
		AS_VAR_PUSHDEF([cached], [bn_cv_ldflag_$flag])
		AC_CACHE_CHECK([whether the linker takes $flag], [cached], [
			bn_save_LDFLAGS=$LDFLAGS
			LDFLAGS="$LDFLAGS $flag"
			AC_LINK_IFELSE([AC_LANG_PROGRAM()],
				[AS_VAR_SET([cached], [yes])], [AS_VAR_SET([cached], [no])])
			LDFLAGS=$bn_save_LDFLAGS
		])
		AS_VAR_IF([cached], [yes], [AS_VAR_APPEND([$1], [" $flag"])])
		AS_VAR_POPDEF([cached])
	done
])
