// Records of another event table: what both tables know comes over, what one lacks is null or
// dropped, and what is damaged is refused without harm.

#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "decode.h"
#include "drain.h"
#include "layouts.h"
#include "transcode.h"

using namespace tapio;
using namespace std::string_view_literals;

namespace {

using Bytes = std::vector<unsigned char>;

// What decoding finds in a record, as text.
struct Printer {
  std::string out;
  template <class T>
  void value(unsigned column, T v) {
    out += std::to_string(column) + "=" + std::to_string(v) + " ";
  }
  void name(unsigned column, Names, unsigned v) { value(column, v); }
  void syscall_name(unsigned column, unsigned number) { value(column, number); }
  void inet(unsigned column, unsigned family, const unsigned char* address) {
    value(column, family);
    out += std::to_string(address[0]) + "." + std::to_string(address[15]) + " ";
  }
  void text(const TailString& s) {
    out += "'" + std::string(s.data, s.stored) + "'" + std::to_string(s.full) + " ";
  }
  void path(unsigned column, const TailString& given, const TailString& directory) {
    value(column, 0);
    text(given);
    text(directory);
  }
  void strings(unsigned column, const TailString& all) { path(column, all, all); }
  void bytes(unsigned column, const TailString& all) { path(column, all, all); }
  void args(unsigned column, unsigned number, const __u64* values) {
    value(column, number);
    value(column, values[5]);
  }
};

std::string decoded(const Bytes& record) {
  Printer sink;
  const auto* header = reinterpret_cast<const tapio_header*>(record.data());
  if (!decode_fields(sink, header->op, record.data(), static_cast<unsigned>(record.size())))
    return "refused";
  return sink.out;
}

Bytes rewritten(const Transcoder& transcoder, const Bytes& record) {
  Bytes out(TAPIO_RECORD_BYTES_MAX);
  out.resize(transcoder.rewrite(record.data(), static_cast<uint32_t>(record.size()), out.data()));
  return out;
}

void append(Bytes& record, std::string_view text, unsigned full) {
  const tapio_string head = {static_cast<__u16>(text.size()), static_cast<__u16>(full), 0};
  const auto* bytes = reinterpret_cast<const unsigned char*>(&head);
  record.insert(record.end(), bytes, bytes + sizeof(head));
  record.insert(record.end(), text.begin(), text.end());
  record.resize((record.size() + 7) & ~size_t{7});
}

// Equal tables: each op's record is the same before and after.
void equal_tables_change_nothing(unsigned seed) {
  std::mt19937_64 random(seed);
  const auto transcoder = Transcoder::parse(record_layouts);
  CHECK(transcoder);
  std::string_view rest = record_layouts;
  unsigned ops = 0;
  while (!rest.empty()) {
    // An op and the lines that belong to it.
    const size_t next = rest.find("\no ");
    const std::string_view lines = rest.substr(0, next);
    rest.remove_prefix(next == std::string_view::npos ? rest.size() : next + 1);
    unsigned op, bytes, nulls;
    CHECK(std::sscanf(lines.data(), "o %u %u %u", &op, &bytes, &nulls) == 3);
    ops++;
    for (int round = 0; round < 50; round++) {
      Bytes record(bytes);
      auto* header = reinterpret_cast<tapio_header*>(record.data());
      for (size_t at = 0; at < sizeof(tapio_header); at++)
        record[at] = static_cast<unsigned char>(random());
      header->op = static_cast<__u16>(op);
      unsigned strings = 0;
      for (size_t at = lines.find('\n'); at != std::string_view::npos;
           at = lines.find('\n', at + 1)) {
        unsigned field, offset, size, bit;
        if (std::sscanf(lines.data() + at, "\nf %u %u %u %u", &field, &offset, &size, &bit) == 4)
          for (unsigned i = 0; i < size; i++)
            record[offset + i] = static_cast<unsigned char>(random());
        else if (std::sscanf(lines.data() + at, "\nt %u %u %u", &field, &size, &bit) == 3)
          strings += size;
      }
      const uint32_t bits = random() % 2 ? 0 : static_cast<uint32_t>(random());
      // Only bits of fields: others mean nothing and do not come over.
      uint32_t meant = 0;
      for (size_t at = lines.find('\n'); at != std::string_view::npos;
           at = lines.find('\n', at + 1)) {
        const std::string_view line = lines.substr(at + 1, lines.find('\n', at + 1) - at - 1);
        if (!line.empty()) meant |= 1u << std::atoi(line.data() + line.rfind(' '));
      }
      const uint32_t set = bits & meant;
      std::memcpy(record.data() + nulls, &set, 4);
      for (; strings > 0; strings--) {
        std::string text(random() % 70, 'x');
        append(record, text, static_cast<unsigned>(random() % 2 ? text.size() : 0xffff));
      }
      CHECK(rewritten(*transcoder, record) == record);
    }
  }
  CHECK(ops == TAPIO_OPS - 1);
}

// The layouts with the lines of one op replaced.
std::string with_op(unsigned op, const std::string& lines) {
  std::string text = std::string("\n") + record_layouts;
  const size_t start = text.find("\no " + std::to_string(op) + " ") + 1;
  const size_t end = text.find("\no ", start);
  text.replace(start, end == std::string::npos ? std::string::npos : end + 1 - start, lines);
  return text.substr(1);
}

// An older table in which file.open had no mode, another order, and ids for what has gone since.
void older_and_newer_tables() {
  const auto older = Transcoder::parse(
      with_op(TAPIO_FILE_OPEN,
              "o 15 120 80\n"
              "f 34 84 4 3\n"   // mode of another id: unknown to us
              "f 20 88 4 5\n"   // path was something fixed then: another size, another meaning
              "f 90 96 16 6\n"  // gone since
              "t 91 1 7\n"      // gone since
              "t 20000 2 8\n"));
  CHECK(older);
  Bytes record(120);
  auto* header = reinterpret_cast<tapio_header*>(record.data());
  header->op = TAPIO_FILE_OPEN;
  header->pid = 4711;
  append(record, "gone", 4);
  append(record, "a", 1);
  append(record, "b", 1);
  const Bytes made = rewritten(*older, record);
  CHECK(made.size() == sizeof(tapio_file_open) + 2 * sizeof(tapio_string));
  CHECK(reinterpret_cast<const tapio_header*>(made.data())->pid == 4711);
  CHECK(decoded(made) == "");  // all null
}

// The field ids of an op's lines, in order.
struct Line {
  char kind;
  unsigned numbers[4];
};
std::vector<Line> lines_of(unsigned op) {
  const std::string text = std::string("\n") + record_layouts;
  const char* at = text.c_str() + text.find("\no " + std::to_string(op) + " ") + 1;
  std::vector<Line> out;
  do {
    Line line = {*at, {}};
    std::sscanf(at + 1, "%u %u %u %u", &line.numbers[0], &line.numbers[1], &line.numbers[2],
                &line.numbers[3]);
    out.push_back(line);
    at = std::strchr(at, '\n') + 1;
  } while (*at == 'f' || *at == 't');
  return out;
}

// exec as an older table may have had it: without cwd, args before the name, result elsewhere. Both
// ways: from it to ours, and from ours to what it could read.
void a_handmade_older_exec() {
  const std::vector<Line> ours = lines_of(TAPIO_PROCESS_EXEC);
  // o, f args_length, f result, t filename, t cwd, t args
  CHECK(ours.size() == 6 && ours[3].kind == 't' && ours[5].kind == 't');
  const auto id = [&](size_t i) { return std::to_string(ours[i].numbers[0]); };
  const auto transcoder = Transcoder::parse(
      with_op(TAPIO_PROCESS_EXEC, "o 2 104 80\nf " + id(2) + " 88 4 9\nf " + id(1) +
                                      " 96 8 10\nt " + id(5) + " 1 1\nt " + id(3) + " 2 0\n"));
  CHECK(transcoder);
  Bytes record(104);
  reinterpret_cast<tapio_header*>(record.data())->op = TAPIO_PROCESS_EXEC;
  const int32_t result = -2;
  std::memcpy(record.data() + 88, &result, 4);
  append(record, "one\0two\0"sv, 8);
  append(record, "true", 4);
  append(record, "bin\0"sv, 4);
  Bytes made = rewritten(*transcoder, record);
  const auto* exec = reinterpret_cast<const tapio_process_exec*>(made.data());
  CHECK(exec->result == -2);
  // args_length had another size then: not the same field.
  CHECK(exec->nulls == (TAPIO_NULL_PROCESS_EXEC_ARGS_LENGTH | TAPIO_NULL_PROCESS_EXEC_CWD));
  Printer expected;
  expected.value(k_process_result, -2);
  expected.path(k_process_filename, {"true", 4, 4}, {"bin\0", 4, 4});
  expected.strings(k_process_args, {"one\0two\0", 8, 8});
  CHECK(decoded(made) == expected.out);
  const uint32_t args_null = 1u << 1 | 1u << 9;
  std::memcpy(record.data() + 80, &args_null, 4);
  made = rewritten(*transcoder, record);
  exec = reinterpret_cast<const tapio_process_exec*>(made.data());
  CHECK(exec->nulls == (TAPIO_NULL_PROCESS_EXEC_ARGS_LENGTH | TAPIO_NULL_PROCESS_EXEC_CWD |
                        TAPIO_NULL_PROCESS_EXEC_ARGS | TAPIO_NULL_PROCESS_EXEC_RESULT));
  // A newer table has more of everything: what we do not know is dropped, the rest is as it was.
  const auto newer = Transcoder::parse(with_op(
      TAPIO_PROCESS_EXEC, "o 2 112 108\nf 900 80 8 20\nf " + id(1) + " 88 4 0\nf " + id(2) +
                              " 92 4 1\nf 901 96 4 21\nt 902 1 22\nt " + id(3) +
                              " 2 2\nt 903 2 23\nt " + id(4) + " 2 3\nt " + id(5) + " 1 4\n"));
  CHECK(newer);
  Bytes later(112), same(sizeof(tapio_process_exec));
  reinterpret_cast<tapio_header*>(later.data())->op = TAPIO_PROCESS_EXEC;
  reinterpret_cast<tapio_header*>(same.data())->op = TAPIO_PROCESS_EXEC;
  const uint32_t length = 8;
  std::memcpy(later.data() + 88, &length, 4);
  reinterpret_cast<tapio_process_exec*>(same.data())->args_length = length;
  append(later, "news", 4);
  for (const auto& text :
       {"true"sv, "bin\0"sv, "more"sv, "news"sv, ""sv, "app\0srv\0"sv, "a\0b\0"sv}) {
    append(later, text, static_cast<unsigned>(text.size()));
    if (text != "more" && text != "news") append(same, text, static_cast<unsigned>(text.size()));
  }
  CHECK(rewritten(*newer, later) == same);
}

// Without a family an address cannot be read, nor arguments and a name without the call's number.
void what_depends_on_another_field_is_null_with_it() {
  const std::vector<Line> listen = lines_of(TAPIO_NETWORK_LISTEN);
  std::string without = "o 8 112 100\n";
  for (const Line& line : listen)
    if (line.kind == 'f' && line.numbers[2] != 1)
      without += "f " + std::to_string(line.numbers[0]) + " " + std::to_string(line.numbers[1]) +
                 " " + std::to_string(line.numbers[2]) + " " + std::to_string(line.numbers[3]) +
                 "\n";
  const auto transcoder = Transcoder::parse(with_op(TAPIO_NETWORK_LISTEN, without));
  CHECK(transcoder);
  Bytes record(sizeof(tapio_network_listen));
  auto* from = reinterpret_cast<tapio_network_listen*>(record.data());
  from->header.op = TAPIO_NETWORK_LISTEN;
  from->family = AF_INET;
  from->sport = 80;
  Printer expected;
  expected.value(k_network_error, 0);
  expected.value(k_network_sport, 80);
  CHECK(decoded(rewritten(*transcoder, record)) == expected.out);

  Bytes call(sizeof(tapio_syscall_call));
  auto* one = reinterpret_cast<tapio_syscall_call*>(call.data());
  one->header.op = TAPIO_SYSCALL_CALL;
  one->nulls = ~0u & ~TAPIO_NULL_SYSCALL_CALL_ARGS;
  CHECK(decoded(call) == "");
}

void damaged_layouts_are_refused() {
  for (const char* text : {"",
                           "o",
                           "o 1 96 92",
                           "x 1 2 3\n",
                           "o 1 96\n",
                           "o 1 96 92 7\n",
                           "o 64 96 92\n",
                           "o 1 96 92\no 1 96 92\n",
                           "o 1 95 80\n",
                           "o 1 96 93\n",
                           "o 1 96 96\n",
                           "o 1 96 76\n",
                           "o 1 16392 80\n",
                           "o 1 4294967288 80\n",
                           "f 1 80 8 0\n",
                           "t 1 1 0\n",
                           "o 1 96 92\nf 1 79 8 0\n",
                           "o 1 96 92\nf 1 92 8 0\n",
                           "o 1 96 92\nf 1 4294967295 8 0\n",
                           "o 1 96 92\nf 1 80 4294967295 0\n",
                           "o 1 96 92\nf 1 80 0 0\n",
                           "o 1 96 92\nf 1 80 8 32\n",
                           "o 1 96 92\nf 1 80 4 0\nf 1 84 4 1\n",
                           "o 1 96 92\nf 1 80 4 -1\n",
                           "o 1 96 92\nf 1 80 4 99999999999\n",
                           "o 1 96 92\nt 1 0 0\n",
                           "o 1 96 92\nt 1 17 0\n",
                           "o 1 96 92\nt 1 9 0\nt 2 9 0\n",
                           "o 1 96 92\nt 1 1 0\nf 2 80 4 1\n",
                           "o 1 96 92\nf  1 80 4 0\n"})
    CHECK(!Transcoder::parse(text));
  CHECK(Transcoder::parse("o 1 96 92\n"));
}

// Damaged texts and forged records: refused or rewritten, never out of bounds (the sanitizers
// watch), and what comes out is a record of ours.
void survives_nonsense(unsigned seed, int rounds) {
  std::mt19937_64 random(seed);
  unsigned parsed = 0;
  for (int i = 0; i < rounds; i++) {
    std::string text = record_layouts;
    for (unsigned n = random() % 4; n > 0; n--) {
      const size_t at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text[at] = static_cast<char>(random() % 5 ? '0' + random() % 10 : random());
          break;
        case 1:
          text.erase(at, random() % 20);
          break;
        default:
          text.insert(at, std::to_string(random() % 3000));
      }
    }
    const auto transcoder = Transcoder::parse(text);
    if (!transcoder) continue;
    parsed++;
    for (int r = 0; r < 20; r++) {
      const auto bytes = static_cast<uint32_t>(80 + 8 * (random() % 120));
      // Exactly as long as it says, so that reading past the end is seen.
      std::vector<uint64_t> words(bytes / 8);
      for (uint64_t& word : words) word = random() % 4 ? random() % 64 : random();
      auto* header = reinterpret_cast<tapio_header*>(words.data());
      header->op = static_cast<__u16>(random() % (TAPIO_OPS + 2));
      const auto* record = reinterpret_cast<const unsigned char*>(words.data());
      Bytes out(TAPIO_RECORD_BYTES_MAX);
      const uint32_t made = transcoder->rewrite(record, bytes, out.data());
      CHECK(made <= out.size() && made % 8 == 0);
      if (made == 0) continue;
      out.resize(made);
      CHECK(decoded(out) != "refused");
    }
    Bytes out(TAPIO_RECORD_BYTES_MAX);
    const unsigned char none[8] = {};
    CHECK(transcoder->rewrite(none, 8, out.data()) == 0);
  }
  CHECK(parsed > 0);
}

}  // namespace

int main(int argc, char** argv) {
  const unsigned seed = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 1;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 20'000;
  std::printf("seed %u\n", seed);
  equal_tables_change_nothing(seed);
  older_and_newer_tables();
  a_handmade_older_exec();
  what_depends_on_another_field_is_null_with_it();
  damaged_layouts_are_refused();
  survives_nonsense(seed, rounds);
  return 0;
}
