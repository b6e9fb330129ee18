// The parts of texts that patterns find, for whoever puts something else in their place.
#pragma once

#include <re2/re2.h>

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

}  // namespace tapio
