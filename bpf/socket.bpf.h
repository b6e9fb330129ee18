/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Sockets: whose they are, and their addresses. Much of what happens to a socket happens in softirq
 * or a timer, where `current` is a bystander; so the process that connected, listened or accepted
 * is kept by socket.
 */
#ifndef TAPIO_SOCKET_BPF_H
#define TAPIO_SOCKET_BPF_H

#include "path.bpf.h"

enum connect_state {
  CONNECT_IDLE = 0,
  CONNECT_PENDING = 1, /* connect() returned without an outcome: the state change will be the row */
  CONNECT_TOLD = 2,    /* the outcome is a row; a connect() that asks for it again is none */
  LISTEN_BEGUN = 3,    /* it has begun to listen, and the listen() that did it has not returned */
};

struct owned {
  struct owner owner;
  __u64 connect_start; /* ktime at which SYN_SENT was entered, 0 = never */
  __u64 connect_state;
};

/* LRU: UDP sockets have no end that we see. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 65536);
  __type(key, __u64); /* struct sock * */
  __type(value, struct owned);
} socket_table SEC(".maps");

struct endpoint_pair {
  __u64 saddr[2], daddr[2]; /* IPv4: in the first four bytes */
  __u16 sport, dport;       /* host order */
  __u8 family, protocol;
};

static __always_inline bool is_inet(__u16 family) {
  return family == AF_INET || family == AF_INET6;
}

static __always_inline bool is_socket(struct file *file) {
  struct inode *inode = FIELD(struct file, file, f_inode);
  return (FIELD(struct inode, inode, i_mode) & S_IFMT) == S_IFSOCK;
}

/* The inet socket that an open socket is, or null. */
static __always_inline struct sock *socket_of_file(struct file *file) {
  void *socket = FIELD(struct file, file, private_data);
  struct sock *sk = FIELD(struct socket, socket, sk);
  if (!sk || !is_inet(FIELD(struct sock, sk, __sk_common.skc_family))) return 0;
  return sk;
}

/* The inet socket behind an open descriptor, or null. */
static __always_inline struct sock *socket_of(struct task_struct *task, __u64 fd) {
  struct file *file = file_of(task, fd);
  return file && is_socket(file) ? socket_of_file(file) : 0;
}

/* True for sockets that are more than struct sock_common. */
static __always_inline bool is_full(__u8 state) {
  return state != TCP_TIME_WAIT && state != TCP_NEW_SYN_RECV;
}

/* Bytes 8..11 of ::ffff:a.b.c.d, read as a little-endian word. */
#define V4_MAPPED_LOW 0xffff0000u

/* A v4-mapped address, which an IPv6 socket has for an IPv4 peer, is an IPv4 address. */
static __always_inline void unmap_v4(struct endpoint_pair *pair) {
  if (pair->family != AF_INET6 || pair->daddr[0] || (__u32)pair->daddr[1] != V4_MAPPED_LOW) return;
  pair->family = AF_INET;
  pair->daddr[0] = pair->daddr[1] >> 32;
  pair->daddr[1] = 0;
  pair->saddr[0] = (__u32)pair->saddr[1] == V4_MAPPED_LOW ? pair->saddr[1] >> 32 : 0;
  pair->saddr[1] = 0;
}

/* Addresses as the socket has them: local first. */
static __always_inline void endpoints_of(struct endpoint_pair *pair, struct sock *sk) {
  __u16 family = FIELD(struct sock, sk, __sk_common.skc_family);
  __u8 state = FIELD(struct sock, sk, __sk_common.skc_state);
  pair->family = family;
  pair->protocol = IPPROTO_TCP;
  pair->saddr[0] = pair->saddr[1] = pair->daddr[0] = pair->daddr[1] = 0;
  if (family == AF_INET6) {
    BPF_CORE_READ_INTO(&pair->saddr, sk, __sk_common.skc_v6_rcv_saddr);
    BPF_CORE_READ_INTO(&pair->daddr, sk, __sk_common.skc_v6_daddr);
  } else {
    pair->saddr[0] = FIELD(struct sock, sk, __sk_common.skc_rcv_saddr);
    pair->daddr[0] = FIELD(struct sock, sk, __sk_common.skc_daddr);
  }
  pair->dport = bpf_ntohs(FIELD(struct sock, sk, __sk_common.skc_dport));
  pair->sport = FIELD(struct sock, sk, __sk_common.skc_num);
  if (is_full(state)) {
    pair->protocol = FIELD(struct sock, sk, sk_protocol);
    /* A socket that reached CLOSE has given its number back, but still knows its port. */
    if (!pair->sport) pair->sport = bpf_ntohs(FIELD(struct inet_sock, sk, inet_sport));
  }
  unmap_v4(pair);
}

/* Copies addresses into any record that has them under these names. */
#define FILL_ENDPOINTS(record, pair)                  \
  do {                                                \
    ((__u64 *)(record)->saddr)[0] = (pair)->saddr[0]; \
    ((__u64 *)(record)->saddr)[1] = (pair)->saddr[1]; \
    ((__u64 *)(record)->daddr)[0] = (pair)->daddr[0]; \
    ((__u64 *)(record)->daddr)[1] = (pair)->daddr[1]; \
    (record)->sport = (pair)->sport;                  \
    (record)->dport = (pair)->dport;                  \
    (record)->family = (pair)->family;                \
    (record)->protocol = (pair)->protocol;            \
  } while (0)

