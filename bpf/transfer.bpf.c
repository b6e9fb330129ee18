/* SPDX-License-Identifier: GPL-2.0-only
 *
 * What goes through sockets: network.send and network.recv, made at their syscall's exit, a row for
 * each message. read and write come here from file.bpf.c, which knows what is a socket only when it
 * has looked.
 */
#include "socket.bpf.h"

/* A call that moves messages: too large for the stack. */
struct transfer {
  struct owner owner;
  struct endpoint_pair socket; /* addresses of the socket */
  struct endpoint_pair pair;   /* those of the message */
  __u64 started;
  __s64 ret;  /* bytes of the message, or the call's error */
  __u64 name; /* in user memory: the message's other side; 0 where the socket knows it */
  __u32 op;
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct transfer);
} transfers SEC(".maps");

_Static_assert(sizeof(struct tapio_network_send) == sizeof(struct tapio_network_recv),
               "same shape");
_Static_assert(TAPIO_NULL_NETWORK_SEND_SADDR == TAPIO_NULL_NETWORK_RECV_SADDR, "same shape");
_Static_assert(TAPIO_NULL_NETWORK_SEND_DADDR == TAPIO_NULL_NETWORK_RECV_DADDR, "same shape");
_Static_assert(TAPIO_NULL_NETWORK_SEND_BYTES == TAPIO_NULL_NETWORK_RECV_BYTES, "same shape");
_Static_assert(TAPIO_NULL_NETWORK_SEND_LATENCY_NS == TAPIO_NULL_NETWORK_RECV_LATENCY_NS,
               "same shape");
_Static_assert(TAPIO_NULL_NETWORK_SEND_SPORT == TAPIO_NULL_NETWORK_RECV_SPORT, "same shape");
_Static_assert(TAPIO_NULL_NETWORK_SEND_DPORT == TAPIO_NULL_NETWORK_RECV_DPORT, "same shape");

/* Fields that are not known of such addresses. */
static __always_inline __u32 unknown_sides(const struct endpoint_pair *pair) {
  __u32 nulls = 0;
  /* A socket that is bound to no address sends from one that the route decides. */
  if (!pair->saddr[0] && !pair->saddr[1]) nulls |= TAPIO_NULL_NETWORK_SEND_SADDR;
  if (!pair->daddr[0] && !pair->daddr[1] && !pair->dport) nulls |= TAPIO_NULL_NETWORK_SEND_DADDR;
  /* What is no port of a raw socket stands in a port's place. */
  bool has_ports = pair->protocol == IPPROTO_TCP || pair->protocol == IPPROTO_UDP;
  if (!has_ports || !pair->sport) nulls |= TAPIO_NULL_NETWORK_SEND_SPORT;
  if (!has_ports || !pair->dport) nulls |= TAPIO_NULL_NETWORK_SEND_DPORT;
  return nulls;
}

static __noinline int emit_transfer(struct transfer *transfer) {
  struct endpoint_pair *pair = &transfer->pair;
  __u32 op = transfer->op & (TAPIO_OPS_MAX - 1);
  __s64 ret = transfer->ret;
  *pair = transfer->socket;
  /* TCP ignores the name. */
  if (transfer->name && pair->protocol != IPPROTO_TCP)
    remote_from_user(pair, (const void *)transfer->name);
  if (rejects_pair(&transfer->owner, op, pair)) return 0;
  const __u32 bytes = sizeof(struct tapio_network_send);
  struct slot slot = {.owner = &transfer->owner};
  struct tapio_network_send *record = (void *)reserve(&slot, op, bytes);
  if (!record) return 0;
  fill_owner(&record->header, &transfer->owner);
  FILL_ENDPOINTS(record, pair);
  __u32 nulls = unknown_sides(pair);
  record->bytes = ret < 0 ? 0 : ret;
  record->error = ret < 0 ? -ret : 0;
  if (ret < 0) nulls |= TAPIO_NULL_NETWORK_SEND_BYTES;
  record->latency_ns = latency_since(&record->header, transfer->started);
  if (!transfer->started) nulls |= TAPIO_NULL_NETWORK_SEND_LATENCY_NS;
  record->nulls = nulls;
  commit(&slot, &record->header, bytes);
  return 0;
}

