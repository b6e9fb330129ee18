#include "names.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace tapio {
namespace {

const char* protocol_name(unsigned value) {
  switch (value) {
    case IPPROTO_ICMP:
      return "icmp";
    case IPPROTO_IGMP:
      return "igmp";
    case IPPROTO_IPIP:
      return "ipip";
    case IPPROTO_TCP:
      return "tcp";
    case IPPROTO_UDP:
      return "udp";
    case IPPROTO_DCCP:
      return "dccp";
    case IPPROTO_IPV6:
      return "ipv6";
    case IPPROTO_GRE:
      return "gre";
    case IPPROTO_ESP:
      return "esp";
    case IPPROTO_AH:
      return "ah";
    case IPPROTO_ICMPV6:
      return "ipv6-icmp";
    case IPPROTO_SCTP:
      return "sctp";
    case IPPROTO_UDPLITE:
      return "udplite";
    case 262:
      return "mptcp";
    default:
      return nullptr;
  }
}

// include/net/tcp_states.h
const char* tcp_state_name(unsigned value) {
  static constexpr const char* names[] = {
      nullptr, "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2",   "TIME_WAIT",
      "CLOSE", "CLOSE_WAIT",  "LAST_ACK", "LISTEN",   "CLOSING",   "NEW_SYN_RECV"};
  return value < sizeof(names) / sizeof(names[0]) ? names[value] : nullptr;
}

}  // namespace

std::string name_of(Names set, unsigned value, const DropReasons& reasons) {
  const char* name = nullptr;
  switch (set) {
    case Names::family:
      name = value == AF_INET ? "inet" : value == AF_INET6 ? "inet6" : nullptr;
      break;
    case Names::protocol:
      name = protocol_name(value);
      break;
    case Names::tcp_state:
      name = tcp_state_name(value);
      break;
    case Names::direction:
      name = value == 1 ? "sent" : value == 2 ? "received" : nullptr;
      break;
    case Names::drop_reason: {
      const auto found = reasons.find(value);
      if (found != reasons.end()) return found->second;
      break;
    }
  }
  return name ? name : std::to_string(value);
}

}  // namespace tapio