/* Which way a packet went, as native/names.cc has it. */
enum { DIRECTION_SENT = 1, DIRECTION_RECEIVED = 2 };

/* As rejects_owner(), of an event with addresses. */
static __noinline bool is_rejected_pair(const struct owner *owner, __u32 op,
                                        const struct endpoint_pair *pair) {
  bool v4 = pair->family == AF_INET;
  struct own_words own = {.words = {
                              [TAPIO_WORD_SADDR - TAPIO_WORD_OWN] = v4 ? 0 : pair->saddr[0],
                              v4 ? pair->saddr[0] << 32 | V4_MAPPED_LOW : pair->saddr[1],
                              v4 ? 0 : pair->daddr[0],
                              v4 ? pair->daddr[0] << 32 | V4_MAPPED_LOW : pair->daddr[1],
                              pair->sport,
                              pair->dport,
                              pair->protocol,
                          }};
  return is_rejected(owner, op, &own);
}

static __always_inline bool rejects_pair(const struct owner *owner, __u32 op,
                                         const struct endpoint_pair *pair) {
  if (owner->pid == config.self) return true;
  return config.excludes && is_rejected_pair(owner, op, pair);
}

/* The other side's address, as it lies in user memory: what a caller asked for or was told. */
static __always_inline bool remote_from_user(struct endpoint_pair *pair, const void *address) {
  struct {
    __u16 family, port;
    __u32 v4;
    __u8 v6[16];
  } asked = {};
  /* A sockaddr_in is 16 bytes, a sockaddr_in6 28: read what both have first. */
  if (bpf_probe_read_user(&asked, 8, address) || !is_inet(asked.family)) return false;
  if (asked.family == AF_INET6 && bpf_probe_read_user(&asked, sizeof(asked), address)) return false;
  pair->family = asked.family;
  pair->dport = bpf_ntohs(asked.port);
  pair->daddr[1] = 0;
  if (asked.family == AF_INET)
    pair->daddr[0] = asked.v4;
  else
    __builtin_memcpy(pair->daddr, asked.v6, 16);
  unmap_v4(pair);
  return true;
}

/* True when the call left the connection under way. */
static __always_inline bool goes_on(long ret) {
  return ret == -EINPROGRESS || ret == -EINTR || ret == -ERESTARTSYS || ret == -ERESTARTNOINTR ||
         ret == -ERESTARTNOHAND || ret == -ERESTART_RESTARTBLOCK;
}

/* The socket's owner; without one known, nobody (pid 0), never the process that was interrupted. */
static __always_inline void owner_of_socket(struct owner *owner, __u64 sk) {
  struct owned *known = bpf_map_lookup_elem(&socket_table, &sk);
  if (known)
    __builtin_memcpy(owner, &known->owner, sizeof(*owner));
  else
    __builtin_memset(owner, 0, sizeof(*owner));
}

/* Addresses of the IP packet whose headers lie there; false for anything else. */
static __noinline bool endpoints_of_headers(struct endpoint_pair *pair,
                                            const unsigned char *headers) {
  __u8 ip[40] = {};
  __u16 ports[2] = {};
  __u32 transport;
  if (bpf_probe_read_kernel(ip, 20, headers)) return false;
  __builtin_memset(pair, 0, sizeof(*pair));
  if (ip[0] >> 4 == 4) {
    pair->family = AF_INET;
    pair->protocol = ip[9];
    pair->saddr[0] = *(__u32 *)(ip + 12);
    pair->daddr[0] = *(__u32 *)(ip + 16);
    transport = (ip[0] & 15) * 4;
    /* Only the first fragment has ports. */
    if (((ip[6] & 0x1f) << 8 | ip[7]) != 0) return true;
  } else if (ip[0] >> 4 == 6) {
    if (bpf_probe_read_kernel(ip, 40, headers)) return false;
    pair->family = AF_INET6;
    pair->protocol = ip[6];
    __builtin_memcpy(pair->saddr, ip + 8, 16);
    __builtin_memcpy(pair->daddr, ip + 24, 16);
    transport = 40;
  } else {
    return false;
  }
  if (pair->protocol != IPPROTO_TCP && pair->protocol != IPPROTO_UDP) return true;
  if (bpf_probe_read_kernel(ports, sizeof(ports), headers + transport)) return true;
  pair->sport = bpf_ntohs(ports[0]);
  pair->dport = bpf_ntohs(ports[1]);
  return true;
}

/* The same of a packet that knows where its network header is. */
static __always_inline bool endpoints_of_packet(struct endpoint_pair *pair, struct sk_buff *skb) {
  __u16 network = FIELD(struct sk_buff, skb, network_header);
  return network != 0xffff &&
         endpoints_of_headers(pair, FIELD(struct sk_buff, skb, head) + network);
}

#endif
