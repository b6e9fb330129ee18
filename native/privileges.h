// Giving up what a thread, or the whole process, need not hold. Credentials in Linux are a thread's
// own: what is called here is said to the kernel directly, as libc would tell all threads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tapio {

// Takes all capabilities from the calling thread, for good (no_new_privs), and names it, so that
// whoever looks at the process can tell which thread it is. Empty when it holds none, else why not.
std::string drop_capabilities(const std::string& thread_name);

// Who a process may run as.
struct Account {
  uint32_t uid = 0, gid = 0;
  std::vector<uint32_t> groups;
};

// The account of a user by name or number; a number that has none is its own group. `group`, by
// name or number, takes the place of its groups where it is not empty. Without one *why says what
// there is not.
std::optional<Account> find_account(const std::string& user, const std::string& group,
                                    std::string* why);

// Puts a program in this one's place, run by an account with no more than some capabilities, none
// to be had beyond them. `files` must be readable then; `descriptors` stay open. Comes back only
// where that cannot be, and says why: the process is to end then, as it may be neither the one nor
// the other.
std::string run_as(const Account& account, const std::vector<unsigned>& capabilities,
                   const std::vector<std::string>& arguments, const std::vector<std::string>& files,
                   const std::vector<int>& descriptors);

}  // namespace tapio
