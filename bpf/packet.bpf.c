/* SPDX-License-Identifier: GPL-2.0-only
 *
 * network.packet: IP packets as devices send and receive them. Both tracepoints also run in
 * softirq, where `current` is a bystander: a packet is its socket's owner's, or nobody's.
 */
#include "socket.bpf.h"

/* Appends the first bytes of the packet; what is read is what lies in its linear part. */
static __always_inline __u64 put_packet(char *record, __u64 used, const unsigned char *from,
                                        __u32 there, __u32 length, bool *fault) {
  __u64 stored = config.snaplen;
  if (stored > there) stored = there;
  barrier_var(stored);
  if (stored > TAPIO_SNAPLEN_MAX) stored = TAPIO_SNAPLEN_MAX;
  if (bpf_probe_read_kernel(record + used + STRING_HEAD, stored, from)) {
    *fault = true;
    return put_empty(record, used, 0);
  }
  put_head(record + used, stored, length < 0xffff ? length : 0xffff);
  return used + STRING_HEAD + align8(stored);
}

/* `offset`: of the network header from the packet's data. */
static __noinline int emit_packet(struct sk_buff *skb, const unsigned char *network, __u32 offset,
                                  __u32 direction) {
  struct endpoint_pair pair;
  struct owner owner;
  __u32 length = FIELD(struct sk_buff, skb, len);
  __u32 linear = length - FIELD(struct sk_buff, skb, data_len);
  if (offset >= linear || !endpoints_of_headers(&pair, network)) return 0;
  owner_of_socket(&owner, (__u64)FIELD(struct sk_buff, skb, sk));
  if (rejects_pair(&owner, TAPIO_NETWORK_PACKET, &pair)) return 0;
  const __u32 room = sizeof(struct tapio_network_packet) + STRING_ROOM(TAPIO_SNAPLEN_MAX);
  struct slot slot = {.owner = &owner};
  struct tapio_network_packet *record = (void *)reserve(&slot, TAPIO_NETWORK_PACKET, room);
  if (!record) return 0;
  fill_owner(&record->header, &owner);
  FILL_ENDPOINTS(record, &pair);
  record->packet_length = length - offset;
  record->direction = direction;
  /* Only the first fragment of a packet has ports. */
  __u32 nulls = pair.sport || pair.dport
                    ? 0
                    : TAPIO_NULL_NETWORK_PACKET_SPORT | TAPIO_NULL_NETWORK_PACKET_DPORT;
  bool fault = false;
  __u64 used = put_packet((char *)record, sizeof(*record), network, linear - offset,
                          length - offset, &fault);
  if (fault) nulls |= TAPIO_NULL_NETWORK_PACKET_PACKET;
  record->nulls = nulls;
  commit_used(&slot, &record->header, used, room);
  return 0;
}

static __always_inline bool is_ip(struct sk_buff *skb) {
  __u16 ethertype = bpf_ntohs(skb->protocol);
  return ethertype == ETH_P_IP || ethertype == ETH_P_IPV6;
}

/* The data begins with the link's header. */
SEC("tp_btf/net_dev_queue")
int BPF_PROG(packet_sent, struct sk_buff *skb) {
  if (!op_is_on(TAPIO_NETWORK_PACKET) || !is_ip(skb)) return 0;
  const unsigned char *network = skb->head + skb->network_header;
  return emit_packet(skb, network, network - skb->data, DIRECTION_SENT);
}

/* The data begins with the network header, which is not noted yet. */
SEC("tp_btf/netif_receive_skb")
int BPF_PROG(packet_received, struct sk_buff *skb) {
  if (!op_is_on(TAPIO_NETWORK_PACKET) || !is_ip(skb)) return 0;
  return emit_packet(skb, skb->data, 0, DIRECTION_RECEIVED);
}
