/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * What of a filter can be decided before a record is made. src/query/pushdown.ts makes it, for each
 * op a chain of tests over words that are known of its events. Jumps lead forward only, to another
 * test or to an end. A test of what is not known passes: what is rejected here would be rejected by
 * the filter as well, and what passes is for the filter to decide.
 * Shared by bpf/ and native/; needs __u64 and friends from the includer.
 */
#ifndef TAPIO_FILTER_H
#define TAPIO_FILTER_H

/* Words that tests look at. */
enum tapio_word {
  TAPIO_WORD_PID = 0,
  TAPIO_WORD_TID,
  TAPIO_WORD_PPID,
  TAPIO_WORD_UID,
  TAPIO_WORD_GID,
  TAPIO_WORD_CGROUP,
  TAPIO_WORD_PSTART,
  TAPIO_WORD_COMM, /* 16 bytes */
  /* Those from here on are the op's own. An address is one of IPv6, IPv4 as ::ffff:a.b.c.d. */
  TAPIO_WORD_OWN = TAPIO_WORD_COMM + 2,
  TAPIO_WORD_SADDR = TAPIO_WORD_OWN,
  TAPIO_WORD_DADDR = TAPIO_WORD_SADDR + 2,
  TAPIO_WORD_SPORT = TAPIO_WORD_DADDR + 2,
  TAPIO_WORD_DPORT,
  TAPIO_WORD_PROTOCOL, /* its number in IP */
  /* The first bytes of an absolute path, ended by a NUL, then zeros. */
  TAPIO_WORD_PATH = TAPIO_WORD_OWN,
  TAPIO_WORDS = TAPIO_WORD_OWN + 7,
};
#define TAPIO_PATH_BYTES 48

#define TAPIO_TESTS_MAX 248
/* In place of a test. */
#define TAPIO_FILTER_PASS 254
#define TAPIO_FILTER_REJECT 255

#define TAPIO_TEST_MASKED 1   /* two words are `a` where the bits of `b` are set; else a range */
#define TAPIO_TEST_INVERTED 2 /* holds where it would not */

struct tapio_test {
  __u8 word, flags;
  __u8 pass, fail; /* where to go on */
  __u32 reserved;
  __u64 a[2]; /* of a range: its low end, and 0 */
  __u64 b[2]; /* of a range: how far it reaches beyond, and 0 */
};

struct tapio_filter {
  __u64 own;                  /* bit per op of which tests look at its own words */
  __u8 entries[64 /* ops */]; /* the first test of each op */
  struct tapio_test tests[TAPIO_TESTS_MAX];
};

/* Where to go on from test `at`, which is one. `words` has one more than TAPIO_WORDS. */
static inline __attribute__((always_inline)) __u32 tapio_filter_step(
    const struct tapio_filter *filter, __u32 at, const __u64 *words, __u32 has_own) {
  const struct tapio_test *test = &filter->tests[at];
  __u32 word = test->word;
  __u32 holds;
  if (word >= TAPIO_WORDS || (word >= TAPIO_WORD_OWN && !has_own)) return test->pass;
  if (test->flags & TAPIO_TEST_MASKED)
    holds = (((words[word] ^ test->a[0]) & test->b[0]) |
             ((words[word + 1] ^ test->a[1]) & test->b[1])) == 0;
  else
    holds = words[word] - test->a[0] <= test->b[0];
  if (test->flags & TAPIO_TEST_INVERTED) holds = !holds;
  return holds ? test->pass : test->fail;
}

#endif
