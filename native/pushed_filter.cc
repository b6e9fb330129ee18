#include "pushed_filter.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "decode.h"

namespace tapio {
namespace {

static_assert(sizeof(tapio_filter::entries) == TAPIO_OPS_MAX);

// Words of a record as bpf/ fills them.
struct Subject {
  __u64 words[TAPIO_WORDS + 1] = {};
  bool has_own = false;
};

// Takes the op's own words out of a record.
class OwnWords {
 public:
  OwnWords(unsigned op, Subject& subject) : op_(op), subject_(subject) {
    subject.has_own = is_network();
  }

  template <class T>
  void value(unsigned column, T v) {
    if (!is_network()) return;
    if (column == k_network_sport) subject_.words[TAPIO_WORD_SPORT] = static_cast<__u64>(v);
    if (column == k_network_dport) subject_.words[TAPIO_WORD_DPORT] = static_cast<__u64>(v);
  }
  void inet(unsigned column, unsigned family, const unsigned char* address) {
    const bool local = column == k_network_saddr;
    auto* words = &subject_.words[local ? TAPIO_WORD_SADDR : TAPIO_WORD_DADDR];
    auto* bytes = reinterpret_cast<unsigned char*>(words);
    if (family == AF_INET6) {
      std::memcpy(bytes, address, 16);
      return;
    }
    bytes[10] = bytes[11] = 0xff;
    std::memcpy(bytes + 12, address, 4);
  }
  void path(unsigned column, const TailString& given, const TailString&) {
    const bool is_asked =
        (op_ >= TAPIO_FILE_OPEN && op_ <= TAPIO_FILE_CLOSE && column == k_file_path) ||
        (op_ == TAPIO_PROCESS_EXEC && column == k_process_filename);
    if (!is_asked || given.stored == 0 || given.data[0] != '/') return;
    std::memcpy(&subject_.words[TAPIO_WORD_PATH], given.data,
                std::min<size_t>(given.stored, TAPIO_PATH_BYTES - 1));
    subject_.has_own = true;
  }
  void name(unsigned column, Names, unsigned value) {
    if (is_network() && column == k_network_protocol) subject_.words[TAPIO_WORD_PROTOCOL] = value;
  }
  void syscall_name(unsigned, unsigned) {}
  void strings(unsigned, const TailString&) {}
  void bytes(unsigned, const TailString&) {}
  void args(unsigned, unsigned, const __u64*) {}

 private:
  bool is_network() const { return type_of_op[op_] == TAPIO_TYPE_NETWORK; }

  const unsigned op_;
  Subject& subject_;
};

}  // namespace

tapio_filter passing_filter() {
  tapio_filter filter = {};
  std::fill(std::begin(filter.entries), std::end(filter.entries), TAPIO_FILTER_PASS);
  return filter;
}

bool complete_filter(tapio_filter* filter, unsigned tests) {
  if (tests > TAPIO_TESTS_MAX) return false;
  const auto is_end = [](unsigned at) {
    return at == TAPIO_FILTER_PASS || at == TAPIO_FILTER_REJECT;
  };
  // Jumps lead forward, so that what they lead to is known from the end on.
  std::array<bool, 256> own = {};
  for (unsigned at = tests; at-- > 0;) {
    const tapio_test& test = filter->tests[at];
    if (test.word >= TAPIO_WORDS) return false;
    own[at] = test.word >= TAPIO_WORD_OWN;
    for (const unsigned next : {test.pass, test.fail}) {
      if (!is_end(next) && (next <= at || next >= tests)) return false;
      own[at] |= own[next];
    }
  }
  for (unsigned op = 0; op < TAPIO_OPS_MAX; op++) {
    const unsigned entry = filter->entries[op];
    if (!is_end(entry) && entry >= tests) return false;
    if (own[entry]) filter->own |= 1ull << op;
  }
  return true;
}

bool rejects_record(const tapio_filter& filter, const tapio_header* header, uint32_t bytes) {
  Subject subject;
  __u64* words = subject.words;
  words[TAPIO_WORD_PID] = header->pid;
  words[TAPIO_WORD_TID] = header->tid;
  words[TAPIO_WORD_PPID] = header->ppid;
  words[TAPIO_WORD_UID] = header->uid;
  words[TAPIO_WORD_GID] = header->gid;
  words[TAPIO_WORD_CGROUP] = header->cgroup_id;
  words[TAPIO_WORD_PSTART] = header->pstart;
  std::memcpy(&words[TAPIO_WORD_COMM], header->comm, sizeof(header->comm));
  if (filter.own >> header->op & 1) {
    OwnWords own(header->op, subject);
    decode_fields(own, header->op, reinterpret_cast<const unsigned char*>(header), bytes);
  }
  unsigned at = filter.entries[header->op];
  while (at < TAPIO_TESTS_MAX) at = tapio_filter_step(&filter, at, words, subject.has_own);
  return at == TAPIO_FILTER_REJECT;
}

}  // namespace tapio
