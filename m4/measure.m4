# SPDX-License-Identifier: Apache-2.0

# MEASURE_MISSING(WHAT, DEBIAN-PACKAGE)
# -------------------------------------
# Ends configure with an error that names the package to install.
AC_DEFUN([MEASURE_MISSING],
  [AC_MSG_ERROR([$1 is missing: install the Debian package '$2'])])

# MEASURE_REQUIRE_PROGRAM(PROGRAM, DEBIAN-PACKAGE)
# ------------------------------------------------
AC_DEFUN([MEASURE_REQUIRE_PROGRAM],
  [AC_CHECK_PROG([measure_have_$1], [$1], [yes], [no])
   test "x$measure_have_$1" = xyes || MEASURE_MISSING([$1], [$2])])

# MEASURE_CHECK_C11
# -----------------
# The library hands tables between threads with <stdatomic.h>.
AC_DEFUN([MEASURE_CHECK_C11],
  [AC_CACHE_CHECK([whether $CC accepts C11 with atomics],
     [measure_cv_c11],
     [AC_LINK_IFELSE([AC_LANG_PROGRAM(
        [[#include <stdatomic.h>
          #include <stdint.h>
          static _Atomic(uint64_t) n;]],
        [[return (int) atomic_fetch_add_explicit(&n, 1,
                                                 memory_order_relaxed);]])],
        [measure_cv_c11=yes], [measure_cv_c11=no])])
   test "x$measure_cv_c11" = xyes \
     || MEASURE_MISSING([a C11 compiler with <stdatomic.h>], [gcc])])

# MEASURE_CHECK_LIBRARIES
# -----------------------
AC_DEFUN([MEASURE_CHECK_LIBRARIES],
  [AC_SEARCH_LIBS([pow], [m])
   AC_CHECK_HEADERS([pcap/pcap.h], [],
     [MEASURE_MISSING([<pcap/pcap.h>], [libpcap-dev])])
   measure_saved_libs=$LIBS
   AC_SEARCH_LIBS([pcap_dump_open], [pcap],
     [], [MEASURE_MISSING([libpcap], [libpcap-dev])])
   LIBS=$measure_saved_libs
   PCAP_LIBS=-lpcap
   AC_SUBST([PCAP_LIBS])
   test "x$PKG_CONFIG" != x || MEASURE_MISSING([pkg-config], [pkgconf])
   PKG_CHECK_MODULES([CHECK], [check >= 0.11], [],
     [MEASURE_MISSING([libcheck (used by the unit tests)], [check])])
   AC_PATH_PROG([PYTHON3], [python3], [no], [/usr/bin:$PATH])
   test "x$PYTHON3" != xno || MEASURE_MISSING([python3], [python3])])

# MEASURE_WITH_ZSTD
# -----------------
# For blocks of record files.
AC_DEFUN([MEASURE_WITH_ZSTD],
  [AC_ARG_WITH([zstd],
     [AS_HELP_STRING([--with-zstd=auto|yes|no],
        [compress record files with zstd @<:@default: auto@:>@])],
     [], [with_zstd=auto])
   AS_CASE([$with_zstd],
     [auto|yes|no], [],
     [AC_MSG_ERROR([--with-zstd=$with_zstd: valid are 'auto', 'yes' and 'no'])])
   measure_zstd_summary=no
   AS_IF([test "x$with_zstd" != xno],
     [PKG_CHECK_MODULES([ZSTD], [libzstd >= 1.4],
        [AC_DEFINE([HAVE_ZSTD], [1], [Define to 1 if there is libzstd.])
         measure_zstd_summary=`$PKG_CONFIG --modversion libzstd`],
        [AS_IF([test "x$with_zstd" = xyes],
           [MEASURE_MISSING([libzstd], [libzstd-dev])])])])
   AC_SUBST([ZSTD_CFLAGS])
   AC_SUBST([ZSTD_LIBS])])

