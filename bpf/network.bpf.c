/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Network rows. connect, accept and listen are made at their syscall's exit; a connect that
 * returned without an outcome is followed to it. The others come from the TCP and packet
 * tracepoints.
 */
#include "socket.bpf.h"

struct connect_result {
  struct endpoint_pair pair;
  struct owner owner;
  __u64 started;
  int error; /* -1: it ended without an outcome */
  __u8 old_state, new_state;
};

static __noinline int emit_connect(struct connect_result *result) {
  if (rejects_pair(&result->owner, TAPIO_NETWORK_CONNECT, &result->pair)) return 0;
  const __u32 bytes = sizeof(struct tapio_network_connect);
  struct slot slot = {.owner = &result->owner};
  struct tapio_network_connect *record = (void *)reserve(&slot, TAPIO_NETWORK_CONNECT, bytes);
  if (!record) return 0;
  fill_owner(&record->header, &result->owner);
  FILL_ENDPOINTS(record, &result->pair);
  __u32 nulls = 0;
  record->latency_ns = latency_since(&record->header, result->started);
  if (!result->started) nulls |= TAPIO_NULL_NETWORK_CONNECT_LATENCY_NS;
  record->error = result->error;
  if (result->error < 0) nulls |= TAPIO_NULL_NETWORK_CONNECT_ERROR;
  record->old_state = result->old_state;
  record->new_state = result->new_state;
  if (result->pair.protocol != IPPROTO_TCP)
    nulls |= TAPIO_NULL_NETWORK_CONNECT_OLD_STATE | TAPIO_NULL_NETWORK_CONNECT_NEW_STATE;
  if (!result->pair.protocol) nulls |= TAPIO_NULL_NETWORK_CONNECT_PROTOCOL;
  /* A connect that failed before it was routed has no local side. */
  if (!result->pair.sport)
    nulls |= TAPIO_NULL_NETWORK_CONNECT_SADDR | TAPIO_NULL_NETWORK_CONNECT_SPORT;
  record->nulls = nulls;
  commit(&slot, &record->header, bytes);
  return 0;
}

/*
 * connect() returned without an outcome. The state change that brings it may come, or have come, on
 * another CPU: whoever takes the entry from PENDING to TOLD makes the row.
 */
static __noinline int follow_connect(struct connect_result *result, struct sock *sk) {
  __u64 key = (__u64)sk;
  struct owned *known = bpf_map_lookup_elem(&socket_table, &key);
  if (!known) {
    struct owned entry = {.connect_start = result->started};
    __builtin_memcpy(&entry.owner, &result->owner, sizeof(entry.owner));
    bpf_map_update_elem(&socket_table, &key, &entry, BPF_NOEXIST);
    known = bpf_map_lookup_elem(&socket_table, &key);
    if (!known) {
      count_refused(TAPIO_REFUSED_TABLE_FULL, TAPIO_NETWORK_CONNECT);
      return 0;
    }
  }
  if (known->connect_state == CONNECT_TOLD) return 0;
  known->connect_state = CONNECT_PENDING;
  __u8 state = FIELD(struct sock, sk, __sk_common.skc_state);
  if (state == TCP_SYN_SENT) return 0;
  if (__sync_val_compare_and_swap(&known->connect_state, CONNECT_PENDING, CONNECT_TOLD) !=
      CONNECT_PENDING)
    return 0;
  result->new_state = state;
  result->error = state == TCP_CLOSE ? FIELD(struct sock, sk, sk_err) : 0;
  return emit_connect(result);
}

