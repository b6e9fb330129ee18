#!/bin/sh
# Coverage-guided fuzzing of the native decoder (record), ring reader (ring), scanner (batch), encoder (raw_event) and
# redaction (redact), with libFuzzer.
#   run.sh            builds, replays corpus and crashes, and sees that a planted bug is found
#   run.sh SECONDS    fuzzes each target that long, beginning with the corpus
#   run.sh merge      takes what fuzzing found into the corpus, minimised
#   run.sh coverage   which lines of the code under test the corpus reaches
# corpus/ is made by merge. crashes/ is kept by hand: inputs that found a bug, named after it, and those
# that a check in the code is there for.
set -eu
cd "$(dirname "$0")/../.."
what=${1:-replay}
out=build/test-fuzz
mkdir -p "$out"
clang=$(command -v clang++-16 || command -v clang++)
flags="-std=c++20 -g -O1 -pthread -Wall -Wextra -Wno-missing-field-initializers -Inative -Ischemas/generated -Itest/fuzz"
sanitize="-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
targets="record ring batch raw_event redact"
libraries="-lzstd -lre2"
# The default quarantine is larger than all that a case allocates.
export ASAN_OPTIONS="quarantine_size_mb=16:${ASAN_OPTIONS:-}"

# The ring reader and the merge are headers; what decodes and what scans is these.
decoder="columns text names syscalls raw_source transcode predicate record_values redact secrets drain"
scanner="scan stored_batch mask groups checksum"
served="raw_event"
core_of() {
  case $1 in
    record) echo $decoder ;;
    batch) echo $decoder $scanner ;;
    raw_event) echo raw_event $decoder ;;
    redact) echo redact ;;
  esac
}

# The largest input, bytes: a batch is larger than records.
length_of() { if [ "$1" = batch ]; then echo 8192; else echo 1024; fi; }

# What keeps a corpus to about 300 inputs: of the decoder's many branches each once, of the reader's
# few each as often as makes a difference.
merge_flags_of() {
  if [ "$1" = record ]; then echo -merge=1 -use_counters=0; else echo -set_cover_merge=1; fi
}

# $1 kind, $2 target, then flags. Objects of the core are shared by the sound and the planted build.
build() {
  kind=$1
  target=$2
  shift 2
  objects=
  for unit in $(core_of "$target"); do objects="$objects $out/$unit.o"; done
  # shellcheck disable=SC2086
  "$clang" $flags $sanitize "$@" "test/fuzz/${target}_fuzz.cc" $objects $libraries -o "$out/$target-$kind.new"
  mv "$out/$target-$kind.new" "$out/$target-$kind"
}

both() {
  jobs=
  for target in $targets; do
    build "$1" "$target" $2 &
    jobs="$jobs $!"
  done
  for job in $jobs; do wait "$job"; done
}

# Builds only when something is newer than what was built last.
build_all() {
  if [ -e "$out/.built" ] &&
    [ -z "$(find native schemas/generated bpf/ring.h test/fuzz/*.cc test/fuzz/*.h test/fuzz/run.sh \
      -newer "$out/.built" -print -quit)" ]; then return; fi
  touch "$out/.begun"
  jobs=
  for unit in $decoder $scanner $served; do
    # shellcheck disable=SC2086
    "$clang" $flags $sanitize -c "native/$unit.cc" -o "$out/$unit.o" &
    jobs="$jobs $!"
  done
  for job in $jobs; do wait "$job"; done
  both sound ""
  both planted -DTAPIO_PLANTED_BUG
  mv "$out/.begun" "$out/.built"
}

replay() {
  for target in $targets; do
    if ! "$out/$target-sound" -runs=0 -timeout=20 "test/fuzz/corpus/$target" \
      "test/fuzz/crashes/$target" >"$out/$target.log" 2>&1; then
      tail -n 40 "$out/$target.log" >&2
      echo "fuzz: $target fails on its corpus (above)" >&2
      exit 1
    fi
    grep -E 'INITED|DONE' "$out/$target.log" | tail -n 1
    # The control: a bug that is there must be found, or the replay proves nothing.
    if "$out/$target-planted" -runs=0 -timeout=20 -artifact_prefix="$out/planted-" \
      "test/fuzz/corpus/$target" >"$out/$target-planted.log" 2>&1; then
      echo "fuzz: the bug planted in $target was not found" >&2
      exit 1
    fi
    echo "$target: held, and the planted bug was found:" \
      "$(grep -m 1 -E 'does not hold|ERROR: AddressSanitizer|runtime error' "$out/$target-planted.log")"
  done
}

fuzz() {
  for target in $targets; do
    mkdir -p "$out/found-$target"
    if ! "$out/$target-sound" -max_total_time="$1" -max_len="$(length_of "$target")" -len_control=20 -timeout=20 \
      -print_final_stats=1 -artifact_prefix="$out/$target-" "$out/found-$target" \
      "test/fuzz/corpus/$target" "test/fuzz/crashes/$target" >"$out/$target.log" 2>&1; then
      tail -n 60 "$out/$target.log" >&2
      echo "fuzz: $target failed (above); keep the input in test/fuzz/crashes/$target" >&2
      exit 1
    fi
    echo "$target: $(grep -E '^Done' "$out/$target.log"), $(grep cov: "$out/$target.log" | tail -n 1)"
  done
}

merge() {
  for target in $targets; do
    mkdir -p "$out/found-$target" "test/fuzz/corpus/$target"
    rm -rf "$out/merged-$target"
    mkdir "$out/merged-$target"
    # shellcheck disable=SC2046
    "$out/$target-sound" $(merge_flags_of "$target") "$out/merged-$target" "test/fuzz/corpus/$target" \
      "$out/found-$target" >"$out/$target.log" 2>&1
    rm -rf "test/fuzz/corpus/$target"
    mv "$out/merged-$target" "test/fuzz/corpus/$target"
    echo "$target: $(find "test/fuzz/corpus/$target" -type f | wc -l) inputs"
  done
}

coverage() {
  profile="-fsanitize=fuzzer -fprofile-instr-generate -fcoverage-mapping"
  for target in $targets; do
    sources=
    for unit in $(core_of "$target"); do sources="$sources native/$unit.cc"; done
    # shellcheck disable=SC2086
    "$clang" $flags $profile "test/fuzz/${target}_fuzz.cc" $sources $libraries -o "$out/$target-coverage"
    LLVM_PROFILE_FILE="$out/$target.profraw" "$out/$target-coverage" -runs=0 \
      "test/fuzz/corpus/$target" "test/fuzz/crashes/$target" >"$out/$target.log" 2>&1
    llvm-profdata-16 merge -sparse "$out/$target.profraw" -o "$out/$target.profdata"
    # shellcheck disable=SC2086
    llvm-cov-16 report "$out/$target-coverage" -instr-profile="$out/$target.profdata" \
      native schemas/generated 2>/dev/null
  done
}

case $what in
  replay)
    build_all
    replay
    ;;
  merge)
    build_all
    merge
    ;;
  coverage) coverage ;;
  *)
    build_all
    fuzz "$what"
    ;;
esac
