// Which rows a recording keeps: the filter of --filter, a predicate for each type.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "columns.h"
#include "predicate.h"
#include "pushed_filter.h"

namespace tapio {

struct RowFilter {
  std::string text;  // as the user wrote it
  // By type; null: all of its rows. Columns are those of the type's table, then ktime.
  std::array<std::unique_ptr<const Predicate>, kTypes + 1> predicates;
  // What of it is decided before a record is made; null: nothing.
  std::unique_ptr<const tapio_filter> pushed;
};

}  // namespace tapio
