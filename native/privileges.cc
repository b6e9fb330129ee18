#include "privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

namespace tapio {
namespace {

std::string failed(const std::string& what) { return what + ": " + strerror(errno); }

// The three sets of the calling thread.
struct Sets {
  uint64_t effective = 0, permitted = 0, inheritable = 0;
};

bool get_sets(Sets* out) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct halves[2] = {};
  if (syscall(SYS_capget, &header, halves) != 0) return false;
  const auto whole = [](uint32_t low, uint32_t high) { return low | uint64_t{high} << 32; };
  *out = {whole(halves[0].effective, halves[1].effective),
          whole(halves[0].permitted, halves[1].permitted),
          whole(halves[0].inheritable, halves[1].inheritable)};
  return true;
}

bool set_sets(uint64_t all) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  const auto low = static_cast<uint32_t>(all), high = static_cast<uint32_t>(all >> 32);
  __user_cap_data_struct halves[2] = {{low, low, low}, {high, high, high}};
  return syscall(SYS_capset, &header, halves) == 0;
}

bool has(uint64_t set, unsigned capability) { return set >> capability & 1; }

// What a program that is executed could be given. Only who may change that can.
bool drop_bounding(uint64_t but) {
  for (unsigned one = 0; prctl(PR_CAPBSET_READ, one, 0, 0, 0) >= 0; one++)
    if (!has(but, one) && prctl(PR_CAPBSET_DROP, one, 0, 0, 0) != 0) return false;
  return true;
}

std::optional<uint32_t> number_of(const std::string& text) {
  uint32_t value = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  // The highest means nobody to the kernel.
  if (error != std::errc{} || at != end || value == UINT32_MAX) return std::nullopt;
  return value;
}

std::optional<uint32_t> group_of(const std::string& text) {
  if (const auto number = number_of(text)) return number;
  const group* found = getgrnam(text.c_str());
  return found ? std::optional(static_cast<uint32_t>(found->gr_gid)) : std::nullopt;
}

std::vector<uint32_t> groups_of(const char* user, uint32_t gid) {
  std::vector<gid_t> groups(64);
  auto count = static_cast<int>(groups.size());
  if (getgrouplist(user, gid, groups.data(), &count) < 0) {
    groups.resize(static_cast<size_t>(count));
    getgrouplist(user, gid, groups.data(), &count);
  }
  groups.resize(static_cast<size_t>(std::max(count, 0)));
  return {groups.begin(), groups.end()};
}

}  // namespace

std::string drop_capabilities(const std::string& thread_name) {
  prctl(PR_SET_NAME, thread_name.c_str(), 0, 0, 0);
  // Not without CAP_SETPCAP; nothing is given to a thread that wants no new privileges anyway.
  drop_bounding(0);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed("no_new_privs cannot be set");
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 || !set_sets(0))
    return failed("capabilities cannot be given up");
  Sets left;
  if (!get_sets(&left)) return failed("capabilities cannot be read");
  return (left.effective | left.permitted | left.inheritable) == 0
             ? ""
             : "capabilities are still held after they were given up";
}

std::optional<Account> find_account(const std::string& user, const std::string& group,
                                    std::string* why) {
  const std::optional<uint32_t> number = number_of(user);
  const passwd* found = number ? getpwuid(*number) : getpwnam(user.c_str());
  if (!found && !number) {
    *why = "there is no user " + user;
    return std::nullopt;
  }
  Account account;
  account.uid = found ? found->pw_uid : *number;
  account.gid = found ? found->pw_gid : *number;
  if (!group.empty()) {
    const std::optional<uint32_t> own = group_of(group);
    if (!own) {
      *why = "there is no group " + group;
      return std::nullopt;
    }
    account.gid = *own;
  } else if (found) {
    const std::string name = found->pw_name;
    account.groups = groups_of(name.c_str(), account.gid);
  }
  return account;
}

std::string run_as(const Account& account, const std::vector<unsigned>& capabilities,
                   const std::vector<std::string>& arguments, const std::vector<std::string>& files,
                   const std::vector<int>& descriptors) {
  Sets held;
  if (!get_sets(&held)) return failed("capabilities cannot be read");
  uint64_t kept = 0;
  for (const unsigned one : capabilities)
    if (has(held.permitted, one)) kept |= uint64_t{1} << one;
  // Kernels before 5.11 count the memory of rings against it, and raising it is root's.
  const rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
  setrlimit(RLIMIT_MEMLOCK, &all);
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || !drop_bounding(kept))
    return failed("capabilities cannot be limited");
  if (syscall(SYS_setgroups, account.groups.size(), account.groups.data()) != 0 ||
      syscall(SYS_setresgid, account.gid, account.gid, account.gid) != 0 ||
      syscall(SYS_setresuid, account.uid, account.uid, account.uid) != 0)
    return failed("the user cannot be changed");
  if (!set_sets(kept)) return failed("capabilities cannot be given up");
  for (unsigned one = 0; one < 64; one++)
    if (has(kept, one) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, one, 0, 0) != 0)
      return failed("capabilities cannot be kept");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed("no_new_privs cannot be set");
  for (const std::string& file : files)
    if (faccessat(AT_FDCWD, file.c_str(), R_OK, AT_EACCESS) != 0)
      return failed("it cannot read " + file);
  // Node keeps the standard ones from programs that it does not begin itself.
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    fcntl(descriptor, F_SETFD, 0);
  for (const int descriptor : descriptors) fcntl(descriptor, F_SETFD, 0);
  std::vector<char*> words;
  for (const std::string& one : arguments) words.push_back(const_cast<char*>(one.c_str()));
  words.push_back(nullptr);
  execv(words[0], words.data());
  return failed("it cannot run " + arguments[0]);
}

}  // namespace tapio
