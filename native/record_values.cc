#include "record_values.h"

#include <string.h>

#include <algorithm>

#include "decode.h"
#include "syscalls.h"
#include "text.h"

namespace tapio {

// Notes where the record has its fields.
class FieldSink {
 public:
  explicit FieldSink(const RecordValues& row) : row_(row) {}

  template <class T>
  void value(unsigned column, T v) {
    put(column, RecordValues::As::kInteger).integer = v;
  }
  void name(unsigned column, Names set, unsigned v) {
    RecordValues::Field& field = put(column, RecordValues::As::kName);
    field.names = set;
    field.number = v;
  }
  void syscall_name(unsigned column, unsigned number) {
    put(column, RecordValues::As::kSyscall).number = number;
  }
  void inet(unsigned column, unsigned family, const unsigned char* address) {
    RecordValues::Field& field = put(column, RecordValues::As::kInet);
    field.number = family;
    field.address = address;
  }
  void path(unsigned column, const TailString& given, const TailString& directory) {
    RecordValues::Field& field = put(column, RecordValues::As::kPath);
    field.first = given;
    field.second = directory;
    row_.truncated_ |= is_path_cut(given, directory);
  }
  void strings(unsigned column, const TailString& all) {
    put(column, RecordValues::As::kStrings).first = all;
    row_.truncated_ |= all.cut();
  }
  void bytes(unsigned column, const TailString& all) {
    put(column, RecordValues::As::kBytes).first = all;
    row_.truncated_ |= all.cut();
  }
  void args(unsigned column, unsigned number, const __u64* values) {
    RecordValues::Field& field = put(column, RecordValues::As::kArgs);
    field.number = number;
    field.args = values;
  }

 private:
  RecordValues::Field& put(unsigned column, RecordValues::As as) {
    row_.present_ |= 1ull << column;
    row_.fields_[column].as = as;
    return row_.fields_[column];
  }

  const RecordValues& row_;
};

int RecordValues::ktime_column(unsigned type) { return static_cast<int>(table_layout(type).count); }

void RecordValues::set(const tapio_header* header, uint32_t bytes, unsigned cpu, int64_t ts_offset,
                       uint64_t seq) {
  header_ = header;
  bytes_ = bytes;
  cpu_ = cpu;
  type_ = type_of_op[header->op];
  ts_offset_ = ts_offset;
  seq_ = seq;
  read_ = whole_ = truncated_ = false;
  present_ = made_ = 0;
}

// All fields in one pass, for the strings of a tail can only be found one after another.
void RecordValues::read() const {
  if (read_) return;
  read_ = true;
  FieldSink sink(*this);
  const auto* record = reinterpret_cast<const unsigned char*>(header_);
  whole_ = decode_fields(sink, header_->op, record, bytes_);
  if (!whole_) present_ = 0;
}

const RecordValues::Field* RecordValues::field(int column) const {
  const auto index = static_cast<unsigned>(column);
  read();
  return index < kColumnsMax && (present_ >> index & 1) ? &fields_[index] : nullptr;
}

bool RecordValues::present(int column) const {
  return column < k_common_columns || column == ktime_column(type_) || field(column) != nullptr;
}

bool RecordValues::integer(int column, Int* out) const {
  switch (column) {
    case k_ts:
      *out = ts_of(*header_, ts_offset_);
      return true;
    case k_cpu:
      *out = cpu_;
      return true;
    case k_pid:
      *out = header_->pid;
      return true;
    case k_pstart:
      *out = header_->pstart;
      return true;
    case k_tid:
      *out = header_->tid;
      return true;
    case k_ppid:
      *out = header_->ppid;
      return true;
    case k_uid:
      *out = header_->uid;
      return true;
    case k_gid:
      *out = header_->gid;
      return true;
    case k_cgroup_id:
      *out = header_->cgroup_id;
      return true;
    case k_kstack_id:
    case k_ustack_id:
      *out = 0;
      return true;
    case k_weight:
      *out = header_->weight;
      return true;
    case k_flags:
      read();
      *out = header_->flags | (truncated_ ? TAPIO_FLAG_TRUNCATED : 0);
      return true;
    case k_seq:
      *out = seq_;
      return true;
    case k_op:
    case k_comm:
      return false;
    default:
      break;
  }
  if (column == ktime_column(type_)) {
    *out = header_->ktime;
    return true;
  }
  const Field* of = field(column);
  if (of == nullptr || of->as != As::kInteger) return false;
  *out = of->integer;
  return true;
}

std::string_view RecordValues::name(Names set, unsigned value) const {
  const unsigned key = static_cast<unsigned>(set) << 16 | value;
  auto known = names_.find(key);
  if (known == names_.end()) known = names_.emplace(key, name_of(set, value, reasons_)).first;
  return known->second;
}

std::string_view RecordValues::comm() const {
  const auto* bytes = reinterpret_cast<const char*>(header_->comm);
  const std::string_view raw(bytes, strnlen(bytes, sizeof(header_->comm)));
  const auto is_plain = [](char c) { return static_cast<signed char>(c) >= 0 && c != '\\'; };
  if (std::all_of(raw.begin(), raw.end(), is_plain)) return raw;
  std::string& text = texts_[k_comm];
  text.clear();
  append_reversible_utf8(&text, raw);
  return text;
}

bool RecordValues::text(int column, std::string_view* out) const {
  if (column == k_op) {
    *out = name_of_op[header_->op];
    return true;
  }
  if (column == k_comm) {
    *out = comm();
    return true;
  }
  const Field* of = field(column);
  if (of == nullptr) return false;
  const auto index = static_cast<unsigned>(column);
  const bool is_made = made_ >> index & 1;
  std::string& text = texts_[index];
  switch (of->as) {
    case As::kName:
      *out = name(of->names, of->number);
      return true;
    case As::kSyscall:
      *out = syscall_name(of->number);
      return true;
    case As::kInet:
      if (!is_made) text = inet_text(of->number, of->address);
      break;
    case As::kPath:
      if (!is_made) {
        text = path_text({of->first.data, of->first.stored}, {of->second.data, of->second.stored},
                         is_directory_known(of->second));
      }
      break;
    default:
      return false;
  }
  made_ |= 1ull << index;
  *out = text;
  return true;
}

bool RecordValues::is_texts(int column) const {
  const TableLayout& layout = table_layout(type_);
  const auto index = static_cast<unsigned>(column);
  return index < layout.count && layout.columns[index].kind == Kind::kTexts;
}

bool RecordValues::texts(int column, std::vector<std::string_view>* out) const {
  const Field* of = field(column);
  if (of == nullptr || of->as != As::kStrings) return false;
  const auto index = static_cast<unsigned>(column);
  std::vector<std::string>& list = lists_[index];
  if (!(made_ >> index & 1)) {
    list.clear();
    for_each_string(of->first, [&](std::string_view one) {
      append_reversible_utf8(&list.emplace_back(), one);
    });
    made_ |= 1ull << index;
  }
  out->assign(list.begin(), list.end());
  return true;
}

bool RecordValues::bytes(int column, std::string_view* out) const {
  const Field* of = field(column);
  if (of == nullptr || of->as != As::kBytes) return false;
  *out = {of->first.data, of->first.stored};
  return true;
}

bool RecordValues::integers(int column, std::vector<uint64_t>* out) const {
  const Field* of = field(column);
  if (of == nullptr || of->as != As::kArgs) return false;
  out->assign(of->args, of->args + syscall_arguments(of->number));
  return true;
}

}  // namespace tapio
