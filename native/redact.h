// The parts of texts that patterns find, for whoever puts something else in their place.
#pragma once

#include <re2/re2.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tapio {

// A part of a text, and which pattern found it.
struct Span {
  size_t from, to;
  unsigned pattern;
};

// Adds the groups of each match of a pattern; where it has none, or none took part, all of it.
void find_spans(const re2::RE2& regex, unsigned pattern, std::string_view text,
                std::vector<Span>* out);

// Puts them in order; those that overlap become one, of the pattern that began first.
void join_spans(std::vector<Span>* spans);

struct Mask {
  std::unique_ptr<re2::RE2> regex;
  std::string with;
};

// All masks look at the text as it was, so that none can undo what another finds; parts that
// overlap are one.
std::string redacted(const std::vector<Mask>& masks, const std::string& text);

}  // namespace tapio
