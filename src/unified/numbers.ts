// Names of Linux's error and signal numbers: those of x86-64 and arm64, whatever machine reads them.

/** By number, from 1, without their E; two numbers are nobody's. */
const ERRORS = [
  'PERM NOENT SRCH INTR IO NXIO 2BIG NOEXEC BADF CHILD AGAIN NOMEM ACCES FAULT NOTBLK BUSY EXIST',
  'XDEV NODEV NOTDIR ISDIR INVAL NFILE MFILE NOTTY TXTBSY FBIG NOSPC SPIPE ROFS MLINK PIPE DOM RANGE',
  'DEADLK NAMETOOLONG NOLCK NOSYS NOTEMPTY LOOP - NOMSG IDRM CHRNG L2NSYNC L3HLT L3RST LNRNG UNATCH',
  'NOCSI L2HLT BADE BADR XFULL NOANO BADRQC BADSLT - BFONT NOSTR NODATA TIME NOSR NONET NOPKG REMOTE',
  'NOLINK ADV SRMNT COMM PROTO MULTIHOP DOTDOT BADMSG OVERFLOW NOTUNIQ BADFD REMCHG LIBACC LIBBAD',
  'LIBSCN LIBMAX LIBEXEC ILSEQ RESTART STRPIPE USERS NOTSOCK DESTADDRREQ MSGSIZE PROTOTYPE NOPROTOOPT',
  'PROTONOSUPPORT SOCKTNOSUPPORT OPNOTSUPP PFNOSUPPORT AFNOSUPPORT ADDRINUSE ADDRNOTAVAIL NETDOWN',
  'NETUNREACH NETRESET CONNABORTED CONNRESET NOBUFS ISCONN NOTCONN SHUTDOWN TOOMANYREFS TIMEDOUT',
  'CONNREFUSED HOSTDOWN HOSTUNREACH ALREADY INPROGRESS STALE UCLEAN NOTNAM NAVAIL ISNAM REMOTEIO',
  'DQUOT NOMEDIUM MEDIUMTYPE CANCELED NOKEY KEYEXPIRED KEYREVOKED KEYREJECTED OWNERDEAD',
  'NOTRECOVERABLE RFKILL HWPOISON',
]
  .join(' ')
  .split(' ');

/** By number, from 1, without their SIG. */
const SIGNALS = [
  'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP',
  'TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS',
]
  .join(' ')
  .split(' ');

/** `ENOENT` of 2. */
export function errorName(error: number): string {
  const name = ERRORS[error - 1] ?? '-';
  return name === '-' ? `errno ${error}` : `E${name}`;
}

/** `SIGKILL` of 9. */
export function signalName(signal: number): string {
  const name = SIGNALS[signal - 1];
  return name === undefined ? `signal ${signal}` : `SIG${name}`;
}

/** The numbers of errors, named without their E. */
export function errorNumbers(...names: readonly string[]): ReadonlySet<number> {
  return new Set(names.map((name) => ERRORS.indexOf(name) + 1));
}

/** The numbers of signals, named without their SIG. */
export function signalNumbers(...names: readonly string[]): ReadonlySet<number> {
  return new Set(names.map((name) => SIGNALS.indexOf(name) + 1));
}