# MEASURE_WITH_RUNDIR
# -------------------
# Where the sockets of the switch are, unless OVS_RUNDIR says otherwise.
AC_DEFUN([MEASURE_WITH_RUNDIR],
  [AC_ARG_WITH([rundir],
     [AS_HELP_STRING([--with-rundir=DIR],
        [run directory of the switch
         @<:@default: /var/run/openvswitch@:>@])],
     [], [with_rundir=/var/run/openvswitch])
   AS_CASE([$with_rundir],
     [/*], [],
     [AC_MSG_ERROR([--with-rundir=$with_rundir: valid are absolute names of directories])])
   AC_DEFINE_UNQUOTED([MEASURE_RUNDIR], ["$with_rundir"],
     [Run directory of the switch.])])

# MEASURE_ENABLE_WARNINGS
# -----------------------
AC_DEFUN([MEASURE_ENABLE_WARNINGS],
  [AC_ARG_ENABLE([Werror],
     [AS_HELP_STRING([--enable-Werror],
        [treat compiler warnings in ovs-measure as errors])])
   WARNING_CFLAGS="-Wall -Wextra -Wno-sign-compare -Wpointer-arith"
   WARNING_CFLAGS="$WARNING_CFLAGS -Wformat -Wformat-security -Wshadow"
   WARNING_CFLAGS="$WARNING_CFLAGS -Wstrict-prototypes"
   WARNING_CFLAGS="$WARNING_CFLAGS -Wold-style-definition"
   WARNING_CFLAGS="$WARNING_CFLAGS -Wmissing-prototypes"
   AS_IF([test "x$enable_Werror" = xyes],
     [WARNING_CFLAGS="$WARNING_CFLAGS -Werror"])
   AC_SUBST([WARNING_CFLAGS])])

# MEASURE_ENABLE_SANITIZERS
# -------------------------
# A report ends the program, so that no test can pass over one.
# SANITIZER_CFLAGS is for ovs-measure, OVS_SANITIZER_CFLAGS for the switch.
AC_DEFUN([MEASURE_ENABLE_SANITIZERS],
  [AC_ARG_ENABLE([asan],
     [AS_HELP_STRING([--enable-asan],
        [build ovs-measure and the switch with the address and
         undefined behaviour sanitizers])])
   AC_ARG_ENABLE([tsan],
     [AS_HELP_STRING([--enable-tsan],
        [build ovs-measure, but not the switch, with the thread sanitizer])])
   AS_IF([test "x$enable_asan" = xyes && test "x$enable_tsan" = xyes],
     [AC_MSG_ERROR(
        [choose one of --enable-asan and --enable-tsan: the compiler cannot combine them])])
   measure_sanitizers=none
   SANITIZER_CFLAGS=
   OVS_SANITIZER_CFLAGS=
   AS_IF([test "x$enable_asan" = xyes],
     [measure_sanitizers="address, undefined"
      SANITIZER_CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=all"
      SANITIZER_CFLAGS="$SANITIZER_CFLAGS -fno-omit-frame-pointer -fno-common"
      OVS_SANITIZER_CFLAGS=$SANITIZER_CFLAGS])
   AS_IF([test "x$enable_tsan" = xyes],
     [measure_sanitizers="thread (ovs-measure only, not the switch)"
      SANITIZER_CFLAGS="-fsanitize=thread -fno-omit-frame-pointer"])
   AS_IF([test "x$SANITIZER_CFLAGS" != x],
     [AC_MSG_CHECKING([whether $CC accepts $SANITIZER_CFLAGS])
      measure_saved_cflags=$CFLAGS
      CFLAGS="$CFLAGS $SANITIZER_CFLAGS"
      AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
        [AC_MSG_RESULT([yes])],
        [AC_MSG_RESULT([no])
         MEASURE_MISSING([the sanitizers' run-time library], [libgcc-12-dev])])
      dnl Some kernels place mappings where the thread sanitizer cannot.
      TEST_PREFIX=
      AS_IF([test "x$enable_tsan" = xyes],
        [AC_MSG_CHECKING([whether the thread sanitizer runs])
         AC_RUN_IFELSE([AC_LANG_PROGRAM([], [])],
           [AC_MSG_RESULT([yes])],
           [TEST_PREFIX="setarch `uname -m` --addr-no-randomize"
            AC_MSG_RESULT([only without address randomization])],
           [AC_MSG_RESULT([cannot tell])])])
      CFLAGS=$measure_saved_cflags])
   AC_SUBST([SANITIZER_CFLAGS])
   AC_SUBST([OVS_SANITIZER_CFLAGS])
   AC_SUBST([TEST_PREFIX])])

# MEASURE_WITH_OVS_SOURCE
# -----------------------
# Sets OVS_SOURCE to a directory or tarball, or to nothing.
AC_DEFUN([MEASURE_WITH_OVS_SOURCE],
  [AC_ARG_WITH([ovs-source],
     [AS_HELP_STRING([--with-ovs-source=DIR|TARBALL|no],
        [Open vSwitch source to patch and build; 'no' builds only the
         measurement library with its tests
         @<:@default: Debian's package openvswitch-source@:>@])],
     [], [with_ovs_source=yes])
   AC_MSG_CHECKING([for the Open vSwitch source])
   AS_CASE([$with_ovs_source],
     [no], [OVS_SOURCE=],
     [yes],
       [# Up to Debian 12 the package holds a tarball, later the tree itself.
        OVS_SOURCE=/usr/src/openvswitch/openvswitch.tar.gz
        test -f "$OVS_SOURCE" || OVS_SOURCE=/usr/src/openvswitch
        AS_IF([test -f "$OVS_SOURCE" || test -f "$OVS_SOURCE/configure.ac"],
          [],
          [AC_MSG_RESULT([no])
           MEASURE_MISSING([/usr/src/openvswitch], [openvswitch-source])])],
     [AS_IF([test ! -e "$with_ovs_source"],
        [AC_MSG_RESULT([no])
         AC_MSG_ERROR([--with-ovs-source=$with_ovs_source: no such file or directory])])
      OVS_SOURCE=`realpath "$with_ovs_source"`])
   AS_IF([test -d "$OVS_SOURCE" && test ! -f "$OVS_SOURCE/vswitchd/bridge.c"],
     [AC_MSG_RESULT([no])
      AC_MSG_ERROR([--with-ovs-source=$OVS_SOURCE: not an Open vSwitch source tree (no vswitchd/bridge.c)])])
   AS_IF([test -f "$OVS_SOURCE" && tar -tf "$OVS_SOURCE" >/dev/null 2>&1],
     [],
     [test -f "$OVS_SOURCE"],
     [AC_MSG_RESULT([no])
      AC_MSG_ERROR([--with-ovs-source=$OVS_SOURCE: neither a directory nor a tarball])])
   dnl As Autoconf does for itself: compiled files would be copied along.
   AS_IF([test -f "$OVS_SOURCE/config.status"],
     [AC_MSG_RESULT([no])
      AC_MSG_ERROR([--with-ovs-source=$OVS_SOURCE: already configured; run 'make distclean' there first])])
   AS_IF([test -d "$OVS_SOURCE/.ovs-measure"],
     [AC_MSG_RESULT([no])
      AC_MSG_ERROR([--with-ovs-source=$OVS_SOURCE: already has ovs-measure; take it out with 'ovs-patches/apply --reverse' first])])
   measure_ovs_summary=${OVS_SOURCE:-none, library only}
   AC_MSG_RESULT([$measure_ovs_summary])
   AS_IF([test "x$OVS_SOURCE" != x],
     [AS_IF([test "x$enable_static" = xno],
        [AC_MSG_ERROR([--disable-static: the switch is linked with the static library; valid with --with-ovs-source=no only])])
      MEASURE_REQUIRE_PROGRAM([patch], [patch])
      MEASURE_REQUIRE_PROGRAM([autoreconf], [autoconf])
      MEASURE_REQUIRE_PROGRAM([automake], [automake])
      MEASURE_REQUIRE_PROGRAM([libtoolize], [libtool])])
   AC_SUBST([OVS_SOURCE])
   AM_CONDITIONAL([BUILD_OVS], [test "x$OVS_SOURCE" != x])])

# MEASURE_WITH_DPDK
# -----------------
AC_DEFUN([MEASURE_WITH_DPDK],
  [AC_ARG_WITH([dpdk],
     [AS_HELP_STRING([--with-dpdk=shared|no],
        [build the switch with DPDK's shared libraries @<:@default: shared@:>@])],
     [], [with_dpdk=shared])
   AS_CASE([$with_dpdk],
     [yes], [with_dpdk=shared],
     [shared|no], [],
     [AC_MSG_ERROR([--with-dpdk=$with_dpdk: valid are 'shared' and 'no'])])
   OVS_DPDK_ARGUMENT=
   measure_dpdk_summary=no
   dnl The benchmark compares with DPDK where it is, with or without a switch.
   measure_bench_dpdk=no
   AS_IF([test "x$with_dpdk" = xshared],
     [PKG_CHECK_MODULES([DPDK], [libdpdk], [measure_bench_dpdk=yes],
        [measure_bench_dpdk=no])])
   AM_CONDITIONAL([BENCH_DPDK], [test "x$measure_bench_dpdk" = xyes])
   AS_IF([test "x$OVS_SOURCE" = x],
     [measure_dpdk_summary="not needed"
      with_dpdk=no],
     [test "x$with_dpdk" = xshared],
     [PKG_CHECK_EXISTS([libdpdk],
        [], [MEASURE_MISSING([DPDK (or give --with-dpdk=no)], [libdpdk-dev])])
      AC_CHECK_HEADER([numa.h],
        [], [MEASURE_MISSING([<numa.h>], [libnuma-dev])])
      OVS_DPDK_ARGUMENT=--with-dpdk=shared
      measure_dpdk_summary="shared, `$PKG_CONFIG --modversion libdpdk`"])
   AC_SUBST([OVS_DPDK_ARGUMENT])
   AM_CONDITIONAL([HAVE_DPDK], [test "x$with_dpdk" = xshared])])

# MEASURE_BENCH_CK
# ----------------
# The benchmark of rings compares with Concurrency Kit where it is.
AC_DEFUN([MEASURE_BENCH_CK],
  [CK_VERSION=none
   PKG_CHECK_MODULES([CK], [ck],
     [measure_bench_ck=yes
      CK_VERSION=`$PKG_CONFIG --modversion ck`],
     [measure_bench_ck=no])
   AC_SUBST([CK_VERSION])
   AM_CONDITIONAL([BENCH_CK], [test "x$measure_bench_ck" = xyes])])

# MEASURE_OVS_SETTINGS
# --------------------
# Writes what the switch is built from and how to the file ovs.settings, which
# keeps its date as long as nothing changes: the Makefile starts from a fresh
# copy of the source when it is newer.
AC_DEFUN([MEASURE_OVS_SETTINGS],
  [AC_CONFIG_COMMANDS([ovs.settings],
     [AS_ECHO(["$measure_ovs_settings"]) > ovs.settings.new
      AS_IF([cmp -s ovs.settings.new ovs.settings],
        [rm -f ovs.settings.new],
        [mv -f ovs.settings.new ovs.settings])],
     [measure_ovs_settings='source=$OVS_SOURCE dpdk=$with_dpdk CC=$CC CFLAGS=$CFLAGS $OVS_SANITIZER_CFLAGS CPPFLAGS=$CPPFLAGS LDFLAGS=$LDFLAGS prefix=$prefix'])])
