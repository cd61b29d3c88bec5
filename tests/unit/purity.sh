#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
#
# Proves what the folders promise: protocol/, batching/ and config/ touch no socket, no clock, no event loop,
# no libpq and no OpenSSL; includes go one way (proxy -> batching -> protocol, proxy -> config); the files
# batching/statement/parse* alone name libpg_query. Checked twice: in the sources' #include lines and in the undefined symbols of what was built.
#
#   purity.sh SOURCE_ROOT PROTOCOL_LIB BATCHING_LIB CONFIG_LIB
set -u
root=$1 protocol_lib=$2 batching_lib=$3 config_lib=$4
cd "$root" || exit 2
passed=0 failed=0

advice='Decisions are pure: take the time as an argument (now), and let what has an effect go out through struct engine_effects
(batching/session/engine.h), which proxy/ fills. What needs a socket, a clock or a library of these belongs into proxy/.'

# check WHAT OFFENDERS: passes when OFFENDERS is empty.
check() {
    if [ -z "$2" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'purity: %s:\n%s\n' "$1" "$2"
    fi
}

# includes REGEX FOLDER…: the #include lines of the folders whose file matches.
includes() {
    local pattern=$1
    shift
    grep -rnE --include='*.[ch]' "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]($pattern)" "$@"
}

# symbols REGEX LIBRARY: undefined symbols that match as a whole. nm that fails is an offence of its own.
symbols() {
    local listing
    listing=$(nm -u "$2" 2>&1) || {
        printf '%s\n' "$listing"
        return
    }
    sed 's/@.*//' <<<"$listing" | awk '$1 == "U" { print $2 }' | sort -u | grep -xE "$1"
}

# writable LIBRARY: variables that can change after the start (tables of pointers that only the linker writes and
# what sanitizers add are none).
writable() {
    objdump -t "$1" 2>&1 | awk '/ O \.(data|bss|tdata|tbss)[^ \t]*[ \t]|\*COM\*/ && !/\.data\.rel\.ro/ { print $NF }' |
        grep -vE '^(__|\.?L|_?_?(sanitizer|asan|ubsan)|\*\.L)'
}

pure="protocol batching config"
impure='uv\.h|uv/|libpq|postgres_ext|pg_config|openssl/|sys/socket\.h|sys/un\.h|sys/time\.h|sys/epoll\.h|sys/select\.h'
impure+='|time\.h|poll\.h|netdb\.h|netinet/|arpa/|pthread\.h|signal\.h'
calls='uv_.*|PQ.*|pq_.*|SSL_.*|OPENSSL_.*|EVP_.*|ERR_.*|BIO_.*|X509_.*|TLS_.*'
calls+='|socket|socketpair|connect|bind|listen|accept4?|send|sendto|sendmsg|recv|recvfrom|recvmsg|getaddrinfo'
calls+='|setsockopt|getsockopt|poll|ppoll|select|pselect|epoll_.*'
calls+='|clock_gettime|clock|time|gettimeofday|times|timerfd_.*|nanosleep|usleep|sleep|alarm|setitimer'
calls+='|rand|random|getrandom|arc4random.*|pthread_.*'

for folder in $pure; do
    [ -d "$folder" ] || check "folder $folder exists" "missing"
    check "$folder/ includes a header that does input, output or time" "$(includes "$impure" "$folder")"
    check "$folder/ includes a header of proxy/" "$(includes '(\.\./)*proxy/' "$folder")"
done
check "protocol/ includes a header of batching/ or config/" "$(includes '(\.\./)*(batching|config)/' protocol)"
check "config/ includes a header of protocol/ or batching/" "$(includes '(\.\./)*(protocol|batching)/' config)"
check "batching/ includes a header of config/" "$(includes '(\.\./)*config/' batching)"
check "a header is included by a path that is not from the root" "$(includes '\.\.?/' $pure proxy)"
check "libpg_query is named in a file besides batching/statement/parse_tree.h" \
    "$(includes '(\./)?pg_query|protobuf' $pure proxy | grep -v '^batching/statement/parse_tree\.h:')"
check "the parse tree is used outside of batching/statement/parse*" \
    "$(includes '([a-z./]*/)?parse_(tree|walk|lookup|risk|judged|keys|names)\.h' $pure proxy | grep -vE '^batching/statement/parse(_[a-z]+)?\.[ch]:')"
check "protocol/ calls out of its purity" "$(symbols "$calls" "$protocol_lib")"
check "config/ calls out of its purity" "$(symbols "$calls" "$config_lib")"
check "batching/ calls out of its purity" "$(symbols "$calls" "$batching_lib")"
check "a pure library has writable global state" \
    "$(for lib in "$protocol_lib" "$batching_lib" "$config_lib"; do writable "$lib"; done)"
# The check checks itself: patterns that match nothing would pass for ever.
[ -n "$(includes 'uv\.h' proxy)" ] || check "proxy/ is seen to include uv.h" "the search for includes finds nothing"
[ -n "$(symbols 'free|realloc|memcpy|memmove|malloc' "$protocol_lib")" ] ||
    check "protocol/ is seen to call libc" "the search for symbols finds nothing"

[ "$failed" -eq 0 ] || printf 'purity: what to do: %s\n' "$advice"
printf 'purity: passed=%d failed=%d\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
