#include "predicate_from_js.h"

#include <re2/re2.h>

#include <algorithm>
#include <map>
#include <string>

namespace tapio {
namespace {

// By the names that the tree has; those that mean another node for integers and texts are told
// apart by the column, and `item` by the list that it is of.
const std::map<std::string, Node> kNodes = {
    {"int", Node::kInt},
    {"arith", Node::kArith},
    {"negate", Node::kNegate},
    {"size", Node::kSize},
    {"length", Node::kLength},
    {"text", Node::kText},
    {"true", Node::kTrue},
    {"false", Node::kFalse},
    {"error", Node::kError},
    {"and", Node::kAnd},
    {"or", Node::kOr},
    {"not", Node::kNot},
    {"untrue", Node::kUntrue},
    {"choose", Node::kChoose},
    {"within", Node::kWithin},
    {"compare", Node::kCompare},
    {"compareText", Node::kCompareText},
    {"oneOf", Node::kOneOf},
    {"startsWith", Node::kStartsWith},
    {"endsWith", Node::kEndsWith},
    {"contains", Node::kContains},
    {"matches", Node::kMatches},
    {"inNetworks", Node::kInNetworks},
    {"has", Node::kHas},
    {"any", Node::kAny},
    {"every", Node::kEvery},
    {"one", Node::kOne},
};

class Maker {
 public:
  Maker(const std::vector<TableColumn>& columns, unsigned& next_id)
      : columns_(columns), next_id_(next_id) {}

  // `of_texts`: what the operand at this place is, where the name alone does not say.
  std::unique_ptr<Predicate> make(const Napi::Object& tree, bool of_texts) {
    auto out = std::make_unique<Predicate>();
    out->id = next_id_++;
    const std::string kind = tree.Get("kind").As<Napi::String>();
    if (tree.Get("field").IsString()) out->column = column_of(tree.Get("field").As<Napi::String>());
    if (tree.Get("index").IsNumber()) out->index = tree.Get("index").As<Napi::Number>();
    if (kind == "field")
      out->kind = of_texts ? Node::kTextField : Node::kIntField;
    else if (kind == "element")
      out->kind = of_texts ? Node::kTextElement : Node::kIntElement;
    else if (kind == "item")
      out->kind = of_texts ? Node::kTextItem : Node::kIntItem;
    else if (const auto found = kNodes.find(kind); found != kNodes.end())
      out->kind = found->second;
    fill(*out, tree);
    return out;
  }

 private:
  int column_of(const std::string& name) const {
    for (size_t i = 0; i < columns_.size(); i++) {
      if (columns_[i].name == name) return static_cast<int>(i);
    }
    return -1;
  }

  void child(Predicate& out, const Napi::Object& tree, const char* name, bool of_texts) {
    out.args.push_back(make(tree.Get(name).As<Napi::Object>(), of_texts));
  }

  void fill(Predicate& out, const Napi::Object& tree) {
    switch (out.kind) {
      case Node::kInt:
        out.value = int_from_js(tree.Get("value"));
        return;
      case Node::kText:
        out.text = tree.Get("value").As<Napi::String>();
        return;
      case Node::kArith:
      case Node::kCompare: {
        const std::string op = tree.Get("op").As<Napi::String>();
        out.op = op == "==" ? '=' : op == "<=" ? 'l' : op[0];
        child(out, tree, "left", false);
        return child(out, tree, "right", false);
      }
      case Node::kCompareText: {
        const std::string op = tree.Get("op").As<Napi::String>();
        out.op = op == "==" ? '=' : op == "<=" ? 'l' : op[0];
        child(out, tree, "left", true);
        return child(out, tree, "right", true);
      }
      case Node::kNegate:
      case Node::kNot:
      case Node::kUntrue:
        return child(out, tree, "of", false);
      case Node::kSize:
        return child(out, tree, "of", true);
      case Node::kAnd:
      case Node::kOr: {
        const auto args = tree.Get("args").As<Napi::Array>();
        for (uint32_t i = 0; i < args.Length(); i++) {
          out.args.push_back(make(args.Get(i).As<Napi::Object>(), false));
        }
        return;
      }
      case Node::kChoose:
        child(out, tree, "test", false);
        child(out, tree, "then", false);
        return child(out, tree, "else", false);
      case Node::kWithin: {
        child(out, tree, "of", false);
        const auto ranges = tree.Get("ranges").As<Napi::Array>();
        for (uint32_t i = 0; i < ranges.Length(); i++) {
          const auto range = ranges.Get(i).As<Napi::Array>();
          out.ranges.emplace_back(int_from_js(range.Get(0u)), int_from_js(range.Get(1u)));
        }
        return;
      }
      case Node::kOneOf:
        child(out, tree, "of", true);
        strings(tree.Get("values"), &out.texts);
        std::sort(out.texts.begin(), out.texts.end());
        return;
      case Node::kStartsWith:
      case Node::kEndsWith:
      case Node::kContains:
        child(out, tree, "of", true);
        return child(out, tree, "text", true);
      case Node::kMatches: {
        child(out, tree, "of", true);
        const std::string pattern = tree.Get("pattern").As<Napi::String>();
        out.regex = std::make_unique<re2::RE2>(pattern, re2::RE2::Quiet);
        // It was checked; should it be none after all, it matches nothing and is no error.
        if (!out.regex->ok()) out.kind = Node::kError;
        return;
      }
      case Node::kInNetworks: {
        child(out, tree, "of", true);
        std::vector<std::string> texts;
        strings(tree.Get("networks"), &texts);
        for (const std::string& text : texts) {
          Network network;
          if (parse_network(text, &network)) out.networks.push_back(network);
        }
        return;
      }
      case Node::kAny:
      case Node::kEvery:
      case Node::kOne: {
        child(out, tree, "test", false);
        return;
      }
      default:
        return;
    }
  }

