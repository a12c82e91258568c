#!/bin/bash
# Builds php.wasm.xz: PHP from Debian's source package, as a WebAssembly reactor that keeps to docs/guests/abi.md.
#
#     pip install ziglang==0.17.1
#     flux/sdk/php/build.sh /tmp/php-wasm
#
# Takes about five minutes, and needs apt-get, make and xz. The result is the same bytes wherever it is built: with its
# sources it is what SHA256SUMS says. To keep another one, copy php.wasm.xz and SHA256SUMS from there to here.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
work=$(cd "$1" && pwd)
version=8.2.32
jobs=${JOBS:-2}
zig=$(python3 -c 'import os, ziglang; print(os.path.dirname(ziglang.__file__))')/zig
wasi="-lwasi-emulated-signal -lwasi-emulated-getpid -lwasi-emulated-process-clocks -lwasi-emulated-mman"
export SOURCE_DATE_EPOCH=1704067200 TZ=UTC LC_ALL=C

mkdir -p "$work/bin" "$work/apt/lists/partial"
cd "$work"

# The source, from wherever this machine has its packages from.
if [ ! -d src ]; then
    {
        sed -n 's/^deb /deb-src /p' /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | grep ' bookworm main' || true
        awk '/^URIs:/ && !uri {uri = $2} /^Signed-By:/ && !key {key = $2}
             END {if (uri) print "deb-src [signed-by=" key "] " uri " bookworm main"}' \
            /etc/apt/sources.list.d/debian.sources 2>/dev/null || true
    } | head -1 > src.list
    apt="-o Dir::Etc::sourcelist=$work/src.list -o Dir::Etc::sourceparts=- -o Dir::State::lists=$work/apt/lists
         -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root"
    apt-get $apt update -qq
    apt-get $apt source -qq --download-only php8.2
    mkdir src.new
    tar xf "php8.2_$version.orig.tar.xz" -C src.new --strip-components=1
    mv src.new src
fi

# The compiler: integers of 64 bits, signals, clocks and mmap as WASI emulates them; longjmp by exceptions; no path of this machine inside.
cat > bin/cc <<CC
#!/bin/sh
exec $zig cc -target wasm32-wasi -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_GETPID -D_WASI_EMULATED_PROCESS_CLOCKS \
    -D_WASI_EMULATED_MMAN -mllvm -wasm-enable-sjlj -mllvm -wasm-use-legacy-eh=false -mexception-handling \
    -DZEND_ENABLE_ZVAL_LONG64=1 -fno-sanitize=all -Wno-date-time -Wno-error=date-time -Wno-unused-command-line-argument -ffile-prefix-map=$work=. -ffile-prefix-map=$here=. \
    \$FLUX_EXTRA "\$@"
CC
printf '#!/bin/sh\nexec %s ar "$@"\n' "$zig" > bin/ar
printf '#!/bin/sh\nexec %s ranlib "$@"\n' "$zig" > bin/ranlib
chmod +x bin/*
export CC=$work/bin/cc AR=$work/bin/ar RANLIB=$work/bin/ranlib FLUX_EXTRA=

cd src
if [ ! -f Makefile ]; then
    ./configure --host=wasm32-unknown-wasi --build=x86_64-linux-gnu --disable-all --disable-cli --disable-cgi \
        --disable-phpdbg --enable-embed=static --enable-mbstring --disable-mbregex --enable-ctype --enable-filter \
        --enable-bcmath --without-pcre-jit --disable-opcache --disable-zend-signals --disable-fiber-asm \
        --without-valgrind CFLAGS=-Os LIBS="$wasi" ac_cv_func_dlopen=no > ../configure.log 2>&1
fi
sed -i 's@^#define HAVE_GETRUSAGE 1@/* no getrusage */@; s@^#define PHP_UNAME .*@#define PHP_UNAME "wasm32-wasi"@' main/php_config.h
sed -i 's@^#define CONFIGURE_COMMAND .*@#define CONFIGURE_COMMAND "flux"@' main/build-defs.h
# Chance comes straight from WASI: nothing is buffered that a snapshot would freeze.
sed -i 's@#elif HAVE_DECL_ARC4RANDOM_BUF.*@#elif 1@
        s@\barc4random_buf(bytes, size);@{ extern void flux_random(void *, size_t); flux_random(bytes, size); }@' ext/random/random.c
export FLUX_EXTRA="-I$here -include $here/compat.h"
nice -n 15 make -k -j"$jobs" libphp.la > ../make.log 2>&1 || true # libtool's own last link is not used
if grep -E 'error:' ../make.log; then exit 1; fi

python3 - "$here/prelude.php" > ../prelude.h <<'PYTHON'
import sys
data = open(sys.argv[1], 'rb').read()
print('static const unsigned char prelude_php[] = {' + ','.join(map(str, data)) + '};')
print(f'static const size_t prelude_php_len = {len(data)};')
PYTHON
"$CC" -Os -I. -I.. -IZend -Imain -ITSRM -Iext/date/lib -Isapi/embed -D_GNU_SOURCE -DHAVE_CONFIG_H \
    -c "$here/flux_sapi.c" -o ../flux_sapi.o
"$CC" -Os -c "$here/compat.c" -o ../compat.o
FLUX_EXTRA= "$CC" -c "$here/tag.s" -o ../tag.o
"$CC" -mexec-model=reactor -Os -s -o ../php.wasm $(find . -name '*.o' -not -path '*/.libs/*' | sort) \
    ../flux_sapi.o ../compat.o ../tag.o $wasi -Wl,-z,stack-size=1048576
xz -9e -k -f -T1 ../php.wasm
{
    (cd "$here" && sha256sum build.sh compat.c compat.h flux_sapi.c prelude.php tag.s ucontext.h)
    (cd .. && sha256sum php.wasm)
} > ../SHA256SUMS
diff "$here/SHA256SUMS" ../SHA256SUMS && echo "the same as $here/php.wasm.xz"