/* What is the same for all messages of a call; null where it makes no rows. */
static __always_inline struct transfer *begin_transfer(struct sock *sk, __u32 op,
                                                       const struct call *call) {
  __u32 zero = 0;
  struct transfer *transfer = bpf_map_lookup_elem(&transfers, &zero);
  __s64 ret = call->ret;
  if (!transfer || ret == -EAGAIN || goes_on(ret)) return 0;
  owner_of_task(&transfer->owner, bpf_get_current_task_btf());
  endpoints_of(&transfer->socket, sk);
  transfer->started = call->started;
  transfer->ret = ret;
  transfer->name = 0;
  transfer->op = op;
  return transfer;
}

/* A call that moved `ret` bytes through a descriptor; 0 where that is no socket. Inlined, as calls
 * may nest eight deep only. */
static __always_inline int handle_socket_io(__u32 fd, __u32 op, const struct call *call) {
  struct file *file = file_of(bpf_get_current_task_btf(), fd);
  if (!file || !is_socket(file)) return 0;
  struct sock *sk = socket_of_file(file);
  if (!sk) return 1;
  struct transfer *transfer = begin_transfer(sk, op, call);
  if (transfer) emit_transfer(transfer);
  return 1;
}

/* The first member of a struct msghdr. */
static __always_inline __u64 name_of_message(__u64 message, bool is_32) {
  __u64 name = 0;
  bpf_probe_read_user(&name, is_32 ? 4 : 8, (const void *)message);
  return name;
}

/* Array of struct mmsghdr: a struct msghdr of 56 bytes (28 of a 32-bit caller), the bytes moved. */
struct message_walk {
  struct transfer *transfer;
  __u64 at;
  __u64 is_32;
};

static long next_message(__u32 step, struct message_walk *walk) {
  struct transfer *transfer = walk->transfer;
  __u64 at = walk->at;
  bool is_32 = walk->is_32;
  __u32 bytes = 0;
  bpf_probe_read_user(&bytes, sizeof(bytes), (const void *)(at + (is_32 ? 28 : 56)));
  transfer->ret = bytes;
  transfer->name = name_of_message(at, is_32);
  walk->at = at + (is_32 ? 32 : 64);
  emit_transfer(transfer);
  return 0;
}

/* The calls of messages; a name is what the caller gave, or what the kernel put there. */
__noinline int handle_messages(const struct call *call) {
  if (!call) return 0;
  __u32 kind = call->kind;
  bool sends =
      kind == TAPIO_CALL_SENDTO || kind == TAPIO_CALL_SENDMSG || kind == TAPIO_CALL_SENDMMSG;
  bool many = kind == TAPIO_CALL_SENDMMSG || kind == TAPIO_CALL_RECVMMSG;
  bool plain = kind == TAPIO_CALL_SENDTO || kind == TAPIO_CALL_RECVFROM;
  __u32 op = sends ? TAPIO_NETWORK_SEND : TAPIO_NETWORK_RECV;
  if (!op_is_on(op)) return 0;
  __u32 flags = kind == TAPIO_CALL_RECVMSG ? call->args[2] : call->args[3];
  if (!sends && (flags & (MSG_PEEK | MSG_ERRQUEUE))) return 0;
  struct sock *sk = socket_of(bpf_get_current_task_btf(), call->args[0]);
  if (!sk) return 0;
  struct transfer *transfer = begin_transfer(sk, op, call);
  if (!transfer) return 0;
  bool is_32 = call->is_32;
  __s64 ret = call->ret;
  if (many && ret >= 0) {
    struct message_walk walk = {.transfer = transfer, .at = call->args[1], .is_32 = is_32};
    bpf_loop(ret, next_message, &walk, 0);
    return 0;
  }
  /* Nothing came, so nobody was named. */
  if (sends || ret >= 0)
    transfer->name = plain ? call->args[4] : name_of_message(call->args[1], is_32);
  return emit_transfer(transfer);
}