  static void strings(const Napi::Value& value, std::vector<std::string>* out) {
    const auto array = value.As<Napi::Array>();
    for (uint32_t i = 0; i < array.Length(); i++) out->push_back(array.Get(i).As<Napi::String>());
  }

  const std::vector<TableColumn>& columns_;
  unsigned& next_id_;
};

}  // namespace

Int int_from_js(const Napi::Value& value) {
  int sign = 0;
  size_t count = 2;
  uint64_t words[2] = {0, 0};
  value.As<Napi::BigInt>().ToWords(&sign, &count, words);
  const Int size = static_cast<Int>(words[0]);
  return sign != 0 ? -size : size;
}

std::unique_ptr<Predicate> predicate_from_js(const Napi::Object& tree,
                                             const std::vector<TableColumn>& columns,
                                             unsigned& next_id) {
  return Maker(columns, next_id).make(tree, false);
}

namespace {

void pair_from_js(const Napi::Value& value, __u64 (&out)[2]) {
  const auto pair = value.As<Napi::Array>();
  for (uint32_t i = 0; i < 2; i++) out[i] = static_cast<__u64>(int_from_js(pair.Get(i)));
}

std::unique_ptr<const tapio_filter> pushed_from_js(const Napi::Value& value) {
  if (!value.IsObject()) return nullptr;
  const auto object = value.As<Napi::Object>();
  const auto tests = object.Get("tests").As<Napi::Array>();
  const auto ops = object.Get("ops").As<Napi::Array>();
  auto filter = std::make_unique<tapio_filter>(passing_filter());
  const auto byte_of = [](const Napi::Object& of, const char* name) {
    return static_cast<__u8>(of.Get(name).As<Napi::Number>().Uint32Value());
  };
  for (uint32_t i = 0; i < std::min<uint32_t>(tests.Length(), TAPIO_TESTS_MAX); i++) {
    const auto from = tests.Get(i).As<Napi::Object>();
    tapio_test& test = filter->tests[i];
    test.word = byte_of(from, "word");
    if (from.Get("masked").ToBoolean()) test.flags |= TAPIO_TEST_MASKED;
    if (from.Get("inverted").ToBoolean()) test.flags |= TAPIO_TEST_INVERTED;
    test.pass = byte_of(from, "pass");
    test.fail = byte_of(from, "fail");
    pair_from_js(from.Get("a"), test.a);
    pair_from_js(from.Get("b"), test.b);
  }
  for (uint32_t i = 0; i < ops.Length(); i++) {
    const auto from = ops.Get(i).As<Napi::Object>();
    filter->entries[byte_of(from, "op") % TAPIO_OPS_MAX] = byte_of(from, "entry");
  }
  if (!complete_filter(filter.get(), tests.Length())) return nullptr;
  return filter;
}

}  // namespace

std::shared_ptr<const RowFilter> filter_from_js(const Napi::Value& value) {
  if (!value.IsObject()) return nullptr;
  const auto object = value.As<Napi::Object>();
  const auto predicates = object.Get("predicates").As<Napi::Object>();
  auto filter = std::make_shared<RowFilter>();
  filter->text = object.Get("text").As<Napi::String>();
  filter->pushed = pushed_from_js(object.Get("pushed"));
  for (unsigned type = 1; type <= kTypes; type++) {
    if (!predicates.Get(type).IsObject()) continue;
    const TableLayout& layout = table_layout(type);
    std::vector<TableColumn> columns;
    for (unsigned i = 0; i < layout.count; i++)
      columns.push_back({layout.columns[i].name, layout.columns[i].kind, false});
    columns.push_back({"ktime", Kind::kU64, false});
    unsigned ids = 0;
    filter->predicates[type] =
        predicate_from_js(predicates.Get(type).As<Napi::Object>(), columns, ids);
  }
  return filter;
}

}  // namespace tapio
