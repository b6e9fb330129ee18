// Makes a predicate from the tree of src/query/predicate.ts.
#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "predicate.h"
#include "row_filter.h"
#include "stored_batch.h"

namespace tapio {

// A field that `columns` does not have is null in each row. `next_id` numbers the nodes of all
// predicates over the same files.
std::unique_ptr<Predicate> predicate_from_js(const Napi::Object& tree,
                                             const std::vector<TableColumn>& columns,
                                             unsigned& next_id);

// The filter of a recording, SourceFilter of src/source/binding.ts; null without.
std::shared_ptr<const RowFilter> filter_from_js(const Napi::Value& value);

// An integer of up to 64 bits and a sign; what is larger is cut.
Int int_from_js(const Napi::Value& value);

}  // namespace tapio