__noinline int handle_connect(const struct call *call) {
  if (!call || !op_is_on(TAPIO_NETWORK_CONNECT)) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  long ret = call->ret;
  if (ret == -EALREADY) return 0; /* asks about a connection that is followed already */
  struct connect_result result = {.started = call->started, .error = -ret, .old_state = TCP_CLOSE};
  struct sock *sk = socket_of(task, call->args[0]);
  const void *address = (const void *)call->args[1];
  if (sk) {
    endpoints_of(&result.pair, sk);
    result.new_state = FIELD(struct sock, sk, __sk_common.skc_state);
    if (result.pair.protocol == IPPROTO_TCP) result.old_state = TCP_SYN_SENT;
  }
  /* Unix and other families are not recorded. */
  if ((!sk || ret < 0) && !remote_from_user(&result.pair, address)) return 0;
  /* connect() to AF_UNSPEC dissolves an association and leaves the socket without a peer. */
  if (!result.pair.dport && !result.pair.daddr[0] && !result.pair.daddr[1]) return 0;
  owner_of_task(&result.owner, task);
  if (!sk) return emit_connect(&result);
  __u64 key = (__u64)sk;
  struct owned *known = bpf_map_lookup_elem(&socket_table, &key);
  if (known) {
    if (!result.started) result.started = known->connect_start;
    if (goes_on(ret)) return follow_connect(&result, sk);
    if (known->connect_state == CONNECT_TOLD) {
      /* The outcome was told at the state change; this call only collects it. */
      known->connect_state = CONNECT_IDLE;
      return 0;
    }
  } else if (goes_on(ret)) {
    return follow_connect(&result, sk);
  }
  if (ret < 0 && result.new_state == TCP_CLOSE && !(known && known->connect_start))
    result.old_state = TCP_CLOSE; /* it never left */
  return emit_connect(&result);
}

__noinline int handle_accept(const struct call *call) {
  if (!call || !op_is_on(TAPIO_NETWORK_ACCEPT)) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  long ret = call->ret;
  __u64 started = call->started;
  if (ret == -EAGAIN || goes_on(ret)) return 0;
  struct sock *sk = socket_of(task, ret >= 0 ? ret : call->args[0]);
  if (!sk) return 0;
  struct owned entry = {};
  owner_of_task(&entry.owner, task);
  __u64 key = (__u64)sk;
  if (ret >= 0) bpf_map_update_elem(&socket_table, &key, &entry, BPF_ANY);
  struct endpoint_pair pair;
  endpoints_of(&pair, sk);
  if (rejects_pair(&entry.owner, TAPIO_NETWORK_ACCEPT, &pair)) return 0;
  const __u32 bytes = sizeof(struct tapio_network_accept);
  struct slot slot = {.owner = &entry.owner};
  struct tapio_network_accept *record = (void *)reserve(&slot, TAPIO_NETWORK_ACCEPT, bytes);
  if (!record) return 0;
  fill_owner(&record->header, &entry.owner);
  FILL_ENDPOINTS(record, &pair);
  __u32 nulls = 0;
  record->latency_ns = latency_since(&record->header, started);
  if (!started) nulls |= TAPIO_NULL_NETWORK_ACCEPT_LATENCY_NS;
  record->error = ret < 0 ? -ret : 0;
  /* The peer may have reset it before it was accepted: then its close is a row already. */
  record->new_state = FIELD(struct sock, sk, __sk_common.skc_state);
  if (ret < 0)
    nulls |= TAPIO_NULL_NETWORK_ACCEPT_DADDR | TAPIO_NULL_NETWORK_ACCEPT_DPORT |
             TAPIO_NULL_NETWORK_ACCEPT_NEW_STATE;
  record->nulls = nulls;
  commit(&slot, &record->header, bytes);
  return 0;
}

