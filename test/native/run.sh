#!/bin/sh
# Builds and runs the ring, merge, decode and drain tests: plain, under ThreadSanitizer, and under
# AddressSanitizer with UndefinedBehaviorSanitizer. Arguments: seed, scale of the counts.
set -eu
cd "$(dirname "$0")/../.."
seed=${1:-1}
scale=${2:-1}
out=build/test-native
mkdir -p "$out"
clang=$(command -v clang++-16 || command -v clang++)
flags="-std=c++20 -g -pthread -Wall -Wextra -Wno-missing-field-initializers -Inative -Ischemas/generated -Itest/native"
core="native/columns.cc native/text.cc native/names.cc native/syscalls.cc native/drain.cc"

build() {
  kind=$1
  shift
  jobs=
  for test in ring merge decode drain; do
    # shellcheck disable=SC2086
    "$clang" $flags "$@" "test/native/${test}_test.cc" $core -o "$out/$test-$kind" &
    jobs="$jobs $!"
  done
  for job in $jobs; do wait "$job"; done
}

build plain -O2
build tsan -O1 -fsanitize=thread
build asan -O1 -fsanitize=address,undefined -fno-sanitize-recover=all

"$out/ring-plain" $((2000000 * scale)) control
"$out/merge-plain" "$seed" $((200 * scale))
"$out/decode-plain" "$seed" $((100000 * scale))
"$out/drain-plain"
"$out/ring-tsan" $((200000 * scale))
"$out/merge-tsan" "$seed" $((20 * scale))
"$out/drain-tsan"
"$out/ring-asan" $((300000 * scale))
"$out/merge-asan" "$seed" $((50 * scale))
"$out/decode-asan" "$seed" $((50000 * scale))
"$out/drain-asan"
echo "all held (seed $seed)"
