#include "addon_privileges.h"

#include <string>
#include <vector>

#include "addon_list.h"
#include "privileges.h"

namespace tapio {
namespace {

std::string text_of(const Napi::Value& value) { return value.As<Napi::String>(); }

uint32_t number_of(const Napi::Value& value) { return value.As<Napi::Number>().Uint32Value(); }
int descriptor_of(const Napi::Value& value) { return value.As<Napi::Number>().Int32Value(); }

void fail(Napi::Env env, const std::string& why) {
  if (!why.empty()) Napi::Error::New(env, why).ThrowAsJavaScriptException();
}

void drop(const Napi::CallbackInfo& info) { fail(info.Env(), drop_capabilities(text_of(info[0]))); }

Napi::Value account_of(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::string why;
  const auto account = find_account(text_of(info[0]), text_of(info[1]), &why);
  fail(env, why);
  if (!account) return env.Undefined();
  auto out = Napi::Object::New(env);
  out.Set("uid", account->uid);
  out.Set("gid", account->gid);
  auto groups = Napi::Array::New(env, account->groups.size());
  for (uint32_t i = 0; i < account->groups.size(); i++) groups.Set(i, account->groups[i]);
  out.Set("groups", groups);
  return out;
}

void replace_process(const Napi::CallbackInfo& info) {
  const auto as = info[0].As<Napi::Object>();
  const Account account = {number_of(as.Get("uid")), number_of(as.Get("gid")),
                           list_of<uint32_t>(as.Get("groups"), number_of)};
  const auto run = info[1].As<Napi::Object>();
  fail(info.Env(), run_as(account, list_of<unsigned>(run.Get("capabilities"), number_of),
                          list_of<std::string>(run.Get("arguments"), text_of),
                          list_of<std::string>(run.Get("files"), text_of),
                          list_of<int>(run.Get("descriptors"), descriptor_of)));
}

}  // namespace

void define_privileges(Napi::Env env, Napi::Object exports) {
  exports.Set("dropCapabilities", Napi::Function::New(env, drop));
  exports.Set("findAccount", Napi::Function::New(env, account_of));
  exports.Set("runAs", Napi::Function::New(env, replace_process));
}

}  // namespace tapio