__noinline int handle_listen(const struct call *call) {
  if (!call || !op_is_on(TAPIO_NETWORK_LISTEN)) return 0;
  struct task_struct *task = bpf_get_current_task_btf();
  long ret = call->ret;
  struct sock *sk = socket_of(task, call->args[0]);
  if (!sk) return 0;
  __u8 old_state = FIELD(struct sock, sk, __sk_common.skc_state);
  __u64 key = (__u64)sk;
  struct owned *known = bpf_map_lookup_elem(&socket_table, &key);
  if (ret >= 0 && known && known->connect_state == LISTEN_BEGUN) {
    known->connect_state = CONNECT_IDLE;
    old_state = TCP_CLOSE;
  }
  struct owner owner;
  owner_of_task(&owner, task);
  struct endpoint_pair pair;
  endpoints_of(&pair, sk);
  if (rejects_pair(&owner, TAPIO_NETWORK_LISTEN, &pair)) return 0;
  const __u32 bytes = sizeof(struct tapio_network_listen);
  struct slot slot = {.owner = &owner};
  struct tapio_network_listen *record = (void *)reserve(&slot, TAPIO_NETWORK_LISTEN, bytes);
  if (!record) return 0;
  fill_owner(&record->header, &owner);
  ((__u64 *)record->saddr)[0] = pair.saddr[0];
  ((__u64 *)record->saddr)[1] = pair.saddr[1];
  record->error = ret < 0 ? -ret : 0;
  record->sport = pair.sport;
  record->family = pair.family;
  record->protocol = pair.protocol;
  record->old_state = old_state;
  record->nulls = 0;
  commit(&slot, &record->header, bytes);
  return 0;
}

static __noinline int emit_close(struct sock *sk, int old_state) {
  struct owner owner;
  owner_of_socket(&owner, (__u64)sk);
  struct endpoint_pair pair;
  endpoints_of(&pair, sk);
  if (rejects_pair(&owner, TAPIO_NETWORK_CLOSE, &pair)) return 0;
  const __u32 bytes = sizeof(struct tapio_network_close);
  struct slot slot = {.owner = &owner};
  struct tapio_network_close *record = (void *)reserve(&slot, TAPIO_NETWORK_CLOSE, bytes);
  if (!record) return 0;
  fill_owner(&record->header, &owner);
  FILL_ENDPOINTS(record, &pair);
  struct tcp_sock *tcp = (struct tcp_sock *)sk;
  __u64 received = FIELD(struct tcp_sock, tcp, bytes_received);
  /* The peer's FIN took a place in the sequence (tcp_fin() sets SOCK_DONE). */
  if (received && (FIELD(struct sock, sk, __sk_common.skc_flags) & (1ul << SOCK_DONE))) received--;
  record->bytes_received = received;
  record->bytes_sent =
      FIELD(struct tcp_sock, tcp, bytes_sent) - FIELD(struct tcp_sock, tcp, bytes_retrans);
  record->srtt_us = FIELD(struct tcp_sock, tcp, srtt_us) >> 3;
  record->retransmits = FIELD(struct tcp_sock, tcp, total_retrans);
  record->old_state = old_state;
  record->new_state = TCP_CLOSE;
  record->nulls = 0;
  if (old_state == TCP_LISTEN)
    record->nulls = TAPIO_NULL_NETWORK_CLOSE_DADDR | TAPIO_NULL_NETWORK_CLOSE_DPORT |
                    TAPIO_NULL_NETWORK_CLOSE_BYTES_SENT | TAPIO_NULL_NETWORK_CLOSE_BYTES_RECEIVED |
                    TAPIO_NULL_NETWORK_CLOSE_SRTT_US | TAPIO_NULL_NETWORK_CLOSE_RETRANSMITS;
  commit(&slot, &record->header, bytes);
  return 0;
}

