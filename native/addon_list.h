// Arrays of JS as vectors.
#pragma once

#include <napi.h>

#include <vector>

namespace tapio {

template <class T, class Convert>
std::vector<T> list_of(const Napi::Value& value, Convert convert) {
  std::vector<T> out;
  const auto array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); i++) out.push_back(convert(array.Get(i)));
  return out;
}

}  // namespace tapio
