#!/bin/sh
# Builds and runs the tests of this folder: plain, under ThreadSanitizer, and under
# AddressSanitizer with UndefinedBehaviorSanitizer. Arguments: seed, scale of the counts.
set -eu
cd "$(dirname "$0")/../.."
seed=${1:-1}
scale=${2:-1}
out=build/test-native
mkdir -p "$out"
clang=$(command -v clang++-16 || command -v clang++)
flags="-std=c++20 -g -pthread -Wall -Wextra -Wno-missing-field-initializers -Inative -Ischemas/generated -Itest/native"
core="native/columns.cc native/text.cc native/names.cc native/syscalls.cc native/raw_source.cc native/transcode.cc native/predicate.cc native/record_values.cc native/pushed_filter.cc native/drain.cc native/live_ring.cc native/raw_event.cc native/redact.cc native/secrets.cc"
# What only the live ring's reader needs.
reading="native/live_reader.cc native/mask.cc native/stored_batch.cc native/checksum.cc"

tests="ring merge decode drain resume transcode record_values raw_event secrets"

# Each source is compiled once per kind.
build() {
  kind=$1
  shift
  jobs=
  for source in $core $(printf 'test/native/%s_test.cc ' $tests); do
    # shellcheck disable=SC2086
    "$clang" $flags "$@" -c "$source" -o "$out/$(basename "$source" .cc)-$kind.o" &
    jobs="$jobs $!"
  done
  for job in $jobs; do wait "$job"; done
  objects=
  for source in $core; do objects="$objects $out/$(basename "$source" .cc)-$kind.o"; done
  for test in $tests; do
    # shellcheck disable=SC2086
    "$clang" -pthread "$@" "$out/${test}_test-$kind.o" $objects -lre2 -o "$out/$test-$kind"
  done
}

build_live() {
  kind=$1
  shift
  # shellcheck disable=SC2086
  "$clang" $flags "$@" $core $reading test/native/live_test.cc -lzstd -lre2 -o "$out/live-$kind"
}

build plain -O2
build_live plain -O2
build tsan -O1 -fsanitize=thread
build asan -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
build_live asan -O1 -fsanitize=address,undefined -fno-sanitize-recover=all

"$out/ring-plain" $((2000000 * scale)) control
"$out/merge-plain" "$seed" $((200 * scale))
"$out/decode-plain" "$seed" $((100000 * scale))
"$out/drain-plain"
"$out/resume-plain" "$seed" $((200 * scale))
"$out/transcode-plain" "$seed" $((20000 * scale))
"$out/record_values-plain" "$seed" $((2000 * scale))
"$out/raw_event-plain" "$seed" $((200000 * scale))
"$out/secrets-plain" "$seed" $((5000 * scale))
"$out/live-plain" $((500000 * scale))
"$out/ring-tsan" $((200000 * scale))
"$out/merge-tsan" "$seed" $((20 * scale))
"$out/drain-tsan"
"$out/resume-tsan" "$seed" $((5 * scale))
"$out/ring-asan" $((300000 * scale))
"$out/merge-asan" "$seed" $((50 * scale))
"$out/decode-asan" "$seed" $((50000 * scale))
"$out/drain-asan"
"$out/live-asan" $((100000 * scale))
"$out/resume-asan" "$seed" $((50 * scale))
"$out/transcode-asan" "$seed" $((10000 * scale))
"$out/record_values-asan" "$seed" $((1000 * scale))
"$out/raw_event-asan" "$seed" $((100000 * scale))
"$out/secrets-asan" "$seed" $((2000 * scale))
echo "all held (seed $seed)"