/* A connection that is being followed has its outcome. Runs wherever the packet was handled. */
static __noinline int end_connect(struct sock *sk, int new_state) {
  __u64 key = (__u64)sk;
  struct owned *known = bpf_map_lookup_elem(&socket_table, &key);
  if (!known) return 0;
  if (__sync_val_compare_and_swap(&known->connect_state, CONNECT_PENDING, CONNECT_TOLD) !=
      CONNECT_PENDING)
    return 0;
  if (!op_is_on(TAPIO_NETWORK_CONNECT)) return 0;
  struct connect_result result = {
      .started = known->connect_start, .old_state = TCP_SYN_SENT, .new_state = new_state};
  __builtin_memcpy(&result.owner, &known->owner, sizeof(result.owner));
  endpoints_of(&result.pair, sk);
  if (new_state == TCP_CLOSE) {
    int error = FIELD(struct sock, sk, sk_err);
    result.error = error ? error : -1; /* closed by its owner meanwhile */
  }
  return emit_connect(&result);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(socket_state, struct sock *sk, int old_state, int new_state) {
  __u16 family = sk->__sk_common.skc_family;
  if (!is_inet(family) || sk->sk_protocol != IPPROTO_TCP) return 0;
  if (old_state == TCP_CLOSE && (new_state == TCP_SYN_SENT || new_state == TCP_LISTEN)) {
    /* Both are entered by the process itself, in its own context. */
    struct task_struct *task = bpf_get_current_task_btf();
    struct owned entry = {};
    owner_of_task(&entry.owner, task);
    if (new_state == TCP_SYN_SENT)
      entry.connect_start = bpf_ktime_get_ns();
    else
      entry.connect_state = LISTEN_BEGUN;
    __u64 key = (__u64)sk;
    bpf_map_update_elem(&socket_table, &key, &entry, BPF_ANY);
    return 0;
  }
  if (old_state == TCP_SYN_SENT) return end_connect(sk, new_state);
  if (new_state == TCP_CLOSE && op_is_on(TAPIO_NETWORK_CLOSE)) return emit_close(sk, old_state);
  return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(socket_destroyed, struct sock *sk) {
  __u64 key = (__u64)sk;
  bpf_map_delete_elem(&socket_table, &key);
  return 0;
}

SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(retransmit, struct sock *sk, struct sk_buff *skb) {
  if (!op_is_on(TAPIO_NETWORK_RETRANSMIT)) return 0;
  struct owner owner;
  owner_of_socket(&owner, (__u64)sk);
  struct endpoint_pair pair;
  endpoints_of(&pair, sk);
  if (rejects_pair(&owner, TAPIO_NETWORK_RETRANSMIT, &pair)) return 0;
  const __u32 bytes = sizeof(struct tapio_network_retransmit);
  struct slot slot = {.owner = &owner};
  struct tapio_network_retransmit *record = (void *)reserve(&slot, TAPIO_NETWORK_RETRANSMIT, bytes);
  if (!record) return 0;
  fill_owner(&record->header, &owner);
  FILL_ENDPOINTS(record, &pair);
  __u8 state = FIELD(struct sock, sk, __sk_common.skc_state);
  record->old_state = state;
  record->nulls = 0;
  record->srtt_us = 0;
  record->retransmits = 0;
  if (is_full(state)) {
    record->srtt_us = FIELD(struct tcp_sock, sk, srtt_us) >> 3;
    record->retransmits = FIELD(struct tcp_sock, sk, total_retrans);
  } else {
    record->nulls =
        TAPIO_NULL_NETWORK_RETRANSMIT_SRTT_US | TAPIO_NULL_NETWORK_RETRANSMIT_RETRANSMITS;
  }
  commit(&slot, &record->header, bytes);
  return 0;
}

static __noinline int emit_reset(struct endpoint_pair *pair, __u64 sk, __u32 state,
                                 __u32 direction) {
  struct owner owner;
  owner_of_socket(&owner, sk);
  if (rejects_pair(&owner, TAPIO_NETWORK_RESET, pair)) return 0;
  const __u32 bytes = sizeof(struct tapio_network_reset);
  struct slot slot = {.owner = &owner};
  struct tapio_network_reset *record = (void *)reserve(&slot, TAPIO_NETWORK_RESET, bytes);
  if (!record) return 0;
  fill_owner(&record->header, &owner);
  FILL_ENDPOINTS(record, pair);
  record->old_state = state;
  record->direction = direction;
  record->nulls = state ? 0 : TAPIO_NULL_NETWORK_RESET_OLD_STATE;
  commit(&slot, &record->header, bytes);
  return 0;
}

static __always_inline void swap_sides(struct endpoint_pair *pair) {
  __u64 low = pair->saddr[0], high = pair->saddr[1];
  __u16 port = pair->sport;
  pair->saddr[0] = pair->daddr[0];
  pair->saddr[1] = pair->daddr[1];
  pair->daddr[0] = low;
  pair->daddr[1] = high;
  pair->sport = pair->dport;
  pair->dport = port;
}

/* A reset answers a packet (skb; there may be no socket) or ends a socket (sk; there is no skb). */
SEC("tp_btf/tcp_send_reset")
int BPF_PROG(reset_sent, struct sock *sk, struct sk_buff *skb) {
  if (!op_is_on(TAPIO_NETWORK_RESET)) return 0;
  struct endpoint_pair pair;
  __u32 state = sk ? FIELD(struct sock, sk, __sk_common.skc_state) : 0;
  if (skb && endpoints_of_packet(&pair, skb))
    swap_sides(&pair); /* the answer goes the other way */
  else if (sk)
    endpoints_of(&pair, sk);
  else
    return 0;
  return emit_reset(&pair, (__u64)sk, state, DIRECTION_SENT);
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(reset_received, struct sock *sk) {
  if (!op_is_on(TAPIO_NETWORK_RESET)) return 0;
  struct endpoint_pair pair;
  endpoints_of(&pair, sk);
  swap_sides(&pair); /* addresses as in the packet, which came from the peer */
  return emit_reset(&pair, (__u64)sk, FIELD(struct sock, sk, __sk_common.skc_state),
                    DIRECTION_RECEIVED);
}

static __always_inline int emit_drop(struct sk_buff *skb, __u32 reason, __u64 sk) {
  if (!op_is_on(TAPIO_NETWORK_DROP)) return 0;
  __u16 ethertype = bpf_ntohs(skb->protocol);
  if (ethertype != ETH_P_IP && ethertype != ETH_P_IPV6) return 0;
  struct endpoint_pair pair;
  if (!endpoints_of_packet(&pair, skb)) return 0;
  struct owner owner;
  owner_of_socket(&owner, sk);
  if (rejects_pair(&owner, TAPIO_NETWORK_DROP, &pair)) return 0;
  const __u32 bytes = sizeof(struct tapio_network_drop);
  struct slot slot = {.owner = &owner};
  struct tapio_network_drop *record = (void *)reserve(&slot, TAPIO_NETWORK_DROP, bytes);
  if (!record) return 0;
  fill_owner(&record->header, &owner);
  FILL_ENDPOINTS(record, &pair);
  record->packet_length = skb->len;
  record->drop_reason = reason;
  bool has_ports = pair.protocol == IPPROTO_TCP || pair.protocol == IPPROTO_UDP;
  record->nulls = has_ports ? 0 : TAPIO_NULL_NETWORK_DROP_SPORT | TAPIO_NULL_NETWORK_DROP_DPORT;
  commit(&slot, &record->header, bytes);
  return 0;
}

/* Since 6.14 (c53795d48ee8, "net: add rx_sk to trace_kfree_skb") a received packet's socket is
 * told. */
SEC("tp_btf/kfree_skb")
int BPF_PROG(packet_dropped_rx_sk, struct sk_buff *skb, void *location, int reason,
             struct sock *rx_sk) {
  struct sock *sk = skb->sk;
  return emit_drop(skb, reason, sk ? (__u64)sk : (__u64)rx_sk);
}

/* Since 5.17 (c504e5c2f964, "net: skb: introduce kfree_skb_reason()") there is a reason. */
SEC("tp_btf/kfree_skb")
int BPF_PROG(packet_dropped_reason, struct sk_buff *skb, void *location, int reason) {
  return emit_drop(skb, reason, (__u64)skb->sk);
}
